/**
 * Quotas in the log: reservations and releases as they are appended, and the state as its compacted twin. Fields may be
 * added, never renamed or given another meaning.
 *
 * A state is one head and its chunks, each a record of its own, so that a step rewrites what it touched and no value
 * comes near the bound of one. T1: restored from the records that its changes wrote, in any order, a state is the same.
 */
import { z } from 'zod';
import { CodedError } from '../../base/errors.ts';
import type { Chunk, Fifo, FifoEntry } from './fifo.ts';
import { type GrantEntry, NEW_QUOTA, type QuotaRecord, type QuotaState, type ReleasedEntry } from './quota.ts';

export const MAX_RESERVATION_ID_LENGTH = 64;

const id = z.string().min(1).max(MAX_RESERVATION_ID_LENGTH);
const at = z.number();
const recordSchema = z.discriminatedUnion('op', [
  z.object({
    op: z.literal('reserve'),
    id,
    max: z.int().min(0),
    window_ms: z.int().min(1),
    fresh_ms: z.int().min(0),
  }),
  z.object({ op: z.literal('release'), id }),
]);
const headSchema = z.object({ version: z.literal(1), next_offset: z.int().min(0), last_ms: at });
const grantsSchema = z.object({ version: z.literal(1), granted: z.array(z.tuple([id, at])) });
const releasedSchema = z.object({
  version: z.literal(1),
  released: z.array(id),
});

export function encodeQuotaRecord(record: QuotaRecord): Buffer {
  if (record.op === 'release') return toBytes(record satisfies z.input<typeof recordSchema>);
  const { op, id: of, max, windowMs, freshMs } = record;
  return toBytes({ op, id: of, max, window_ms: windowMs, fresh_ms: freshMs } satisfies z.input<typeof recordSchema>);
}

/** Null for what is no such record. All readers skip it alike, so the log still decides. */
export function decodeQuotaRecord(bytes: Uint8Array | null): QuotaRecord | null {
  const parsed = recordSchema.safeParse(fromBytes(bytes));
  if (!parsed.success) return null;
  const { data } = parsed;
  if (data.op === 'release') return data;
  return { op: data.op, id: data.id, max: data.max, windowMs: data.window_ms, freshMs: data.fresh_ms };
}

const HEAD = '';
const GRANTED = '/granted-';
const RELEASED = '/released-';

/** What to write so that the twin holds `after` and no longer `before`: end of the key → value, null = gone. */
export function quotaTwinChanges(before: QuotaState, after: QuotaState): ReadonlyMap<string, Buffer | null> {
  const changes = new Map<string, Buffer | null>();
  if (before.nextOffset !== after.nextOffset || before.lastMs !== after.lastMs) {
    changes.set(HEAD, toBytes({ version: 1, next_offset: after.nextOffset, last_ms: after.lastMs }));
  }
  changedChunks(before.granted, after.granted, (number, entries) => {
    const granted = entries?.map(({ id: of, atMs }): [string, number] => [of, atMs]);
    changes.set(`${GRANTED}${number}`, granted === undefined ? null : toBytes({ version: 1, granted }));
  });
  changedChunks(before.released, after.released, (number, entries) => {
    const released = entries?.map(({ id: of }) => of);
    changes.set(`${RELEASED}${number}`, released === undefined ? null : toBytes({ version: 1, released }));
  });
  return changes;
}

function changedChunks<E extends FifoEntry>(
  before: Fifo<E>,
  after: Fifo<E>,
  tell: (number: number, entries: readonly E[] | undefined) => void,
): void {
  const gone = new Map(before.chunks.map((chunk) => [chunk.number, chunk]));
  for (const chunk of after.chunks) {
    if (gone.get(chunk.number) !== chunk) tell(chunk.number, chunk.entries);
    gone.delete(chunk.number);
  }
  for (const number of gone.keys()) tell(number, undefined);
}

/** `records`: end of the key → value, in any order. What cannot be read is not left out: that would grant too much. */
export function restoreQuota(records: Iterable<readonly [suffix: string, value: Uint8Array]>): QuotaState {
  let { nextOffset, lastMs } = NEW_QUOTA;
  const granted: Chunk<GrantEntry>[] = [];
  const released: Chunk<ReleasedEntry>[] = [];
  for (const [suffix, value] of records) {
    if (suffix === HEAD) {
      const head = parse(headSchema, suffix, value);
      nextOffset = head.next_offset;
      lastMs = head.last_ms;
    } else if (suffix.startsWith(GRANTED)) {
      const entries = parse(grantsSchema, suffix, value).granted.map(([of, atMs]) => ({ id: of, atMs }));
      granted.push({ number: numberOf(suffix, GRANTED), entries });
    } else {
      const entries = parse(releasedSchema, suffix, value).released.map((of) => ({ id: of }));
      released.push({ number: numberOf(suffix, RELEASED), entries });
    }
  }
  return {
    nextOffset,
    lastMs,
    granted: NEW_QUOTA.granted.withChunks(granted),
    released: NEW_QUOTA.released.withChunks(released),
  };
}

function numberOf(suffix: string, kind: string): number {
  const number = Number(suffix.slice(kind.length));
  if (suffix.startsWith(kind) && /^\d+$/.test(suffix.slice(kind.length))) return number;
  throw unreadable(suffix);
}

function parse<T>(schema: z.ZodType<T>, suffix: string, value: Uint8Array): T {
  const parsed = schema.safeParse(fromBytes(value));
  if (parsed.success) return parsed.data;
  throw unreadable(suffix);
}

function unreadable(suffix: string): CodedError {
  return new CodedError('policy_state_unreadable', `The record ${suffix || 'head'} of a quota cannot be read`, {
    record: suffix,
  });
}

function toBytes(plain: object): Buffer {
  return Buffer.from(JSON.stringify(plain));
}

/** Undefined for what is no JSON. */
function fromBytes(bytes: Uint8Array | null): unknown {
  if (bytes === null) return undefined;
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}
