/**
 * Cites the invariants of step.ts (C). Whole worlds: lanes, ledger and lifecycle together, against a Kustomer that counts.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ReceiptFacts } from '../../../../src/sinks/lifecycle/events.ts';
import { untruths } from './truth.ts';
import { type Fault, type Plan, type Record_, World } from './world.ts';

/** Mostly now and then, sometimes nearly always. */
const probability = (max: number) => fc.constantFrom(0, 0, 0, max / 3, max / 3, max, max, 0.7);

const record = fc.record({
  lane: fc.constantFrom('x', 'x', 'y', 'z'),
  key: fc.constantFrom('1', '1', '2', '3'),
  args: fc.constantFrom('a', 'a', 'a', 'a', 'b'),
  mode: fc.constantFrom('live' as const, 'live' as const, 'live' as const, 'live' as const, 'dry_run' as const),
  deadlineMs: fc.constantFrom(null, null, null, null, null, null, 1050, 1200, 1500, 2500),
  isValid: fc.constantFrom(true, true, true, true, true, true, true, false),
});

const fault: fc.Arbitrary<Fault> = fc.record({
  kind: fc.constantFrom('crash', 'freeze', 'usurp', 'hand_over'),
  atMs: fc.integer({ min: 1000, max: 1800 }),
  ms: fc.constantFrom(0, 30, 200, 700),
});

const plan: fc.Arbitrary<Plan> = fc.record({
  seed: fc.nat(),
  records: fc.array(record, { minLength: 1, maxLength: 16, size: 'max' }).map((records) =>
    records.map(({ lane, key, args, mode, deadlineMs, isValid }, offset): Record_ => {
      const subject = {
        tenantId: 't',
        connectionId: 'c',
        capability: 'conversation.note.write',
        entityKey: `conversation:${lane}`,
        idempotencyKey: key,
        commandId: `${offset}`,
      };
      const hex = (text: string) => Buffer.from(text.padEnd(16)).toString('hex');
      const readsFirst = key.length % 2 === 0 ? args === 'a' : offset % 2 === 0;
      const command = {
        identity: `${lane}/${key}`,
        readsFirst,
        fingerprint: hex(args),
        receiptId: `r${offset}`,
        subject,
      };
      return { lane, isValid, command: { ...command, record: null, mode, deadlineMs, approvedBy: null } };
    }),
  ),
  faults: fc.array(fault, { maxLength: 5, size: 'max' }),
  vendor: fc.record({
    lostAfter: probability(0.25),
    lostBefore: probability(0.15),
    failedAfter: probability(0.15),
    limited: probability(0.15),
    conflict: probability(0.15),
    refused: probability(0.15),
    notSent: probability(0.2),
    unclearReads: fc.constantFrom(0, 0.1, 0.5, 0.95),
  }),
  blocks: probability(0.15),
  alerts: probability(0.15),
  limit: fc.constantFrom(2, 100),
  away: probability(0.3),
  twice: probability(0.3),
  ahead: fc.constantFrom(0, 1, 3),
});

/** What must have come up in so many worlds, or they prove nothing. */
const EXPECTED = [
  'ALLOW applied',
  'ALLOW applied, read back',
  'ALLOW dry_run',
  'ALLOW failed attempts_exhausted',
  'ALLOW failed deadline_passed',
  'ALLOW failed kustomer_conflict',
  'ALLOW failed kustomer_refused',
  'ALLOW failed outcome_unknown',
  'ALERT applied',
  'ALERT applied, read back',
  'ALERT dry_run',
  'BLOCK dry_run idempotency_conflict',
  'BLOCK dry_run policy_blocked',
  'BLOCK refused command_invalid',
  'BLOCK refused deadline_passed',
  'BLOCK refused idempotency_conflict',
  'BLOCK refused limit_reached',
  'BLOCK refused outcome_unknown',
  'BLOCK refused policy_blocked',
  'DEDUP deduplicated',
  'DEDUP deduplicated confirmation_pending',
  'DEDUP dry_run',
];

function ending({ decision, outcome, code, reconciled }: ReceiptFacts): string {
  return `${decision} ${outcome}${code === null ? '' : ` ${code}`}${reconciled ? ', read back' : ''}`;
}

it('C1–C12: one receipt each, nothing twice, nothing out of order, whatever crashes, sleeps or gets lost', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(plan, (each) => {
      const world = new World(each).run();
      expect(untruths(world)).toEqual([]);
      for (const receipt of world.durable.receipts) seen.add(ending(receipt));
    }),
    { numRuns: 10_000 },
  );
  expect(EXPECTED.filter((each) => !seen.has(each))).toEqual([]);
}, 120_000);
