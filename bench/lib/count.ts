/** Counts what is visible on topics, through a client that is not ours. */
import { openReader } from '../../src/app/verify/readers/open.ts';
import type { ReadRecord } from '../../src/app/verify/readers/reader.ts';
import type { BenchContext } from './bench.ts';

const DEADLINE_MS = 120_000;

/** Reads a topic with read_committed to its end and calls `each` for every record. Returns how many there were. */
export async function readVisible(
  context: BenchContext,
  topic: string,
  each: (record: ReadRecord) => void = () => undefined,
): Promise<number> {
  const access = { brokers: context.brokers, ssl: false };
  const { clock } = context.log;
  const topics = [{ name: topic, headersOnly: false }];
  const reader = await openReader({ reader: 'auto', access, topics, clock });
  const deadline = setTimeout(() => void reader.close(), DEADLINE_MS);
  let count = 0;
  let partitions = Number.POSITIVE_INFINITY;
  const ended = new Set<number>();
  try {
    for await (const items of reader.items) {
      for (const item of items) {
        if (item.kind === 'topic') partitions = item.partitions;
        else if (item.kind === 'end') ended.add(item.partition);
        else if (item.kind === 'record') {
          count += 1;
          ended.delete(item.partition);
          each(item);
        }
      }
      if (ended.size >= partitions) return count;
    }
    throw new Error(`${topic} was not read to its end within ${DEADLINE_MS / 1000} s`);
  } finally {
    clearTimeout(deadline);
    await reader.close();
  }
}
