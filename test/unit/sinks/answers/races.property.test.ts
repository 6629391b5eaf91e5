import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type RacePlan, race, TTL_MS } from './world.ts';

/** Around the time of expiry, mostly. */
const atMs = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: TTL_MS - 60, max: TTL_MS + 40 }) },
  fc.integer({ min: 0, max: 2 * TTL_MS }),
);
const ms = fc.constantFrom(0, 1, 5, 30);

const plan: fc.Arbitrary<RacePlan> = fc.record({
  commands: fc.integer({ min: 1, max: 3 }),
  answers: fc.array(
    fc.record({
      of: fc.nat(2),
      answer: fc.constantFrom('approve', 'approve', 'approve', 'reject', 'reject', 'applied', 'not_applied'),
      atMs,
      copies: fc.constantFrom(1, 1, 2),
    }),
    { maxLength: 5, size: 'max' },
  ),
  ends: fc.array(fc.record({ atMs, how: fc.constantFrom('stop', 'crash'), gapMs: fc.constantFrom(0, 1, 20, 300) }), {
    maxLength: 3,
    size: 'max',
  }),
  fates: fc.array(fc.constantFrom('done', 'done', 'lost', 'unknown but done', 'unknown and lost'), {
    maxLength: 6,
    size: 'max',
  }),
  commitMs: ms,
  reserveMs: ms,
  callMs: ms,
});

const SEEN = ['applied ALERT', 'refused BLOCK confirmation_expired', 'refused BLOCK confirmation_rejected'];

describe('one receipt for each command that was held', () => {
  it('J1–J6, E1–E4, X1 X2: whoever answers, and whenever, and whatever becomes of its owners', async () => {
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(plan, async (each) => {
        const { world, held, startMs } = await race(each);
        expect(world.failures).toEqual([]);
        expect(world.dead).toEqual([]);
        expect(world.receipts).toHaveLength(held.length);
        for (const [index, { identity, receiptId, expiresAtMs }] of held.entries()) {
          const receipts = world.receipts.filter(({ receipt_id }) => receipt_id === receiptId);
          expect(receipts).toHaveLength(1);
          const [receipt] = receipts;
          const code = receipt?.error?.code ?? null;
          const isApplied = receipt?.outcome === 'applied';
          seen.add(`${receipt?.outcome} ${receipt?.verdict.decision}${code === null ? '' : ` ${code}`}`);
          expect(world.notesOf(identity)).toBe(isApplied ? 1 : 0);
          expect(world.entries.get(identity)?.kind).toBe(isApplied ? 'done' : 'failed');
          const said = each.answers.filter(({ of }) => of % held.length === index);
          const inTime = said.filter(({ atMs }) => startMs + atMs < expiresAtMs).map(({ answer }) => answer);
          // Nothing happens that nobody asked for in time.
          if (isApplied) expect(inTime).toContain('approve');
          if (code === 'confirmation_rejected') expect(inTime).toContain('reject');
          if (!inTime.some((answer) => answer === 'approve' || answer === 'reject')) {
            expect(code).toBe('confirmation_expired');
          }
          expect(receipt?.approver ?? 'ann').toBe('ann');
        }
      }),
      { numRuns: 500 },
    );
    expect([...seen].toSorted()).toEqual(SEEN);
  }, 120_000);
});
