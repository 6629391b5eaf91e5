/**
 * Cites the invariants of consult.ts (L1–L6), moves.ts (L7–L10), resolve.ts (V) and retention.ts (K). Random moves of one key,
 * by owners of any epoch, beside a model that only counts: what was sent, what is known of it, what it is bound to.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_ENTRY_BYTES } from '../../../../src/sinks/ledger/codec.ts';
import { type Claim, consult } from '../../../../src/sinks/ledger/consult.ts';
import { type LedgerEntry, NO_POLICY, type Parked } from '../../../../src/sinks/ledger/entry.ts';
import { advance, type LedgerMove } from '../../../../src/sinks/ledger/moves.ts';
import { expireHeld, rejectHeld, resolveParked, waitsForPerson } from '../../../../src/sinks/ledger/resolve.ts';
import { hasRoom, isForgotten } from '../../../../src/sinks/ledger/retention.ts';
import { holds, same } from '../same.ts';
import { entry as anyEntry } from './arbitraries.ts';

const A = 'a'.repeat(32);
const B = 'b'.repeat(32);
const SUBJECT = {
  tenantId: 't',
  connectionId: 'c',
  capability: 'conversation.note.write',
  entityKey: 'conversation:1',
  idempotencyKey: 'k',
  commandId: '1',
};

interface Call {
  readonly epoch: number;
  readonly fingerprint: string;
}

const RECORD = { key: 'k', value: Buffer.from('as it came'), offset: 3, appendedAtMs: 1 };

const proof = fc.constantFrom('none' as const, 'refused' as const, 'absent' as const);
const epoch = fc.integer({ min: 1, max: 3 });
const fingerprint = fc.constantFrom(A, A, A, B);
const atMs = fc.nat(1000);
const move: fc.Arbitrary<LedgerMove> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ epoch, fingerprint, proof }).map(
      ({ epoch, fingerprint, proof }): LedgerMove => ({
        kind: 'begin',
        proof,
        entry: {
          fingerprint,
          receiptId: 'r',
          epoch,
          startedAtMs: 0,
          sendByMs: 5,
          deadlineMs: 10,
          attempt: 1,
          policy: NO_POLICY,
          approvedBy: null,
          record: null,
          sendable: true,
          basis: null,
        },
      }),
    ),
  },
  fc.record({ kind: fc.constant('complete' as const), atMs, vendorId: fc.constant('n1') }),
  fc.record({ kind: fc.constant('fail' as const), atMs, code: fc.constant('kustomer_refused' as const), epoch, proof }),
  fc.record({ kind: fc.constant('park' as const), atMs, subject: fc.constant(SUBJECT), record: fc.constant(RECORD) }),
  fc.record({
    kind: fc.constant('hold' as const),
    atMs,
    expiresAtMs: fc.constant(1000),
    fingerprint,
    receiptId: fc.constant('h'),
    subject: fc.constant(SUBJECT),
    policy: fc.constant(NO_POLICY),
    record: fc.constant(RECORD),
    epoch,
    proof,
  }),
  fc.record({ kind: fc.constant('release' as const), to: fc.constant(null), epoch, proof }),
);

/** Null where the move is not to be made. */
function tried(entry: LedgerEntry | null, next: LedgerMove): { readonly entry: LedgerEntry | null } | null {
  try {
    return { entry: advance(entry, next) };
  } catch (error) {
    holds(error instanceof RangeError, String(error));
    return null;
  }
}

/** What is known of the one call that may be open, in the words of the promise rather than of the entry. */
function mayForget(open: Call | null, by: { readonly epoch: number; readonly proof: string }): boolean {
  if (open === null) return true;
  if (by.epoch < open.epoch) return false;
  return by.proof === 'absent' || (by.proof === 'refused' && by.epoch === open.epoch);
}

function expected(entry: LedgerEntry | null, asked: Claim): string {
  if (entry === null) return 'free';
  if (entry.kind === 'in_flight' && entry.epoch > asked.epoch) return 'fenced';
  if (entry.fingerprint !== asked.fingerprint) return 'conflict';
  if (entry.kind === 'in_flight') return asked.live ? 'reconcile' : 'unknown';
  if (entry.kind === 'held') return asked.live && asked.approvedBy !== null ? 'approved' : 'duplicate';
  return { done: 'duplicate', failed: 'free', parked: 'unknown' }[entry.kind];
}

