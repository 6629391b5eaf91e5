/**
 * The last resort: the service's own client, through the log port. It cannot tell the last stable offset, so the end of
 * a partition is inferred from silence, and its read_committed filter is among the things to be verified.
 */
import { CodedError } from '../../../base/errors.ts';
import { HEADER } from '../../../kafka/headers.ts';
import type { Follow, Log, LogRecord, PartitionReader } from '../../../kafka/port.ts';
import type { ReaderItem, ReaderOptions, TopicReader, TopicToRead } from './reader.ts';

const TOPIC_POLL_MS = 500;
const SILENCE_MS = 2_000;
const TICK_MS = 50;
/** The port cannot be told to wait while following, so a consumer this far behind is an error. */
const QUEUE_MAX_ITEMS = 500_000;

/** Owns the log it is given: closing the reader closes it. */
export async function openKafkajsReader(options: ReaderOptions & { readonly log: Log }): Promise<TopicReader> {
  const { log, clock } = options;
  const closed = new AbortController();
  const follows: Follow[] = [];
  const readers: PartitionReader[] = [];
  let queue: ReaderItem[] = [];
  let failure: unknown = null;
  let lookedOnce = false;
  let closing: Promise<void> | null = null;
  const missing = new Map(options.topics.map((topic) => [topic.name, topic]));
  /** Where each partition stands, and since when it has been silent; null once its end was announced. */
  const positions = new Map<string, { readonly topic: string; readonly partition: number; offset: number; sinceMs: number | null }>(); // biome-ignore format: one line

  async function followNewTopics(): Promise<void> {
    if (missing.size === 0) return;
    const found = await log.admin.describeTopics([...missing.keys()]);
    if (!lookedOnce)
      for (const name of missing.keys())
        if (!found.some((topic) => topic.name === name)) queue.push({ kind: 'topic', topic: name, partitions: 0 });
    lookedOnce = true;
    for (const { name, partitions } of found) {
      const topic = missing.get(name);
      if (topic === undefined) continue;
      missing.delete(name);
      queue.push({ kind: 'topic', topic: name, partitions });
      const reader = await log.reader({ clientId: 'cn-verify', topics: [name] });
      readers.push(reader);
      for (let partition = 0; partition < partitions; partition += 1) {
        const { low, high } = await log.admin.watermarks({ topic: name, partition });
        follow(reader, topic, partition, low === high ? 0 : high - 1);
      }
    }
  }

  /** Once `backlogEnd` is reached (the last offset is often a transaction marker, which is not seen) it needs no silence. */
  function follow(reader: PartitionReader, topic: TopicToRead, partition: number, backlogEnd: number): void {
    const position = { topic: topic.name, partition, offset: 0, sinceMs: clock.nowMs() as number | null };
    let inBacklog = true;
    const leaveBacklog = () => {
      if (!inBacklog || position.offset < backlogEnd) return;
      inBacklog = false;
      queue.push({ kind: 'end', topic: topic.name, partition, offset: position.offset });
    };
    leaveBacklog();
    positions.set(`${topic.name} ${partition}`, position);
    follows.push(
      reader.follow({
        topic: topic.name,
        partition,
        fromOffset: 0,
        records: ({ records }) => {
          const arrivalMs = clock.nowMs();
          if (queue.length > QUEUE_MAX_ITEMS) {
            failure ??= new CodedError('reader_failed', 'records come faster than they can be checked');
            return;
          }
          for (const record of records) queue.push(readRecord(record, topic, arrivalMs));
          position.offset = (records.at(-1)?.offset ?? position.offset - 1) + 1;
          position.sinceMs = arrivalMs;
          leaveBacklog();
        },
        failed: (error) => {
          failure ??= error;
        },
      }),
    );
  }

  function announceEnds(): void {
    for (const position of positions.values()) {
      if (position.sinceMs === null || clock.nowMs() - position.sinceMs < SILENCE_MS) continue;
      position.sinceMs = null;
      queue.push({ kind: 'end', topic: position.topic, partition: position.partition, offset: position.offset });
    }
  }

  async function close(): Promise<void> {
    closed.abort();
    await Promise.all(follows.map((one) => one.stop()));
    await Promise.all(readers.map((reader) => reader.close()));
    await log.close();
  }

  async function* items(): AsyncGenerator<readonly ReaderItem[]> {
    let lookAgainAtMs = 0;
    while (!closed.signal.aborted) {
      if (clock.nowMs() >= lookAgainAtMs) {
        await followNewTopics();
        lookAgainAtMs = clock.nowMs() + TOPIC_POLL_MS;
      }
      announceEnds();
      if (failure !== null) throw failure;
      const batch = queue;
      queue = [];
      if (batch.length > 0) yield batch;
      else await clock.sleep(TICK_MS, closed.signal);
    }
  }

  return {
    name: 'kafkajs',
    client: 'KafkaJS, the client of the service itself',
    endIsProven: false,
    items: items(),
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

function readRecord(record: LogRecord, topic: TopicToRead, arrivalMs: number): ReaderItem {
  const { partition, offset, timestampMs } = record;
  const at = { kind: 'record', topic: topic.name, partition, offset, timestampMs, arrivalMs } as const;
  if (!topic.headersOnly) return { ...at, key: record.key, value: record.value, headers: {} };
  const headers: Record<string, string> = {};
  for (const name of Object.values(HEADER)) {
    const value = record.headers[name];
    if (value !== undefined) headers[name] = value.toString('utf8');
  }
  return { ...at, key: null, value: null, headers };
}
