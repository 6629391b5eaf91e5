/**
 * The borrowers' way to the log, one per process: messages out through a plain producer, tables in.
 *
 * T1 One request at a time; what is said meanwhile goes out together with the next. A gate has one message under way, so
 *    what can be waiting is bounded by their number.
 * T2 Tables are read as committed, each once and in order, from where the log ended at the start: what was lent before is
 *    nobody's any more (H3).
 */
import type { Follow, Log, LogProducer, PartitionReader } from '../../kafka/port.ts';
import { decode, type LeaseMessage, type LeaseTable, leaseTable } from '../../kustomer/budget/lease-forms.ts';
import type { Logger } from '../telemetry.ts';

export interface LeaseLogOptions {
  readonly log: Log;
  readonly topics: { readonly asks: string; readonly leases: string };
  readonly logger: Pick<Logger, 'warn'>;
}

export interface LeaseLogHealth {
  /** Every partition of the leases is being read. */
  readonly following: boolean;
  readonly sendFailures: number;
  readonly lastError: string | null;
}

/** Reads and writes what gates and their lender say to each other. */
export interface LeaseLog {
  /** Resolves once the message stands in the log; rejects when it may not. */
  send(organisation: string, message: LeaseMessage): Promise<void>;
  /** Tables of this organisation, until stopped. */
  follow(organisation: string, seen: (table: LeaseTable) => void): () => void;
  health(): LeaseLogHealth;
  close(): Promise<void>;
}

interface Outgoing {
  readonly organisation: string;
  readonly message: LeaseMessage;
  readonly sent: () => void;
  readonly failed: (error: unknown) => void;
}

const REFOLLOW_MS = 1000;

export async function openLeaseLog({ log, topics, logger }: LeaseLogOptions): Promise<LeaseLog> {
  const [described] = await log.admin.describeTopics([topics.leases]);
  const producer: LogProducer = await log.producer({ clientId: 'budget' });
  const reader: PartitionReader = await log.reader({ clientId: 'budget', topics: [topics.leases] });
  const stop = new AbortController();
  const listeners = new Map<string, Set<(table: LeaseTable) => void>>();
  const follows = new Map<number, Follow>();
  const outgoing: Outgoing[] = [];
  let sending: Promise<void> | null = null;
  let sendFailures = 0;
  let lastError: string | null = null;

  const note = (doing: string, error: unknown): void => {
    lastError = error instanceof Error ? error.message : String(error);
    logger.warn({ event: 'budget.log_failed', doing, reason: lastError }, 'the budget does not reach its log');
  };

  const begin = (partition: number, fromOffset: number): void => {
    let next = fromOffset;
    const follow = reader.follow({
      topic: topics.leases,
      partition,
      fromOffset,
      records: ({ records }) => {
        for (const { key, value, offset } of records) {
          next = offset + 1;
          const heard = listeners.get(key?.toString('utf8') ?? '');
          const table = heard === undefined ? null : decode(leaseTable, value);
          if (table !== null) for (const seen of heard ?? []) seen(table);
          else if (heard !== undefined) note('reading a table', new Error('it is not of the form this version reads'));
        }
      },
      failed: (error) => {
        follows.delete(partition);
        note('reading leases', error);
        void log.clock.sleep(REFOLLOW_MS, stop.signal).then(() => {
          if (!stop.signal.aborted) begin(partition, next);
        });
      },
    });
    follows.set(partition, follow);
  };

  const drain = async (): Promise<void> => {
    while (outgoing.length > 0) {
      const batch = outgoing.splice(0);
      try {
        await producer.append(
          batch.map(({ organisation, message }) => ({
            topic: topics.asks,
            key: Buffer.from(organisation),
            value: Buffer.from(JSON.stringify(message)),
          })),
        );
        for (const { sent } of batch) sent();
      } catch (error) {
        sendFailures += 1;
        note('asking', error);
        for (const { failed } of batch) failed(error);
      }
    }
    sending = null;
  };

  const partitions = Array.from({ length: described?.partitions ?? 0 }, (_, partition) => partition);
  for (const partition of partitions) {
    begin(partition, (await log.admin.watermarks({ topic: topics.leases, partition })).high);
  }
  return {
    send: (organisation, message) =>
      new Promise((sent, failed) => {
        outgoing.push({ organisation, message, sent, failed });
        sending ??= drain();
      }),
    follow: (organisation, seen) => {
      const heard = listeners.get(organisation) ?? new Set();
      listeners.set(organisation, heard.add(seen));
      return () => heard.delete(seen);
    },
    health: () => ({ following: follows.size === partitions.length && partitions.length > 0, sendFailures, lastError }),
    close: async () => {
      stop.abort();
      await sending;
      for (const follow of follows.values()) await follow.stop();
      await reader.close();
      await producer.close();
    },
  };
}
