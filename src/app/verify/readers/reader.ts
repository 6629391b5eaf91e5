/**
 * Reading topics with read_committed through a client that shares no code with the service: librdkafka (kcat) or
 * Apache's own Java client, in a child process. KafkaJS, through the log port, is the last resort.
 */
import type { Clock } from '../../../kafka/port.ts';

/** One visible record. Header values are UTF-8 text in all our topics. */
export interface ReadRecord {
  readonly kind: 'record';
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Only for topics read with `headers`, otherwise empty. */
  readonly headers: Readonly<Record<string, string>>;
  /** When the reader had it. */
  readonly arrivalMs: number;
}

export type ReaderItem =
  | ReadRecord
  /** Comes before any record of the topic; 0 partitions = it does not exist yet, and is looked for again. */
  | { readonly kind: 'topic'; readonly topic: string; readonly partitions: number }
  /** Everything committed up to `offset` has been given: the end of the partition at that moment. */
  | { readonly kind: 'end'; readonly topic: string; readonly partition: number; readonly offset: number }
  /** What the client said about its connection; never about records. */
  | { readonly kind: 'notice'; readonly text: string };

export interface TopicToRead {
  readonly name: string;
  /** Read the headers and not the value: the dead letter topic. */
  readonly headersOnly: boolean;
}

export interface KafkaAccess {
  readonly brokers: readonly string[];
  readonly ssl: boolean;
  readonly sslCaFile?: string;
  readonly sslCertFile?: string;
  readonly sslKeyFile?: string;
  readonly sasl?: { readonly mechanism: string; readonly username: string; readonly password: string };
}

export interface ReaderOptions {
  readonly access: KafkaAccess;
  /** Topics that do not exist yet are waited for, until the reader is closed. */
  readonly topics: readonly TopicToRead[];
  readonly clock: Clock;
}

export interface TopicReader {
  readonly name: ReaderName;
  /** As the client names itself and its version. */
  readonly client: string;
  /** True when `end` is proven by the client; false when it is inferred from silence. */
  readonly endIsProven: boolean;
  /** Ends only when closed; throws CodedError `reader_failed`. May be iterated once. */
  readonly items: AsyncIterable<readonly ReaderItem[]>;
  /** May be called again. */
  close(): Promise<void>;
}

export const READER_NAMES = ['kcat', 'java', 'kafkajs'] as const;
export type ReaderName = (typeof READER_NAMES)[number];
