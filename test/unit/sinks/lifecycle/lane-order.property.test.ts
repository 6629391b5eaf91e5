/**
 * Cites the invariants of lane-order.ts (O) and of step.ts (C). One busy conversation, prepared ahead of its turns, whose
 * owners crash, freeze and are succeeded: what is known to be unsent is not read back, and nothing is sent twice for that.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { untruths } from './truth.ts';
import { type Fault, type Plan, type Record_, World } from './world.ts';

const fault: fc.Arbitrary<Fault> = fc.record({
  kind: fc.constantFrom('crash', 'crash', 'crash', 'freeze', 'usurp', 'hand_over'),
  atMs: fc.integer({ min: 1000, max: 1250 }),
  ms: fc.constantFrom(0, 30, 200, 700),
});

/** Mostly of their own identity; a copy now and then. */
const record = fc.record({
  copies: fc.constantFrom(0, 0, 0, 0, 0, 0, 1),
  readsFirst: fc.constantFrom(false, false, false, true),
  isDry: fc.constantFrom(false, false, false, false, false, true),
});

const plan: fc.Arbitrary<Plan> = fc.record({
  seed: fc.nat(),
  records: fc.array(record, { minLength: 4, maxLength: 12, size: 'max' }).map((records) =>
    records.map(({ copies, readsFirst, isDry }, offset): Record_ => {
      const key = `${Math.max(0, offset - copies)}`;
      const subject = {
        tenantId: 't',
        connectionId: 'c',
        capability: 'conversation.note.write',
        entityKey: 'conversation:x',
        idempotencyKey: key,
        commandId: `${offset}`,
      };
      const command = {
        identity: `x/${key}`,
        fingerprint: 'a'.repeat(32),
        receiptId: `r${offset}`,
        subject,
        readsFirst,
        record: null,
        mode: isDry ? ('dry_run' as const) : ('live' as const),
        deadlineMs: null,
        approvedBy: null,
      };
      return { lane: 'x', isValid: true, command };
    }),
  ),
  faults: fc.array(fault, { minLength: 1, maxLength: 5, size: 'max' }),
  vendor: fc.record({
    lostAfter: fc.constantFrom(0, 0, 0.1),
    lostBefore: fc.constantFrom(0, 0, 0.1),
    failedAfter: fc.constantFrom(0, 0, 0.1),
    limited: fc.constantFrom(0, 0, 0.1),
    conflict: fc.constant(0),
    refused: fc.constantFrom(0, 0.2, 0.5),
    notSent: fc.constantFrom(0, 0, 0.2),
    unclearReads: fc.constantFrom(0, 0, 0.5),
  }),
  blocks: fc.constantFrom(0, 0, 0.1),
  alerts: fc.constantFrom(0, 0, 0.1),
  limit: fc.constantFrom(3, 100),
  away: fc.constant(0),
  twice: fc.constantFrom(0, 0.3),
  ahead: fc.constantFrom(3, 6),
});

it('O1–O3, C14: of each owner that is gone one absence at the most is proved in a lane, and nothing is sent twice', () => {
  let spared = 0;
  fc.assert(
    fc.property(plan, (each) => {
      const world = new World(each).run();
      expect(untruths(world)).toEqual([]);
      for (const owner of world.owners) spared += owner.spared;
    }),
    { numRuns: 10_000 },
  );
  expect(spared).toBeGreaterThan(1000);
}, 120_000);
