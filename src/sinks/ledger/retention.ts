/**
 * How long the ledger remembers, and what it does when it is full.
 *
 * K1 what is settled (done, failed) is forgotten when it is older than the retention, and not before
 * K2 what is not settled (in flight, parked, held) is never forgotten, however old
 * K3 a full ledger forgets nothing: it lets no command start until there is room. Forgetting early is sending twice
 * K4 there is room kept for what is at work to be written down: whatever has begun can end
 */
import { MAX_ENTRY_BYTES } from './codec.ts';
import type { LedgerEntry } from './entry.ts';

export const LEDGER_RETENTION_MS = 90 * 86_400_000;

export function isForgotten(entry: LedgerEntry, nowMs: number, retentionMs: number = LEDGER_RETENTION_MS): boolean {
  const isSettled = entry.kind === 'done' || entry.kind === 'failed';
  return isSettled && nowMs - entry.atMs > retentionMs;
}

export interface LedgerRoom {
  readonly bytes: number;
  readonly maxBytes: number;
  /** Commands at work: taken from their lanes and not settled, backing off or not. */
  readonly atWork: number;
  /** The records of these and of the one to be taken up: what comes to wait for a person is kept with its own. */
  readonly recordBytes: number;
}

/** Whether one more command may be taken up. */
export function hasRoom({ bytes, maxBytes, atWork, recordBytes }: LedgerRoom): boolean {
  return bytes + recordBytes + (atWork + 1) * MAX_ENTRY_BYTES <= maxBytes;
}
