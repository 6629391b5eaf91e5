/** Reads with Apache's Java client: ReadCommitted.java, run from source with the jars of the native broker. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProgram, startChild } from './child.ts';
import { clientIdentity, javaProperties, writeConfigFile } from './client-config.ts';
import { javaFrames } from './java-frames.ts';
import type { ReaderItem, ReaderOptions, TopicReader } from './reader.ts';

const SOURCE = fileURLToPath(new URL('./ReadCommitted.java', import.meta.url));
const TOOLS = fileURLToPath(new URL('../../../../.tools', import.meta.url));

/** Null when there is no Java, or no folder with Kafka's jars: `kafkaLib`, else KAFKA_LIB, else the native broker's. */
export async function openJavaReader(
  options: ReaderOptions & { readonly kafkaLib?: string },
): Promise<TopicReader | null> {
  const home = process.env['JAVA_HOME'];
  const java = await findProgram('java', home ? join(home, 'bin') : undefined);
  const lib = options.kafkaLib ?? process.env['KAFKA_LIB'] ?? (await nativeBrokerLib());
  const version = lib === null ? null : await clientVersion(lib);
  if (java === null || lib === null || version === null) return null;
  const config = await writeConfigFile(javaProperties(options.access, await clientIdentity(options.access)));
  const topics = options.topics.map((topic) => topic.name);
  // A small heap and the cheap collector: the reader must not take the processor time it measures.
  const jvm = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', join(lib, '*')];
  const child = startChild({ command: java, args: [...jvm, SOURCE, config.path, ...topics], mergeErrors: false });
  const parse = javaFrames(new Set(options.topics.filter((topic) => topic.headersOnly).map((topic) => topic.name)));

  async function* items(): AsyncGenerator<readonly ReaderItem[]> {
    for await (const chunk of child.chunks) yield parse(chunk).filter((item) => item.kind !== 'version');
  }

  return {
    name: 'java',
    client: `kafka-clients ${version}`,
    endIsProven: true,
    items: items(),
    async close() {
      await child.stop();
      await config.remove();
    },
  };
}

/** Where `make setup` puts the jars of the native broker; null when it has not. */
async function nativeBrokerLib(): Promise<string | null> {
  const found = (await readdir(TOOLS).catch(() => [])).filter((name) => name.startsWith('stack-kafka-')).sort();
  const newest = found.at(-1);
  return newest === undefined ? null : join(TOOLS, newest, 'kafka');
}

/** Version of the client among the jars; null when it is not there. */
async function clientVersion(lib: string): Promise<string | null> {
  try {
    const jars = (await readdir(lib)).map((name) => /^kafka-clients-(.+)\.jar$/.exec(name)?.[1]);
    return jars.find((version) => version !== undefined) ?? null;
  } catch {
    return null;
  }
}
