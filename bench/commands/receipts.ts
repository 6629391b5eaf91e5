/** Reads the receipts as they become visible to a reader with read_committed, and notes when each did. */
import { HEADER } from '../../src/kafka/headers.ts';
import type { Log, LogRecord, TopicSpec } from '../../src/kafka/port.ts';
import { nowUs } from './workload.ts';

export interface ReceiptCounter {
  /** By command. */
  readonly seenAtUs: ReadonlyMap<string, number>;
  readonly doubled: number;
  readonly lastAtUs: number;
  reached(count: number, deadlineMs: number): Promise<void>;
  close(): Promise<void>;
}

const LOOK_MS = 5;

export async function followReceipts(
  log: Log,
  { name, partitions }: Pick<TopicSpec, 'name' | 'partitions'>,
): Promise<ReceiptCounter> {
  const seenAtUs = new Map<string, number>();
  let doubled = 0;
  let lastAtUs = 0;
  let failure: unknown;
  const reader = await log.reader({ clientId: 'bench-receipts', topics: [name] });
  for (let partition = 0; partition < partitions; partition++) {
    reader.follow({
      topic: name,
      partition,
      fromOffset: 0,
      failed: (error) => {
        failure = error;
      },
      records: ({ records }) => {
        lastAtUs = nowUs();
        for (const record of records) {
          const id = commandOf(record);
          if (seenAtUs.has(id)) doubled += 1;
          else seenAtUs.set(id, lastAtUs);
        }
      },
    });
  }
  return {
    seenAtUs,
    get doubled() {
      return doubled;
    },
    get lastAtUs() {
      return lastAtUs;
    },
    async reached(count, deadlineMs) {
      const untilUs = nowUs() + deadlineMs * 1000;
      while (seenAtUs.size < count) {
        if (failure !== undefined) throw failure;
        if (nowUs() > untilUs) throw new Error(`${seenAtUs.size} receipts of ${count} within ${deadlineMs} ms`);
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
    },
    close: () => reader.close(),
  };
}

/** The yardstick has them as keys. */
function commandOf({ headers, key }: LogRecord): string {
  return String(headers[HEADER.commandId] ?? key);
}
