/**
 * Transactional producer on KafkaJS, whose own transaction state cannot recover from a failed EndTxn.
 *
 *   open: InitProducerId through an empty, aborted transaction          commit: records → offsets → EndTxn
 *
 * T1 opening returns only after the broker has fenced the earlier holder and completed its transaction
 * T2 records first, offsets second: AddOffsetsToTxn as the first request of a transaction is refused while the markers of
 *    the last one are written, and KafkaJS does not retry it
 * T3 nothing is committed unless `ending` was reached; from there on only a fencing is a certain answer, everything else is
 *    `commit_unknown`
 * T4 after any rejection the producer is spent; a sequence that outlived its deadline does not reach EndTxn
 */
import type { Transaction as KafkaTransaction, Producer } from 'kafkajs';
import { CodedError } from '../../base/errors.ts';
import type { Append, CommitOffset, Transaction, TransactionalOptions, TransactionalProducer } from '../port.ts';
import { compressionFor } from './codecs.ts';
import { coded, isCoordinatorBusy, isFenced, messageOf } from './failures.ts';
import { createPartitioner, toTopicMessages } from './messages.ts';
import { type ClientOptions, createKafka, TRANSACTIONAL_CLIENT_RETRY } from './settings.ts';
import { retrying, withDeadline } from './waiting.ts';

/** Sends: AddPartitionsToTxn meets CONCURRENT_TRANSACTIONS for a few milliseconds after each commit. About 5 s in all. */
const SEND_RETRY = { initialRetryTime: 3, maxRetryTime: 300, factor: 0.2, multiplier: 1.5, retries: 25 };
const ABORT_TIMEOUT_MS = 2_000;
/** Of keys and values before compression; headers add to it. Below every `max.message.bytes` in topics.ts. */
const MAX_PART_BYTES = 1_500_000;

type Phase = 'ready' | 'sending' | 'ending' | 'spent' | 'closed';

export class KafkaTransactionalProducer implements TransactionalProducer {
  readonly #client: Producer;
  readonly #options: TransactionalOptions;
  readonly #clientOptions: ClientOptions;
  #phase: Phase = 'ready';
  /** The transaction a failure left open, if KafkaJS still lets us abort it. */
  #open: KafkaTransaction | undefined;
  #running: Promise<void> | undefined;

  private constructor(client: Producer, options: TransactionalOptions, clientOptions: ClientOptions) {
    this.#client = client;
    this.#options = options;
    this.#clientOptions = clientOptions;
  }

  /** Fences. Retries for as long as an operation may take; a coordinator may still be loading or being created. */
  static async open(options: TransactionalOptions, clientOptions: ClientOptions): Promise<KafkaTransactionalProducer> {
    const doing = `Opening transactional.id ${options.transactionalId}`;
    const attempt = async (remainingMs: number) => {
      const client = createKafka({ ...clientOptions, retry: TRANSACTIONAL_CLIENT_RETRY }).producer({
        transactionalId: options.transactionalId,
        transactionTimeout: options.transactionTimeoutMs,
        maxInFlightRequests: 1,
        createPartitioner,
        allowAutoTopicCreation: false,
        metadataMaxAge: 60_000,
        retry: SEND_RETRY,
      });
      const fence = async () => {
        await client.connect();
        const empty = await client.transaction();
        await empty.abort();
      };
      try {
        await withDeadline(fence(), remainingMs, doing);
      } catch (error) {
        client.disconnect().catch(() => undefined); // given up; its errors say nothing new
        throw error;
      }
      return new KafkaTransactionalProducer(client, options, clientOptions);
    };
    try {
      const timeoutMs = clientOptions.settings.operationTimeoutMs;
      return await retrying(attempt, { doing, timeoutMs, firstPauseMs: 50, maxPauseMs: 1_000 });
    } catch (error) {
      throw coded(error, doing);
    }
  }

