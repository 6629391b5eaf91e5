/** Reads with librdkafka, through kcat: one process per topic, following it until closed. */
import { type Child, findProgram, outputOf, startChild } from './child.ts';
import { librdkafkaProperties, writeConfigFile } from './client-config.ts';
import { KCAT_FORMAT, kcatFrames, kcatJsonLines } from './kcat-frames.ts';
import { merge } from './merge.ts';
import type { ReaderItem, ReaderOptions, TopicReader, TopicToRead } from './reader.ts';

const METADATA_TIMEOUT_MS = 10_000;
const TOPIC_POLL_MS = 500;

/** Null when there is no kcat here. */
export async function openKcatReader(options: ReaderOptions): Promise<TopicReader | null> {
  const kcat = await findProgram('kcat');
  if (kcat === null) return null;
  const version = /Version [^(]*\(.*?(librdkafka [\d.]+)/.exec(await outputOf(kcat, ['-V'], METADATA_TIMEOUT_MS));
  const config = await writeConfigFile(librdkafkaProperties(options.access));
  const closed = new AbortController();
  const children = new Set<Child>();
  const shared = ['-F', config.path, '-b', options.access.brokers.join(',')];

  async function* follow(topic: TopicToRead): AsyncGenerator<readonly ReaderItem[]> {
    let partitions = await partitionsOf(topic.name);
    yield [{ kind: 'topic', topic: topic.name, partitions }];
    while (partitions === 0 && !closed.signal.aborted) {
      await options.clock.sleep(TOPIC_POLL_MS, closed.signal);
      partitions = await partitionsOf(topic.name);
      if (partitions > 0) yield [{ kind: 'topic', topic: topic.name, partitions }];
    }
    if (closed.signal.aborted) return;
    // -E: a broker that goes away is waited for. -u: a record is written when it is there, not when a buffer is full.
    const output = topic.headersOnly ? ['-J'] : ['-f', KCAT_FORMAT];
    const args = [...shared, '-C', '-E', '-u', '-o', 'beginning', '-t', topic.name, ...output];
    const child = startChild({ command: kcat as string, args, mergeErrors: true });
    children.add(child);
    const parse = topic.headersOnly ? kcatJsonLines() : kcatFrames();
    for await (const chunk of child.chunks) {
      if (closed.signal.aborted) return;
      yield parse(chunk, options.clock.nowMs());
    }
  }

  /** 0 = it does not exist. All topics are listed, since asking for one may create it. */
  async function partitionsOf(name: string): Promise<number> {
    const listing = await listTopics();
    return listing.find(({ topic }) => topic === name)?.partitions.length ?? 0;
  }

  /** A broker that does not answer is waited for; the caller's deadline bounds it by closing the reader. */
  async function listTopics(): Promise<readonly { readonly topic: string; readonly partitions: unknown[] }[]> {
    while (!closed.signal.aborted) {
      try {
        const text = await outputOf(kcat as string, [...shared, '-L', '-J', '-m', '5'], METADATA_TIMEOUT_MS);
        const { topics } = JSON.parse(text) as { topics?: { topic: string; partitions: unknown[] }[] };
        if (topics !== undefined) return topics;
      } catch {
        await options.clock.sleep(TOPIC_POLL_MS, closed.signal);
      }
    }
    return [];
  }

  return {
    name: 'kcat',
    client: version?.[1] ?? 'librdkafka',
    endIsProven: true,
    items: merge(options.topics.map(follow)),
    async close() {
      closed.abort();
      await Promise.all([...children].map((child) => child.stop()));
      await config.remove();
    },
  };
}
