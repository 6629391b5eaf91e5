/**
 * The limit on dead letters: when most records cannot be processed, the fault is ours (a bad deploy) and setting them
 * all aside would swallow the topic. Pure; the tally is kept per partition in the state, in the transaction that also
 * holds the dead letters, so that it survives restarts and a batch decided twice is counted once.
 *
 * D0  Only what could be our fault counts. A body that is no JSON, a record that says not whose it is and a tenant whose
 *     topic cannot be had are the matter of their sender, of which there are many: they neither extend nor break a run,
 *     so that no sender can stop a shard for all the others.
 * D1  A tally begins with a dead letter and ends with the first good record once it has covered its window.
 * D2  The limit is reached by a run without a good record between, or by more than half of a window.
 * D3  Whoever finds it reached must not commit the batch at hand: nothing past the limit is set aside.
 */
import type { ErrorCode } from '../base/errors.ts';

export interface DeadLetterLimit {
  /** This many in a row. */
  readonly maxConsecutive: number;
  /** Records that one tally covers; more than half of them dead is too many. */
  readonly windowRecords: number;
}

export const DEAD_LETTER_LIMIT: DeadLetterLimit = { maxConsecutive: 100, windowRecords: 1000 };

export interface Tally {
  readonly consecutive: number;
  readonly seen: number;
  readonly dead: number;
}

const FRESH: Tally = { consecutive: 0, seen: 0, dead: 0 };

const NEVER_OURS: ReadonlySet<ErrorCode> = new Set(['body_malformed', 'record_unattributed', 'topic_invalid']);

/** D0: whether a record with this outcome (null = processed) says anything of us. */
export function isTallied(failure: ErrorCode | null): boolean {
  return failure === null || !NEVER_OURS.has(failure);
}

/** The tally after one more record; null while there is nothing to remember. */
export function tallied(tally: Tally | null, isDead: boolean, limit: DeadLetterLimit): Tally | null {
  if (tally === null && !isDead) return null;
  const { consecutive, seen, dead } = tally ?? FRESH;
  const next = { consecutive: isDead ? consecutive + 1 : 0, seen: seen + 1, dead: dead + (isDead ? 1 : 0) };
  const isOver = next.seen >= limit.windowRecords && next.consecutive === 0;
  return isOver ? null : next;
}

export function isLimitReached(tally: Tally | null, limit: DeadLetterLimit): boolean {
  return tally !== null && (tally.consecutive >= limit.maxConsecutive || 2 * tally.dead > limit.windowRecords);
}

const TALLY_BYTES = 12;

export function encodeTally({ consecutive, seen, dead }: Tally): Buffer {
  const bytes = Buffer.alloc(TALLY_BYTES);
  bytes.writeUInt32BE(consecutive, 0);
  bytes.writeUInt32BE(seen, 4);
  bytes.writeUInt32BE(dead, 8);
  return bytes;
}

export function decodeTally(bytes: Buffer): Tally {
  return { consecutive: bytes.readUInt32BE(0), seen: bytes.readUInt32BE(4), dead: bytes.readUInt32BE(8) };
}

/** Key of a partition's tally in its state. No resource has it: tenant ids begin with a letter or digit. */
export function tallyKey(partition: number): string {
  return `~dead-letters/${partition}`;
}
