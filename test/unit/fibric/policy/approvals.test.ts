/** Cites the invariants of approvals.ts (A1 to A6). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  APPROVAL_TTL_MS,
  type Approval,
  type ApprovalEvent,
  afterApproval,
  answerApproval,
  holdCommand,
  nextOfApproval,
} from '../../../../src/fibric/policy/approvals.ts';
import type { PolicyDecision } from '../../../../src/fibric/policy/evaluate.ts';

const HELD_MS = 1_000;
const citation = { policy: 'p', version: 2, rule: 1, text: 'require_confirmation: call.status.write' };
const held = holdCommand({ commandId: 'cmd_1', citation, nowMs: HELD_MS });
const answer = (kind: 'approve' | 'reject', nowMs: number, by = 'ann'): ApprovalEvent => ({
  kind,
  by,
  note: null,
  nowMs,
});
const tick = (nowMs: number): ApprovalEvent => ({ kind: 'tick', nowMs });

function answered(events: readonly ApprovalEvent[]) {
  let approval: Approval = held;
  const outcomes = events.map((event) => {
    const step = answerApproval(approval, event);
    approval = step.approval;
    return step.outcome;
  });
  return { approval, outcomes, said: `${outcomes.join(' ')} → ${approval.state}` };
}

const decision = (kind: PolicyDecision['decision']): PolicyDecision => ({
  decision: kind,
  cause: kind === 'BLOCK' ? 'denied' : 'allowed',
  citation,
  reason: '',
  quotas: [],
  flights: [],
});

const END_MS = HELD_MS + APPROVAL_TTL_MS;

describe('a held command', () => {
  it.each([
    ['approved', [answer('approve', 2_000)], 'changed → approved'],
    ['rejected', [answer('reject', 2_000)], 'changed → rejected'],
    ['A3: approved twice', [answer('approve', 2_000), answer('approve', 3_000, 'bob')], 'changed unchanged → approved'],
    ['A3: approved, then rejected', [answer('approve', 2_000), answer('reject', 3_000)], 'changed too_late → approved'],
    ['A3: rejected, then approved', [answer('reject', 2_000), answer('approve', 3_000)], 'changed too_late → rejected'],
    ['A2: not yet over', [tick(END_MS - 1), answer('approve', END_MS - 1)], 'unchanged changed → approved'],
    ['A2: over', [tick(END_MS)], 'changed → expired'],
    ['A2: over, and nobody noticed', [answer('approve', END_MS)], 'too_late → expired'],
    ['A2: answered after the end', [tick(END_MS), answer('reject', END_MS + 1)], 'changed too_late → expired'],
    ['A1: approved, then long nothing', [answer('approve', 2_000), tick(END_MS)], 'changed unchanged → approved'],
    ['A6: a clock that lies behind', [answer('approve', 0)], 'changed → approved'],
  ])('%s', (_, events, said) => {
    expect(answered(events).said).toBe(said);
  });

  it('lasts 72 hours unless told otherwise', () => {
    expect(held).toMatchObject({ state: 'pending', expiresAtMs: HELD_MS + 259_200_000 });
    expect(holdCommand({ commandId: 'c', citation, nowMs: 5, ttlMs: 7 }).expiresAtMs).toBe(12);
  });

  it('A3: the first answer stands, with who gave it', () => {
    const { approval } = answered([answer('approve', 2_000, 'ann'), answer('approve', 3_000, 'bob')]);
    expect(approval).toMatchObject({ answer: { by: 'ann', atMs: 2_000 } });
  });
});

describe('what comes next', () => {
  it('A5: follows from the state', () => {
    const next = (events: readonly ApprovalEvent[]) => nextOfApproval(answered(events).approval);
    expect(next([])).toEqual({ do: 'wait', untilMs: END_MS });
    expect(next([answer('approve', 2_000)])).toEqual({ do: 'decide' });
    expect(next([answer('reject', 2_000)])).toEqual({ do: 'refuse', cause: 'rejected', reason: 'ann rejected it' });
    expect(next([tick(END_MS)])).toMatchObject({ do: 'refuse', cause: 'expired' });
  });

  it('A4: an approval does not lift a BLOCK', () => {
    const { approval } = answered([answer('approve', 2_000)]);
    expect((['ALLOW', 'ALERT', 'BLOCK'] as const).map((kind) => afterApproval(approval, decision(kind)))).toEqual([
      'execute',
      'execute',
      'refuse',
    ]);
  });

  it('without an approval nothing is executed, whatever the policy says by now', () => {
    for (const events of [[], [answer('reject', 2_000)], [tick(END_MS)]]) {
      for (const kind of ['ALLOW', 'ALERT', 'BLOCK'] as const) {
        expect(afterApproval(answered(events).approval, decision(kind))).not.toBe('execute');
      }
    }
  });
});

it('A1 to A3: whatever is answered when, one state is reached and kept', () => {
  const at = fc.oneof(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: END_MS - 2, max: END_MS + 2 }));
  const events: fc.Arbitrary<ApprovalEvent> = fc.oneof(
    fc.record({
      kind: fc.constantFrom('approve' as const, 'reject' as const),
      by: fc.constantFrom('ann', 'bob'),
      note: fc.constant(null),
      nowMs: at,
    }),
    at.map(tick),
  );
  fc.assert(
    fc.property(fc.array(events, { maxLength: 12 }), (list) => {
      let approval: Approval = held;
      let changes = 0;
      for (const event of list) {
        const step = answerApproval(approval, event);
        if (step.approval !== approval) changes += 1;
        if (approval.state !== 'pending') expect(step.approval).toBe(approval);
        if (step.outcome === 'unchanged') expect(step.approval).toBe(approval);
        if (step.outcome === 'changed' && step.approval.state !== 'expired') expect(event.nowMs).toBeLessThan(END_MS);
        approval = step.approval;
      }
      expect(changes).toBe(approval.state === 'pending' ? 0 : 1);
    }),
    { numRuns: 10_000 },
  );
});