  async commit(transaction: Transaction): Promise<void> {
    if (this.#phase !== 'ready') {
      throw new CodedError('log_unavailable', `The transactional producer cannot be used: ${this.#phase}`);
    }
    const { appends, offsets } = transaction;
    if (appends.length === 0 && (offsets === undefined || offsets.offsets.length === 0)) return;
    this.#phase = 'sending';
    this.#running = this.#run(transaction);
    try {
      await withDeadline(this.#running, this.#options.transactionTimeoutMs, 'Committing a transaction');
      this.#phase = 'ready';
    } catch (error) {
      const reached = this.#phase;
      this.#phase = 'spent';
      throw this.#outcome(error, reached);
    }
  }

  /** Aborts what a failure left open, so that readers need not wait for the broker's timeout, then disconnects. */
  async close(): Promise<void> {
    if (this.#phase === 'closed') return;
    const spent = this.#phase !== 'ready';
    this.#phase = 'closed';
    const open = this.#open;
    this.#open = undefined;
    if (open?.isActive() === true) {
      // Best effort: the next holder's opening aborts it too.
      await withDeadline(open.abort(), ABORT_TIMEOUT_MS, 'Aborting').catch(() => undefined);
    }
    const disconnected = this.#client.disconnect();
    if (spent) {
      // Disconnecting waits for requests nobody will answer, and recovery must not wait for that. A send given up by its
      // deadline may also reconnect from its retry loop; disconnect again when it has ended.
      disconnected.catch(() => undefined);
      this.#running?.finally(() => this.#client.disconnect()).catch(() => undefined);
      return;
    }
    const { operationTimeoutMs } = this.#clientOptions.settings;
    await withDeadline(disconnected, operationTimeoutMs, 'Closing a transactional producer').catch((error) => {
      throw coded(error, 'Closing a transactional producer');
    });
  }

  async #run({ appends, offsets }: Transaction): Promise<void> {
    const transaction = await this.#client.transaction();
    this.#open = transaction;
    for (const { part, bytes } of inParts(appends)) {
      await transaction.sendBatch({
        acks: -1,
        timeout: this.#clientOptions.settings.requestTimeoutMs,
        compression: compressionFor(bytes),
        topicMessages: toTopicMessages(part, Date.now()),
      });
      if (this.#phase !== 'sending') return; // T4
    }
    if (offsets !== undefined && offsets.offsets.length > 0) {
      const topics = toTopicOffsets(offsets.offsets);
      const send = () => transaction.sendOffsets({ consumerGroupId: offsets.groupId, topics });
      await retrying(send, {
        doing: 'Adding offsets to a transaction',
        timeoutMs: this.#options.transactionTimeoutMs,
        firstPauseMs: 3,
        maxPauseMs: 200,
        worthRetrying: (error) => this.#phase === 'sending' && isCoordinatorBusy(error),
      });
    }
    if (this.#phase !== 'sending') return; // T4
    this.#phase = 'ending';
    await transaction.commit();
    this.#open = undefined;
    this.#running = undefined;
  }

  #outcome(error: unknown, reached: Phase): CodedError {
    const detail = { transactionalId: this.#options.transactionalId };
    if (isFenced(error)) {
      return new CodedError('fenced', `Another producer holds this transactional.id: ${messageOf(error)}`, detail, {
        cause: error,
      });
    }
    if (reached === 'ending') {
      return new CodedError('commit_unknown', `The outcome of the commit is unknown: ${messageOf(error)}`, detail, {
        cause: error,
      });
    }
    return coded(error, 'Committing a transaction');
  }
}

interface Part {
  readonly part: readonly Append[];
  /** Of keys and values. */
  readonly bytes: number;
}

/**
 * KafkaJS writes what one request brings a partition as one batch, and a broker refuses a batch above `max.message.bytes`
 * for ever. Nearly always one part; order is kept.
 */
function inParts(appends: readonly Append[]): readonly Part[] {
  const parts: { part: Append[]; bytes: number }[] = [];
  for (const append of appends) {
    const size = (append.key?.length ?? 0) + (append.value?.length ?? 0);
    const last = parts.at(-1);
    if (last === undefined || last.bytes + size > MAX_PART_BYTES) parts.push({ part: [append], bytes: size });
    else {
      last.part.push(append);
      last.bytes += size;
    }
  }
  return parts;
}

function toTopicOffsets(offsets: readonly CommitOffset[]) {
  const byTopic = new Map<string, { partition: number; offset: string }[]>();
  for (const { topic, partition, offset } of offsets) {
    const list = byTopic.get(topic) ?? [];
    list.push({ partition, offset: String(offset) });
    byTopic.set(topic, list);
  }
  return Array.from(byTopic, ([topic, partitions]) => ({ topic, partitions }));
}
