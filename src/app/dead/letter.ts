/** A dead letter as its record tells of it, without its body; and the raw record it is replayed as. Pure. */
import { createHash } from 'node:crypto';
import { CodedError } from '../../base/errors.ts';
import { HEADER } from '../../kafka/headers.ts';
import type { Append, Headers, LogRecord } from '../../kafka/port.ts';

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
  /** Where the raw record stands, as far as the headers say. */
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

/** What makes a raw record a dead letter; everything else came with it. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  HEADER.errorCode,
  HEADER.errorMessage,
  HEADER.sourceTopic,
  HEADER.sourcePartition,
  HEADER.sourceOffset,
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
 * The raw record again: same key, body and headers, by another channel, unless it was polled: a replayed body is read as a
 * webhook's. Its partition is the key's, as the receiver has it; one without a key goes where it came from. Throws `dead_letter_unknown` for a letter that did not come from `rawTopic`.
 */
export function replayOf(record: LogRecord, rawTopic: string): Append {
  const source = sourceOf(record.headers);
  if (source === null || record.headers[HEADER.sourceTopic]?.toString() !== rawTopic) {
    throw new CodedError('dead_letter_unknown', `${placeText(record)} is no dead letter of ${rawTopic}`);
  }
  const kept = Object.entries(record.headers).filter(([name]) => !OWN_HEADERS.has(name));
  return {
    topic: rawTopic,
    ...(record.key === null ? { partition: source.partition } : {}),
    key: record.key,
    value: record.value,
    headers: { ...Object.fromEntries(kept), ...(isPolled(record.headers) ? {} : { [HEADER.channel]: 'replay' }) },
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
  for (const part of [headers[HEADER.tenant], headers[HEADER.connection], key, value]) {
    hash.update(part === undefined || part === null ? 'none;' : `${part.length};`);
    if (part) hash.update(part);
  }
  return hash.digest('base64url');
}
