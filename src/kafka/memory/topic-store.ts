/** The topics of the in-memory broker: names, configurations, partitions, and where an append belongs. */
import { CodedError } from '../../base/errors.ts';
import { choosePartition } from '../murmur2.ts';
import type { Append, Headers, LogRecord, TopicDescription, TopicPartition, TopicSpec } from '../port.ts';
import { Partition } from './partition.ts';

interface Topic {
  readonly name: string;
  config: Readonly<Record<string, string>>;
  readonly partitions: Partition[];
  /** Where the next record without a key goes. */
  turn: number;
}

/** A record that has found its partition; bytes are copied, as the wire would. */
export interface Placed {
  readonly log: Partition;
  readonly record: Omit<LogRecord, 'offset'>;
}

/** KafkaJS takes a key of this length in an aborted transaction for the marker; refused here so that tests find it. */
const MARKER_KEY_BYTES = 4;

export class TopicStore {
  readonly #topics = new Map<string, Topic>();

  /** False when the topic exists already; it is left untouched then. */
  create(spec: TopicSpec): boolean {
    if (this.#topics.has(spec.name)) return false;
    if (spec.partitions < 1) throw new CodedError('topic_invalid', 'a topic needs a partition', { topic: spec.name });
    const partitions = Array.from({ length: spec.partitions }, () => new Partition());
    this.#topics.set(spec.name, { name: spec.name, config: { ...spec.config }, partitions, turn: 0 });
    return true;
  }

  describe(names: readonly string[] = [...this.#topics.keys()]): readonly TopicDescription[] {
    return names.flatMap((name) => {
      const topic = this.#topics.get(name);
      return topic === undefined ? [] : [{ name, partitions: topic.partitions.length, config: { ...topic.config } }];
    });
  }

  delete(name: string): void {
    this.#topics.delete(name);
  }

  grow(name: string, partitions: number): void {
    const topic = this.#topic(name);
    if (partitions < topic.partitions.length) {
      throw new CodedError('topic_invalid', 'partitions only ever grow', {
        topic: name,
        partitions: topic.partitions.length,
        asked: partitions,
      });
    }
    while (topic.partitions.length < partitions) topic.partitions.push(new Partition());
  }

  alter(name: string, config: Readonly<Record<string, string>>): void {
    const topic = this.#topic(name);
    topic.config = { ...topic.config, ...config };
  }

  partitionsOf(name: string): readonly Partition[] {
    return this.#topic(name).partitions;
  }

  partition({ topic, partition }: TopicPartition): Partition {
    const found = this.#topic(topic).partitions[partition];
    if (found === undefined) throw new CodedError('topic_invalid', 'no such partition', { topic, partition });
    return found;
  }

  /** Throws before anything is written when one of the records has no place. */
  place(appends: readonly Append[], nowMs: number): readonly Placed[] {
    return appends.map((append) => this.#place(append, nowMs));
  }

  #place(append: Append, nowMs: number): Placed {
    const { key, value } = append;
    if (key?.length === MARKER_KEY_BYTES) throw new RangeError('a key must not be exactly four bytes long (see port)');
    const topic = this.#topic(append.topic);
    const partition = append.partition ?? choosePartition(key, topic.partitions.length, topic.turn++);
    const log = this.partition({ topic: append.topic, partition });
    const appendTime = topic.config['message.timestamp.type'] === 'LogAppendTime';
    const record = {
      topic: append.topic,
      partition,
      key: key === null ? null : Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
      headers: copyHeaders(append.headers),
      timestampMs: appendTime ? nowMs : (append.timestampMs ?? nowMs),
    };
    return { log, record };
  }

  #topic(name: string): Topic {
    const topic = this.#topics.get(name);
    if (topic === undefined) throw new CodedError('topic_invalid', 'no such topic', { topic: name });
    return topic;
  }
}

function copyHeaders(headers: Append['headers'] = {}): Headers {
  const copy: Record<string, Buffer> = {};
  // The overloads of Buffer.from take a string or bytes, not their union.
  for (const [name, value] of Object.entries(headers)) {
    copy[name] = typeof value === 'string' ? Buffer.from(value) : Buffer.from(value);
  }
  return copy;
}
