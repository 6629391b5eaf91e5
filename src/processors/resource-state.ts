/**
 * What is remembered of one resource, and its bytes in the state topic.
 *
 * The bytes are the memory budget of the service (millions of resources) and are read and written once per record, so
 * they are packed by hand: a version byte, a byte of flags, then LEB128 numbers. About 50 bytes for a conversation
 * that changed its status eight times, 10 for a message. A reader refuses a version it does not know: guessing would
 * break the promise of exactly one envelope.
 */
import { NO_REVISIONS, type Revisions } from './revisions.ts';

/** Version 2 knows of SLA breaches. What has none is still written as version 1, which earlier releases read. */
export const STATE_VERSION = 2;
const VERSION_WITHOUT_BREACHES = 1;

export interface ResourceState {
  /** Its creation has been seen, by whichever path. */
  readonly created: boolean;
  /** Offset of the last raw record taken into account; -1 = none. */
  readonly lastRawOffset: number;
  /** Highest revision seen by whichever path; -1 = none. */
  readonly topRevision: number;
  /** Revisions whose webhook has been processed. */
  readonly revisions: Revisions;
  /** Revisions for which a poll emitted a change that is told by its revision. */
  readonly polledRevisions: Revisions;
  /** Latest known status of a conversation. */
  readonly status: TrackedStatus | null;
  /** How often it had been reopened when it had that status; null where Kustomer had counted none. */
  readonly reopenCount: number | null;
  /** Moves of the status at or before this time are settled: a poll that shows one shows nothing new. 0 = none. */
  readonly statusHorizonMs: number;
  /** The same for satisfaction answers. */
  readonly satisfactionHorizonMs: number;
  /** The same for breaches of SLAs, whoever shows them. */
  readonly breachHorizonMs: number;
  /** Oldest first. */
  readonly recents: readonly RecentChange[];
}

export interface TrackedStatus {
  readonly value: string;
  /** 0 where unknown. */
  readonly atMs: number;
  /** Revision it was seen at; -1 where unknown. */
  readonly revision: number;
}

export interface RecentChange {
  /** `token`: a delivery without revision; the others: a change by its identity. */
  readonly kind: 'status' | 'satisfaction' | 'token' | 'breach';
  /** 48-bit hash of the identity or token. */
  readonly hash: number;
  /** 0 where unknown. */
  readonly atMs: number;
  /** Seen by a poll and not by a webhook. */
  readonly pollOnly: boolean;
  /** Revision of the poll that saw it, for pollOnly ones; -1 where unknown or not needed. */
  readonly revision: number;
}

export const EMPTY_STATE: ResourceState = Object.freeze({
  created: false,
  lastRawOffset: -1,
  topRevision: -1,
  revisions: NO_REVISIONS,
  polledRevisions: NO_REVISIONS,
  status: null,
  reopenCount: null,
  statusHorizonMs: 0,
  satisfactionHorizonMs: 0,
  breachHorizonMs: 0,
  recents: [],
});

const HAS = {
  created: 1,
  polled: 2,
  status: 4,
  reopenCount: 8,
  statusHorizon: 16,
  satisfactionHorizon: 32,
  breachHorizon: 64,
} as const;
const STATUS_CODES = ['open', 'snoozed', 'done'] as const;
const OTHER_STATUS = 255;
const KINDS = ['status', 'satisfaction', 'token', 'breach'] as const;
const POLL_ONLY = 4;
const HASH_BYTES = 6;
/** A status longer than this is cut: it serves for comparison only. */
const MAX_STATUS_CHARS = 64;

class Writer {
  bytes = Buffer.allocUnsafeSlow(1024);
  position = 0;
  previousMs = 0;

  reserve(count: number): void {
    if (this.position + count <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * (this.position + count));
    this.bytes.copy(larger, 0, 0, this.position);
    this.bytes = larger;
  }

  byte(value: number): void {
    this.bytes[this.position++] = value;
  }

