/** What stands in topics for everybody to see (read_committed), read by a client that is not KafkaJS. */
import { openReader } from '../../src/app/verify/readers/open.ts';
import type { ReadRecord } from '../../src/app/verify/readers/reader.ts';
import { realClock } from '../../src/base/clock.ts';

export interface TopicContent {
  readonly records: readonly ReadRecord[];
  /** Where each partition ended for the reader: `topic/partition` → offset. */
  readonly ends: ReadonlyMap<string, number>;
}

export interface ReadToEndOptions {
  readonly brokers: readonly string[];
  readonly topics: readonly string[];
  /** The headers instead of the values. */
  readonly headersOnly?: boolean;
  readonly deadlineMs?: number;
}

/** Everything up to the end of every partition; the topics must exist. */
export async function readToEnd(options: ReadToEndOptions): Promise<TopicContent> {
  const { brokers, topics, headersOnly = false, deadlineMs = 30_000 } = options;
  const reader = await openReader({
    reader: 'auto',
    access: { brokers, ssl: false },
    topics: topics.map((name) => ({ name, headersOnly })),
    clock: realClock,
  });
  const records: ReadRecord[] = [];
  const ends = new Map<string, number>();
  const missing = new Map<string, number>(topics.map((topic) => [topic, Number.POSITIVE_INFINITY]));
  const late = setTimeout(() => void reader.close(), deadlineMs);
  try {
    for await (const items of reader.items) {
      for (const item of items) {
        if (item.kind === 'topic' && item.partitions > 0) missing.set(item.topic, item.partitions);
        if (item.kind === 'record') records.push(item);
        if (item.kind !== 'end') continue;
        const place = `${item.topic}/${item.partition}`;
        if (!ends.has(place)) missing.set(item.topic, (missing.get(item.topic) ?? 0) - 1);
        ends.set(place, item.offset);
      }
      if ([...missing.values()].every((count) => count === 0)) return { records, ends };
    }
    throw new Error(`not read to the end within ${deadlineMs} ms: ${topics.join(', ')}`);
  } finally {
    clearTimeout(late);
    await reader.close();
  }
}