describe('the ledger', () => {
  it('L7–L10: never opens a second call over one that may happen, never leaves done, never binds a key anew', () => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 25, size: 'max' }), (moves) => {
        let entry: LedgerEntry | null = null;
        let open: Call | null = null;
        let bound: string | null = null;
        for (const next of moves) {
          const before: LedgerEntry | null = entry;
          const made = tried(before, next);
          if (made === null) continue;
          entry = made.entry;
          holds(before?.kind !== 'done', 'L7');
          if (next.kind === 'begin') {
            holds(mayForget(open, { epoch: next.entry.epoch, proof: next.proof }), 'L8');
            same(next.entry.fingerprint, bound ?? next.entry.fingerprint, 'L10');
            open = next.entry;
          } else if (next.kind === 'complete' || next.kind === 'park') {
            holds(before?.kind === 'in_flight' || before?.kind === 'parked', 'L9');
            open = null;
          } else {
            holds(mayForget(open, next), 'L9');
            open = null;
          }
          same(entry?.kind === 'in_flight', open !== null, 'L9');
          bound = entry?.fingerprint ?? null;
          if (before !== null && entry !== null) same(entry.fingerprint, before.fingerprint, 'L10');
        }
      }),
      { numRuns: 10_000 },
    );
  });

  it('L7–L10: and whatever should be possible is', () => {
    const reached = new Set<string>();
    fc.assert(
      fc.property(fc.array(move, { maxLength: 25, size: 'max' }), (moves) => {
        let entry: LedgerEntry | null = null;
        for (const next of moves) {
          const made = tried(entry, next);
          if (made === null) continue;
          reached.add(`${entry?.kind ?? 'nothing'} → ${made.entry?.kind ?? 'nothing'}`);
          entry = made.entry;
        }
      }),
      { numRuns: 10_000 },
    );
    expect([...reached].sort()).toEqual([
      'failed → held',
      'failed → in_flight',
      'held → failed',
      'held → in_flight',
      'in_flight → done',
      'in_flight → failed',
      'in_flight → held',
      'in_flight → in_flight',
      'in_flight → nothing',
      'in_flight → parked',
      'nothing → held',
      'nothing → in_flight',
      'parked → done',
      'parked → failed',
    ]);
  });

  it('L1–L6: says for every entry and claim what may be done, and lets nothing be sent that may have been', () => {
    const claim = fc.record({
      fingerprint: fc.constantFrom(A, B),
      epoch,
      live: fc.boolean(),
      approvedBy: fc.option(fc.constant('ann'), { nil: null }),
    });
    const entries = fc.option(
      anyEntry.chain((each) =>
        fc
          .record({ fingerprint: fc.constantFrom(A, B), epoch })
          .map((own): LedgerEntry => ({ ...each, ...own }) as never),
      ),
      { nil: null },
    );
    fc.assert(
      fc.property(entries, claim, (entry, asked) => {
        expect(consult(entry, asked).kind).toBe(expected(entry, asked));
      }),
      { numRuns: 10_000 },
    );
  });
});

describe('what waits for a person', () => {
  const common = { fingerprint: A, receiptId: 'first', atMs: 5, subject: SUBJECT, policy: NO_POLICY, record: RECORD };
  const parked: Parked = { kind: 'parked', ...common };
  const held = { kind: 'held' as const, ...common, expiresAtMs: 100 };
  const asked = { fingerprint: A, epoch: 9, live: true, approvedBy: null };

  it('V1: applied: later copies are duplicates of it', () => {
    const done = resolveParked(parked, { applied: true, vendorId: 'n1' }, 50);
    expect(done).toEqual({ kind: 'done', fingerprint: A, receiptId: 'first', atMs: 50, vendorId: 'n1' });
    expect(consult(done, asked).kind).toBe('duplicate');
  });

  it('V2: not applied: the key is free, for the same action only', () => {
    const failed = resolveParked(parked, { applied: false }, 50);
    expect(consult(failed, asked).kind).toBe('free');
    expect(consult(failed, { ...asked, fingerprint: B }).kind).toBe('conflict');
    expect(consult(parked, asked).kind).toBe('unknown');
  });

  it('V4: a hold ends refused, or expired when its time is over', () => {
    expect(expireHeld(held, 99)).toBeUndefined();
    expect(expireHeld(held, 100)).toMatchObject({ code: 'confirmation_expired', entry: { kind: 'failed' } });
    expect(rejectHeld(held, 99).code).toBe('confirmation_rejected');
    expect(rejectHeld(held, 100).code).toBe('confirmation_expired');
    expect([parked, held, rejectHeld(held, 0).entry].map(waitsForPerson)).toEqual([true, true, false]);
  });
});

describe('retention', () => {
  it('K1 K2: forgets what is settled and old, and never what is not settled', () => {
    fc.assert(
      fc.property(anyEntry, fc.nat(2 ** 43), fc.nat(2 ** 40), (entry, nowMs, retentionMs) => {
        const settledAtMs = entry.kind === 'done' || entry.kind === 'failed' ? entry.atMs : null;
        expect(isForgotten(entry, nowMs, retentionMs)).toBe(settledAtMs !== null && nowMs - settledAtMs > retentionMs);
      }),
    );
  });

  it('K3 K4: takes up no command that could not be written down with all that are at work', () => {
    const maxBytes = 10 * MAX_ENTRY_BYTES;
    expect(hasRoom({ bytes: 0, maxBytes, atWork: 9, recordBytes: 0 })).toBe(true);
    expect(hasRoom({ bytes: 0, maxBytes, atWork: 9, recordBytes: 1 })).toBe(false);
    expect(hasRoom({ bytes: 0, maxBytes, atWork: 10, recordBytes: 0 })).toBe(false);
    expect(hasRoom({ bytes: 1, maxBytes, atWork: 9, recordBytes: 0 })).toBe(false);
  });
});
