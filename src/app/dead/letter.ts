/** A dead letter as its record tells of it, without its body; and the record it is replayed as. Pure. */
import { createHash } from 'node:crypto';
import { CodedError } from '../../base/errors.ts';
import { HEADER } from '../../kafka/headers.ts';
import type { Append, Headers, LogRecord } from '../../kafka/port.ts';
import type { TopicNames } from '../../kafka/topics.ts';

/** Where a letter stands in the dead topic; written `2@17`. */
export interface Place {
  readonly partition: number;
  readonly offset: number;
}

export interface DeadLetter extends Place {
  readonly atMs: number;
  readonly tenantId: string | null;
  readonly connectionId: string | null;
  readonly eventName: string | null;
  readonly code: string | null;
  readonly message: string | null;
  /** Of a command, where its headers name one. */
  readonly commandId: string | null;
  /** Where the record stands that it was, as far as the headers say. */
  readonly sourceTopic: string | null;
  readonly source: Place | null;
  readonly bodyBytes: number;
  /** The same for two letters of one delivery, such as one that was replayed in vain. */
  readonly delivery: string;
}

export interface LetterFilter {
  readonly tenantId?: string | undefined;
  readonly code?: string | undefined;
  readonly sinceMs?: number | undefined;
}

/** Topics whose records become dead letters. */
export type SourceTopics = Pick<TopicNames, 'raw' | 'commands'>;

/** What makes a record a dead letter; everything else came with it. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  HEADER.errorCode,
  HEADER.errorMessage,
  HEADER.sourceTopic,
  HEADER.sourcePartition,
  HEADER.sourceOffset,
  HEADER.sourceKey,
]);

export function letterOf(record: LogRecord): DeadLetter {
  const { partition, offset, timestampMs: atMs, headers, value } = record;
  const text = (name: string): string | null => headers[name]?.toString() ?? null;
  return {
    partition,
    offset,
    atMs,
    tenantId: text(HEADER.tenant),
    connectionId: text(HEADER.connection),
    eventName: text(HEADER.eventName),
    code: text(HEADER.errorCode),
    message: text(HEADER.errorMessage),
    commandId: text(HEADER.commandId),
    sourceTopic: text(HEADER.sourceTopic),
    source: sourceOf(headers),
    bodyBytes: value?.length ?? 0,
    delivery: deliveryOf(record),
  };
}

export function matches(letter: DeadLetter, { tenantId, code, sinceMs }: LetterFilter): boolean {
  return (
    (tenantId === undefined || letter.tenantId === tenantId) &&
    (code === undefined || letter.code === code) &&
    (sinceMs === undefined || letter.atMs >= sinceMs)
  );
}

/**
 * The record again, in the topic it came from: same key, body and headers. Its partition is the key's, as its producer had
 * it; one without a key goes where it came from. A raw record comes by another channel, unless it was polled: a replayed body
 * is read as a webhook's. A command has its own key in a header, and is carried out as if it had come only now.
 * Throws `dead_letter_unknown` for a letter of no other topic.
 */
export function replayOf(record: LogRecord, topics: SourceTopics): Append {
  const { headers, value } = record;
  const source = sourceOf(headers);
  const topic = headers[HEADER.sourceTopic]?.toString();
  if (source === null || (topic !== topics.raw && topic !== topics.commands)) {
    const message = `${placeText(record)} is no dead letter of ${topics.raw} or ${topics.commands}`;
    throw new CodedError('dead_letter_unknown', message);
  }
  const isRaw = topic === topics.raw;
  const key = isRaw ? record.key : (headers[HEADER.sourceKey] ?? null);
  const kept = Object.entries(headers).filter(([name]) => !OWN_HEADERS.has(name));
  return {
    topic,
    ...(key === null ? { partition: source.partition } : {}),
    key,
    value,
    headers: {
      ...Object.fromEntries(kept),
      ...(isRaw && !isPolled(headers) ? { [HEADER.channel]: 'replay' } : {}),
    },
  };
}

export function placeText({ partition, offset }: Place): string {
  return `${partition}@${offset}`;
}

/** Throws `config_invalid` for anything but `<partition>@<offset>`. */
export function parsePlace(text: string): Place {
  const [, partition, offset] = /^(\d{1,6})@(\d{1,15})$/.exec(text) ?? [];
  if (partition !== undefined && offset !== undefined) return { partition: Number(partition), offset: Number(offset) };
  throw new CodedError(
    'config_invalid',
    `${JSON.stringify(text)} is no place of a dead letter; it is <partition>@<offset>, such as 2@17`,
  );
}

/** By partition, then as they were set aside. */
export function byPlace(a: Place, b: Place): number {
  return a.partition - b.partition || a.offset - b.offset;
}

function isPolled(headers: Headers): boolean {
  const channel = headers[HEADER.channel]?.toString();
  return channel === 'poll' || channel === 'backfill';
}

function sourceOf(headers: Headers): Place | null {
  const partition = headers[HEADER.sourcePartition]?.toString() ?? '';
  const offset = headers[HEADER.sourceOffset]?.toString() ?? '';
  if (!/^\d{1,6}$/.test(partition) || !/^\d{1,15}$/.test(offset)) return null;
  return { partition: Number(partition), offset: Number(offset) };
}

function deliveryOf({ key, value, headers }: LogRecord): string {
  const hash = createHash('sha256');
  for (const part of [headers[HEADER.tenant], headers[HEADER.connection], headers[HEADER.sourceKey] ?? key, value]) {
    hash.update(part === undefined || part === null ? 'none;' : `${part.length};`);
    if (part) hash.update(part);
  }
  return hash.digest('base64url');
}
