/** Records between the port and KafkaJS. On the hot path in both directions: no work a record does not need. */
import type { ICustomPartitioner, IHeaders, KafkaMessage, Message, PartitionMetadata, TopicMessages } from 'kafkajs';
import { refuseMarkerKey } from '../marker-key.ts';
import { choosePartition } from '../murmur2.ts';
import type { Append, Headers, LogRecord } from '../port.ts';
import { groupPacked, packedOf } from './produce-request.ts';

const NO_HEADERS: Headers = Object.freeze({});

/** Groups appends by topic, order kept. Throws RangeError on the one key that is not safe. */
export function toTopicMessages(appends: readonly Append[], nowMs: number): TopicMessages[] {
  const byTopic = new Map<string, Message[]>();
  let topic: string | undefined;
  let messages: Message[] = [];
  for (const append of appends) {
    if (append.topic !== topic) {
      topic = append.topic;
      messages = byTopic.get(topic) ?? [];
      byTopic.set(topic, messages);
    }
    messages.push(toMessage(append, nowMs));
  }
  return Array.from(byTopic, ([name, list]) => ({ topic: name, messages: list }));
}

function toMessage(append: Append, nowMs: number): Message {
  refuseMarkerKey(append);
  const message: Message = {
    key: append.key,
    value: append.value,
    // Always given: KafkaJS computes a wrong highest timestamp for a batch in which only some records have one.
    timestamp: String(append.timestampMs ?? nowMs),
  };
  if (append.partition !== undefined) message.partition = append.partition;
  if (append.headers !== undefined) message.headers = append.headers as IHeaders;
  return message;
}

/** Partitions as the Java client does; a partition once chosen stays, also when KafkaJS retries the request. */
export const createPartitioner: ICustomPartitioner = () => {
  let turn = 0;
  return ({ message, partitionMetadata }) => {
    message.partition ??= choosePartition(message.key as Buffer | null, partitionMetadata.length, turn++);
    return message.partition;
  };
};

interface Grouping {
  readonly topic: string;
  readonly partitionMetadata: PartitionMetadata[];
  readonly messages: readonly Message[];
  readonly partitioner: ReturnType<ICustomPartitioner>;
}

/** Messages of one topic by partition, order kept. Takes the place of KafkaJS's own (see quirks.ts). */
export function groupByPartition({
  topic,
  partitionMetadata,
  messages,
  partitioner,
}: Grouping): Record<number, Message[]> {
  const groups: Record<number, Message[]> = {};
  if (partitionMetadata.length === 0) return groups;
  const packed = packedOf(messages);
  if (packed !== undefined) return groupPacked(packed, partitionMetadata.length);
  for (const message of messages) {
    const partition = partitioner({ topic, partitionMetadata, message });
    const group = groups[partition];
    if (group === undefined) groups[partition] = [message];
    else group.push(message);
  }
  return groups;
}

export function toRecords(topic: string, partition: number, messages: readonly KafkaMessage[]): LogRecord[] {
  return messages.map((message) => ({
    topic,
    partition,
    offset: Number(message.offset),
    key: message.key,
    value: message.value,
    headers: toHeaders(message.headers),
    timestampMs: Number(message.timestamp),
  }));
}

function toHeaders(headers: IHeaders | undefined): Headers {
  let result: Record<string, Buffer> | undefined;
  for (const name in headers) {
    const given = headers[name];
    const last = Array.isArray(given) ? given.at(-1) : given;
    if (last === undefined || last === null) continue;
    result ??= {};
    result[name] = typeof last === 'string' ? Buffer.from(last) : last;
  }
  return result ?? NO_HEADERS;
}
