/** Chooses the reader: the first that is at hand, the most independent first. */
import { CodedError } from '../../../base/errors.ts';
import type { Log } from '../../../kafka/port.ts';
import { openJavaReader } from './java.ts';
import { openKafkajsReader } from './kafkajs.ts';
import { openKcatReader } from './kcat.ts';
import { READER_NAMES, type ReaderName, type ReaderOptions, type TopicReader } from './reader.ts';

export interface OpenReaderOptions extends ReaderOptions {
  readonly reader: ReaderName | 'auto';
  readonly kafkaLib?: string;
  /** Opens a log for the reader of last resort, which closes it; absent = that reader is not to be had. */
  readonly openLog?: () => Promise<Log>;
}

const INSTALL: Record<ReaderName, string> = {
  kcat: 'install kcat (Debian, Ubuntu: apt-get install kcat; macOS: brew install kcat)',
  java: "install a JDK >= 17 and point KAFKA_LIB at a folder with Kafka's jars (`make setup` fetches one)",
  kafkajs: 'the log of the service was not given',
};

/** Throws CodedError `reader_unavailable` that says what to install. */
export async function openReader(options: OpenReaderOptions): Promise<TopicReader> {
  const wanted = options.reader === 'auto' ? READER_NAMES : [options.reader];
  for (const name of wanted) {
    const reader = await open(name, options);
    if (reader !== null) return reader;
  }
  const hints = wanted.map((name) => `${name}: ${INSTALL[name]}`).join('; ');
  throw new CodedError('reader_unavailable', `No reader for the envelopes is at hand. ${hints}.`);
}

async function open(name: ReaderName, options: OpenReaderOptions): Promise<TopicReader | null> {
  if (name === 'kcat') return openKcatReader(options);
  if (name === 'java') return openJavaReader(options);
  return options.openLog === undefined ? null : openKafkajsReader({ ...options, log: await options.openLog() });
}