  /** Unsigned, up to 2^53 - 1: beyond 32 bits JavaScript's shifts do not reach. */
  number(value: number): void {
    let rest = value;
    while (rest > 0x7fffffff) {
      this.bytes[this.position++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      this.bytes[this.position++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.position++] = rest;
  }

  /** Signed, zigzag by arithmetic. */
  difference(value: number): void {
    this.number(value < 0 ? -2 * value - 1 : 2 * value);
  }

  /** Times of one resource lie close together: each is written as its distance to the one before. */
  time(atMs: number): void {
    this.difference(atMs - this.previousMs);
    this.previousMs = atMs;
  }

  hash(value: number): void {
    this.bytes.writeUIntBE(value, this.position, HASH_BYTES);
    this.position += HASH_BYTES;
  }
}

const MAX_NUMBER_BYTES = 8;
/** Everything but the intervals and recents, generously. */
const FIXED_BYTES = 10 * MAX_NUMBER_BYTES + 3 * MAX_STATUS_CHARS + 8;
const RECENT_BYTES = 1 + HASH_BYTES + 2 * MAX_NUMBER_BYTES;

/** Reused between calls: encoding is synchronous, and a fresh buffer per record would double its cost. */
const writer = new Writer();

export function encodeState(state: ResourceState): Buffer {
  const { status, recents, revisions, polledRevisions } = state;
  writer.position = 0;
  writer.reserve(
    FIXED_BYTES + (revisions.length + polledRevisions.length) * MAX_NUMBER_BYTES + recents.length * RECENT_BYTES,
  );
  writer.byte(hasBreaches(state) ? STATE_VERSION : VERSION_WITHOUT_BREACHES);
  writer.byte(
    (state.created ? HAS.created : 0) |
      (polledRevisions.length > 0 ? HAS.polled : 0) |
      (status !== null ? HAS.status : 0) |
      (state.reopenCount !== null ? HAS.reopenCount : 0) |
      (state.statusHorizonMs > 0 ? HAS.statusHorizon : 0) |
      (state.satisfactionHorizonMs > 0 ? HAS.satisfactionHorizon : 0) |
      (state.breachHorizonMs > 0 ? HAS.breachHorizon : 0),
  );
  writer.number(state.lastRawOffset + 1);
  writer.number(state.topRevision + 1);
  writeRevisions(revisions);
  if (polledRevisions.length > 0) writeRevisions(polledRevisions);
  if (status !== null) writeStatus(status);
  if (state.reopenCount !== null) writer.number(state.reopenCount);
  writer.previousMs = status?.atMs ?? 0;
  if (state.statusHorizonMs > 0) writer.time(state.statusHorizonMs);
  if (state.satisfactionHorizonMs > 0) writer.time(state.satisfactionHorizonMs);
  if (state.breachHorizonMs > 0) writer.time(state.breachHorizonMs);
  writer.byte(recents.length);
  for (const recent of recents) {
    writer.byte(KINDS.indexOf(recent.kind) | (recent.pollOnly ? POLL_ONLY : 0));
    writer.hash(recent.hash);
    if (recent.kind !== 'token') writer.time(recent.atMs);
    if (recent.pollOnly) writer.number(recent.revision + 1);
  }
  return Buffer.from(writer.bytes.subarray(0, writer.position));
}

function hasBreaches({ breachHorizonMs, recents }: ResourceState): boolean {
  return breachHorizonMs > 0 || recents.some(({ kind }) => kind === 'breach');
}

function writeRevisions(set: Revisions): void {
  writer.number(set.length / 2);
  let previous = 0;
  for (const bound of set) {
    writer.number(bound - previous);
    previous = bound;
  }
}

function writeStatus(status: TrackedStatus): void {
  const code = STATUS_CODES.indexOf(status.value as (typeof STATUS_CODES)[number]);
  writer.byte(code === -1 ? OTHER_STATUS : code);
  if (code === -1) {
    const bytes = Buffer.from(status.value.slice(0, MAX_STATUS_CHARS), 'utf8');
    writer.byte(bytes.length);
    writer.position += bytes.copy(writer.bytes, writer.position);
  }
  writer.number(status.atMs);
  writer.number(status.revision + 1);
}

class Reader {
  readonly bytes: Buffer;
  position = 0;
  previousMs = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  byte(): number {
    const value = this.bytes[this.position++];
    if (value === undefined) throw new RangeError('the state of a resource ends too early');
    return value;
  }

  number(): number {
    let value = this.byte();
    if (value < 0x80) return value;
    value &= 0x7f;
    let scale = 128;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  }

  difference(): number {
    const value = this.number();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  time(): number {
    this.previousMs += this.difference();
    return this.previousMs;
  }

  hash(): number {
    const value = this.bytes.readUIntBE(this.position, HASH_BYTES);
    this.position += HASH_BYTES;
    return value;
  }
}

/** Throws on bytes it did not write: a damaged state must stop the partition, not be taken for an empty one. */
export function decodeState(bytes: Buffer): ResourceState {
  const reader = new Reader(bytes);
  const version = reader.byte();
  if (version !== STATE_VERSION && version !== VERSION_WITHOUT_BREACHES)
    throw new RangeError(`state version ${version} is not known to this release`);
  const has = reader.byte();
  const lastRawOffset = reader.number() - 1;
  const topRevision = reader.number() - 1;
  const revisions = readRevisions(reader);
  const polledRevisions = (has & HAS.polled) !== 0 ? readRevisions(reader) : NO_REVISIONS;
  const status = (has & HAS.status) !== 0 ? readStatus(reader) : null;
  const reopenCount = (has & HAS.reopenCount) !== 0 ? reader.number() : null;
  reader.previousMs = status?.atMs ?? 0;
  const statusHorizonMs = (has & HAS.statusHorizon) !== 0 ? reader.time() : 0;
  const satisfactionHorizonMs = (has & HAS.satisfactionHorizon) !== 0 ? reader.time() : 0;
  const breachHorizonMs = (has & HAS.breachHorizon) !== 0 ? reader.time() : 0;
  const count = reader.byte();
  const recents: RecentChange[] = [];
  for (let i = 0; i < count; i++) {
    const marks = reader.byte();
    const kind = KINDS[marks & 3] as RecentChange['kind'];
    if (kind === 'breach' && version < STATE_VERSION) {
      throw new RangeError('the state of a resource holds a change of unknown kind');
    }
    const hash = reader.hash();
    const atMs = kind === 'token' ? 0 : reader.time();
    const pollOnly = (marks & POLL_ONLY) !== 0;
    recents.push({ kind, hash, atMs, pollOnly, revision: pollOnly ? reader.number() - 1 : -1 });
  }
  if (reader.position !== bytes.length) throw new RangeError('the state of a resource has bytes left over');
  return {
    created: (has & HAS.created) !== 0,
    lastRawOffset,
    topRevision,
    revisions,
    polledRevisions,
    status,
    reopenCount,
    statusHorizonMs,
    satisfactionHorizonMs,
    breachHorizonMs,
    recents,
  };
}

function readRevisions(reader: Reader): Revisions {
  const count = 2 * reader.number();
  const set: number[] = [];
  let bound = 0;
  for (let i = 0; i < count; i++) {
    bound += reader.number();
    set.push(bound);
  }
  return set;
}

function readStatus(reader: Reader): TrackedStatus {
  const code = reader.byte();
  let value: string | undefined = STATUS_CODES[code];
  if (code === OTHER_STATUS) {
    const length = reader.byte();
    value = reader.bytes.toString('utf8', reader.position, reader.position + length);
    reader.position += length;
  }
  if (value === undefined) throw new RangeError('the state of a resource holds an unknown status code');
  return { value, atMs: reader.number(), revision: reader.number() - 1 };
}

/** 48 bits that tell the changes of one resource apart; the resource itself need not be in `text`. */
export function hash48(text: string): number {
  let low = 0x811c9dc5;
  let high = 0x9e3779b9;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ code, 0x85ebca6b);
    high ^= high >>> 13;
  }
  low = Math.imul(low ^ (low >>> 16), 0xc2b2ae35);
  high = Math.imul(high ^ (high >>> 15), 0x27d4eb2f);
  return (((high ^ (high >>> 16)) & 0xffff) >>> 0) * 0x100000000 + ((low ^ (low >>> 13)) >>> 0);
}
