/** Cites the invariants of step.ts (C). Stories, told event by event; the proofs are the property tests beside. */
import { describe, expect, it } from 'vitest';
import { failure } from '../../../../src/kustomer/client/outcome.ts';
import { type Held, type InFlight, type LedgerEntry, NO_POLICY } from '../../../../src/sinks/ledger/entry.ts';
import { backoffMs, LIFECYCLE_DEFAULTS as D, LIFECYCLE_DEFAULTS } from '../../../../src/sinks/lifecycle/config.ts';
import type {
  LifecycleEffect,
  LifecycleEvent,
  LiveCommand,
  PolicyDecision,
} from '../../../../src/sinks/lifecycle/events.ts';
import type { CallOutcome, ReadResult } from '../../../../src/sinks/lifecycle/outcome.ts';
import { newLife, step } from '../../../../src/sinks/lifecycle/step.ts';
import { outcomeOf } from '../../../../src/sinks/runner/vendor.ts';

const SUBJECT = {
  tenantId: 't_acme',
  connectionId: 'acme',
  capability: 'conversation.note.write',
  entityKey: 'conversation:1',
  idempotencyKey: 'op:1:note',
  commandId: 'c1',
};
const RECORD = { key: '1', value: Buffer.from('as it came'), offset: 4, appendedAtMs: 900_000 };
const COMMAND: LiveCommand = {
  identity: 'i',
  fingerprint: 'a'.repeat(32),
  receiptId: 'rc_mine',
  subject: SUBJECT,
  record: RECORD,
  mode: 'live',
  readsFirst: false,
  deadlineMs: null,
  approvedBy: null,
};
const POLICY = { policy: 'support-writes', version: 3, rule: 'allow note', tier: 1 };
const ALLOW: PolicyDecision = { decision: 'ALLOW', policy: POLICY, reserve: false };
const AMBIGUOUS: CallOutcome = { kind: 'ambiguous', code: 'kustomer_ambiguous', message: 'no answer' };
const APPLIED: CallOutcome = { kind: 'applied', vendorId: 'n1', unchanged: false };

type Answer = LifecycleEvent extends infer E ? (E extends { ask: number } ? Omit<E, 'ask'> : E) : never;

/** Tells a life one thing after another; answers go to whatever is open. */
class Story {
  life;
  nowMs = 1_000_000;
  leaseMs = 10_000;
  readonly effects: LifecycleEffect[] = [];

  constructor(command: Partial<LiveCommand> = {}, epoch = 5) {
    this.life = newLife({ ...COMMAND, ...command }, epoch);
  }

  tell(...events: readonly Answer[]): this {
    for (const event of events) {
      const full = { ask: this.life.ask, ...event } as LifecycleEvent;
      const at = { nowMs: this.nowMs, leaseUntilMs: this.nowMs + this.leaseMs, random: 0.5 };
      const { life, effects } = step(this.life, full, at);
      this.life = life;
      this.effects.push(...effects);
    }
    return this;
  }

  begin(entry: LedgerEntry | null = null, isUnsent = false): this {
    return this.tell({ kind: 'validated' }, { kind: 'turn' }, { kind: 'looked_up', entry, isUnsent });
  }

  /** Up to the call. */
  call(): this {
    return this.tell({ kind: 'decided', decision: ALLOW }, { kind: 'persisted' });
  }

  answer(outcome: CallOutcome): this {
    return this.tell({ kind: 'answered', outcome });
  }

  /** Until what is waited for. */
  wake(): this {
    const { last } = this;
    if (last?.kind === 'wait') this.nowMs = Math.max(this.nowMs, last.untilMs);
    return this.tell({ kind: 'woke' });
  }

  read(result: ReadResult['kind'] = 'absent'): this {
    const startedAtMs = this.nowMs;
    const message = 'no permission';
    return this.tell({
      kind: 'read',
      result: { kind: result, startedAtMs, vendorId: 'n1', retryAtMs: null, message } as never,
    });
  }

  get last(): LifecycleEffect | undefined {
    return this.effects.at(-1);
  }

  get kinds(): string[] {
    return this.effects.map(({ kind }) => kind);
  }

  get end() {
    const { last } = this;
    return last?.kind === 'finish' ? { receipt: last.receipt, entry: last.change?.entry ?? null } : undefined;
  }
}

const inFlight = (epoch: number, more: Partial<InFlight> = {}): InFlight => ({
  kind: 'in_flight',
  fingerprint: COMMAND.fingerprint,
  receiptId: 'rc_mine',
  epoch,
  startedAtMs: 900_000,
  sendByMs: 995_000,
  deadlineMs: 1_005_000,
  attempt: 1,
  policy: POLICY,
  approvedBy: null,
  record: null,
  sendable: true,
  basis: null,
  ...more,
});

describe('a command', () => {
  it('C1: is in the ledger before it is on the wire, and done in it after', () => {
    const story = new Story().begin().tell({ kind: 'decided', decision: ALLOW });
    expect(story.kinds).toEqual(['look_up', 'ask_policy', 'persist']);
    story.tell({ kind: 'persisted' });
    expect(story.last).toMatchObject({ kind: 'call', attempt: 1, sendByMs: 1_005_000, abortAtMs: 1_015_000 });
    story.answer(APPLIED);
    expect(story.end?.entry).toEqual({
      kind: 'done',
      fingerprint: COMMAND.fingerprint,
      receiptId: 'rc_mine',
      atMs: 1_000_000,
      vendorId: 'n1',
    });
    expect(story.end?.receipt).toMatchObject({ decision: 'ALLOW', outcome: 'applied', policy: POLICY, attempts: 1 });
  });

  it('C2: of unknown outcome is read back; found, it is done', () => {
    const story = new Story().begin().call().answer(AMBIGUOUS).wake().read('found');
    expect(story.end?.receipt).toMatchObject({ outcome: 'applied', vendorId: 'n1', reconciled: true, attempts: 1 });
    expect(story.kinds.filter((kind) => kind === 'call')).toHaveLength(1);
  });

  it('C2: is sent again when reads that could not have missed it agree that it is not there, and the policy agrees too', () => {
    const story = new Story().begin().call().answer(AMBIGUOUS);
    for (const _ of D.earlyReadsMs) story.wake().read();
    expect(story.nowMs).toBeLessThan(1_000_000 + D.visibilityMs);
    story.wake().read();
    expect(story.nowMs).toBe(1_000_000 + D.visibilityMs);
    expect(story.last?.kind, 'one read is not enough').toBe('wait');
    story.wake().read();
    expect(story.last?.kind).toBe('ask_policy');
    story.call();
    expect(story.last).toMatchObject({ kind: 'call', attempt: 2 });
  });

  it('C5: that cannot be read back is parked, when its call is surely over', () => {
    const story = new Story().begin().call().answer(AMBIGUOUS).wake().read('unreadable');
    expect(story.last).toMatchObject({ kind: 'wait', why: 'settle', untilMs: 1_000_000 + D.visibilityMs });
    story.wake();
    expect(story.end?.receipt).toMatchObject({ outcome: 'failed', code: 'outcome_unknown' });
    expect(story.end?.entry).toMatchObject({ kind: 'parked', subject: SUBJECT, policy: POLICY, record: RECORD });
  });

  it('C5: that another owner may have on the wire is left alone until deadline and guard are over; then only read', () => {
    const story = new Story({ deadlineMs: 1 }).begin(inFlight(4));
    expect(story.last).toMatchObject({ kind: 'wait', untilMs: 1_005_000 + D.guardMs + 200 });
    story.wake();
    expect(story.last?.kind).toBe('read_back');
    story.read('found');
    expect(story.end?.receipt, 'its deadline has passed, but it was done').toMatchObject({
      outcome: 'applied',
      policy: POLICY,
      attempts: 1,
      startedAtMs: 900_000,
    });
  });

  it('C14: that another owner had not come to send is taken up at once, and no call of that owner is counted', () => {
    const story = new Story().begin(inFlight(4, { sendable: false, attempt: 3 }));
    expect(story.last?.kind).toBe('ask_policy');
    story.call();
    expect(story.last).toMatchObject({ kind: 'call', attempt: 3 });
    const reading = new Story({ readsFirst: true }).begin().tell({ kind: 'decided', decision: ALLOW });
    expect(reading.last).toMatchObject({ kind: 'persist', change: { entry: { sendable: false, basis: null } } });
  });

  it('C14: that is known by the order of its lane to be unsent is taken up at once', () => {
    const story = new Story().begin(inFlight(4), true);
    expect(story.last?.kind).toBe('ask_policy');
    expect(story.call().last).toMatchObject({ kind: 'call', attempt: 1 });
  });

  it('C15: whose connection is gone is settled where something may have been sent, and never called', () => {
    const doubted = new Story({ disconnected: true }).begin(inFlight(4)).wake().read('unreadable');
    doubted.wake();
    expect(doubted.end?.receipt).toMatchObject({ decision: 'ALLOW', outcome: 'failed', code: 'outcome_unknown' });
    expect(doubted.end?.entry).toMatchObject({ kind: 'parked' });
    // Its connection came back meanwhile, and shows it, or that it is not there: then nobody calls through it all the same.
    const found = new Story({ disconnected: true }).begin(inFlight(4)).wake().read('found');
    expect(found.end?.receipt).toMatchObject({ outcome: 'applied', reconciled: true });
    const absent = new Story({ disconnected: true }).begin(inFlight(4)).wake().read();
    for (let reads = 0; absent.end === undefined && reads < D.maxReads; reads++) absent.wake().read();
    const unsent = new Story({ disconnected: true }).begin(inFlight(4, { sendable: false }));
    const behind = new Story({ disconnected: true }).begin(inFlight(4), true);
    for (const story of [absent, unsent, behind]) {
      expect(story.end?.receipt).toMatchObject({ decision: 'BLOCK', outcome: 'refused', code: 'connection_unknown' });
      expect(story.end?.entry).toMatchObject({ kind: 'failed', code: 'connection_unknown' });
    }
    for (const story of [doubted, found, absent, unsent, behind]) {
      expect(story.kinds.filter((kind) => ['call', 'persist', 'ask_policy'].includes(kind))).toEqual([]);
    }
  });

  it('C6: is not called after its deadline, nor made to wait past it', () => {
    const late = new Story({ deadlineMs: 999_999 }).begin();
    expect(late.end).toEqual({ entry: null, receipt: expect.objectContaining({ code: 'deadline_passed' }) });
    const waiting = new Story({ deadlineMs: 1_000_050 }).begin().call();
    expect(waiting.last).toMatchObject({ kind: 'call', sendByMs: 1_000_050 });
    waiting.answer({ kind: 'retry_later', code: 'kustomer_rate_limited', message: '429', retryAtMs: 1_060_000 });
    expect(waiting.end?.receipt).toMatchObject({ outcome: 'failed', code: 'deadline_passed' });
    expect(waiting.end?.entry).toMatchObject({ kind: 'failed', code: 'deadline_passed' });
  });

  it('C4: waits without a lease, and is written down anew before it is called', () => {
    const story = new Story();
    story.leaseMs = 0;
    story.begin().call();
    expect(story.last).toMatchObject({ kind: 'wait', why: 'lease' });
    story.leaseMs = 10_000;
    story.nowMs += 60_000;
    story.wake().tell({ kind: 'decided', decision: ALLOW });
    expect(story.last?.kind, 'the old one does not let us send any more').toBe('persist');
    expect(story.tell({ kind: 'persisted' }).last?.kind).toBe('call');
  });

  it('C8: that never gets its lease, or whose log is too slow, is given up after its patience', () => {
    const story = new Story();
    story.leaseMs = 0;
    story.begin();
    for (let count = 0; story.end === undefined; count++) {
      expect(count).toBeLessThan(500);
      if (story.last?.kind === 'wait') story.wake();
      else story.call();
    }
    expect(story.end.receipt).toMatchObject({ outcome: 'refused', code: 'attempts_exhausted', attempts: 0 });
    expect(story.nowMs).toBeLessThanOrEqual(1_000_000 + D.patienceMs);
  });

  it('C8: that is lost each time is sent again so often and no more', () => {
    const story = new Story().begin();
    while (story.end === undefined) {
      if (story.last?.kind === 'ask_policy') story.call();
      else if (story.last?.kind === 'call') story.answer(AMBIGUOUS);
      else if (story.last?.kind === 'wait') story.wake();
      else story.read();
    }
    expect(story.end.receipt).toMatchObject({
      outcome: 'failed',
      code: 'attempts_exhausted',
      attempts: 1 + D.maxResends,
    });
    expect(story.end.entry?.kind).toBe('failed');
  });

  it('C7: that may not be sent any more after a wait is blocked, and the ledger does not keep it in flight', () => {
    const story = new Story().begin().call();
    story.answer({ kind: 'retry_later', code: 'kustomer_not_sent', message: 'refused', retryAtMs: null }).wake();
    const block = { decision: 'BLOCK', policy: NO_POLICY, code: 'policy_blocked', message: 'no rule' } as const;
    story.tell({ kind: 'decided', decision: block });
    expect(story.end?.receipt).toMatchObject({ decision: 'BLOCK', outcome: 'refused', code: 'policy_blocked' });
    expect(story.end?.entry?.kind).toBe('failed');
  });

  it('is refused by its action, or found done already, without Kustomer having been written to', () => {
    const backwards = {
      kind: 'refused',
      code: 'command_invalid',
      message: 'completed does not become ringing',
    } as const;
    expect(new Story().begin().call().answer(backwards).end).toMatchObject({
      receipt: { decision: 'ALLOW', outcome: 'refused' },
      entry: { kind: 'failed' },
    });
    const unchanged = new Story()
      .begin()
      .call()
      .answer({ ...APPLIED, unchanged: true });
    expect(unchanged.end).toMatchObject({ receipt: { outcome: 'applied', unchanged: true }, entry: { kind: 'done' } });
  });

  it('meets a conflict: reads again, and decides again', () => {
    const conflict = { kind: 'conflict', code: 'kustomer_conflict', message: '409' } as const;
    const story = new Story().begin().call().answer(conflict).wake().tell({ kind: 'decided', decision: ALLOW });
    expect(story.last).toMatchObject({ kind: 'call', attempt: 2, reread: true });
  });

  it('is told of a first one by the ledger, whatever the policy would say now', () => {
    const done = {
      kind: 'done',
      fingerprint: COMMAND.fingerprint,
      receiptId: 'rc_first',
      atMs: 1,
      vendorId: 'n9',
    } as const;
    const story = new Story({ deadlineMs: 1 }).begin(done);
    expect(story.kinds).toEqual(['look_up', 'finish']);
    expect(story.end).toMatchObject({
      receipt: { decision: 'DEDUP', outcome: 'deduplicated', firstReceiptId: 'rc_first', vendorId: 'n9', attempts: 0 },
      entry: null,
    });
    const other = new Story({ fingerprint: 'b'.repeat(32) }).begin(done);
    expect(other.end?.receipt).toMatchObject({ outcome: 'refused', code: 'idempotency_conflict' });
  });

  it('failed before, may be tried again: nothing was done', () => {
    const failed = {
      kind: 'failed',
      fingerprint: COMMAND.fingerprint,
      receiptId: 'r',
      atMs: 1,
      code: 'kustomer_permission',
    } as const;
    expect(new Story().begin(failed).call().answer(APPLIED).end?.entry).toMatchObject({
      kind: 'done',
      receiptId: 'rc_mine',
    });
  });

  it('dry, ends with what would happen, and leaves nothing behind', () => {
    const story = new Story({ mode: 'dry_run' })
      .begin()
      .tell({ kind: 'decided', decision: { ...ALLOW, reserve: true } });
    expect(story.kinds).toEqual(['look_up', 'ask_policy', 'finish']);
    expect(story.end).toMatchObject({
      receipt: { decision: 'ALLOW', outcome: 'dry_run', policy: POLICY },
      entry: null,
    });
  });
});

describe('C7: a place in the limit', () => {
  const LIMITED: PolicyDecision = { ...ALLOW, reserve: true };
  const later = { kind: 'retry_later', code: 'kustomer_not_sent', message: 'm', retryAtMs: null } as const;
  const asked = () => new Story().begin().tell({ kind: 'decided', decision: LIMITED });
  const had = (story: Story, forMs: number) => story.tell({ kind: 'reserved', untilMs: story.nowMs + forMs });

  it('is kept for the next attempt while it lasts for it, and asked for again under its name when it does not', () => {
    const story = had(asked(), 10_000).tell({ kind: 'persisted' }).answer(later).wake();
    story.tell({ kind: 'decided', decision: LIMITED });
    expect(story.last?.kind).toBe('call');
    story.answer(later).wake();
    story.nowMs += 9000;
    story.tell({ kind: 'decided', decision: LIMITED });
    expect(story.last).toMatchObject({ kind: 'reserve', reservationId: 'rc_mine' });
  });

  it('in another limit than the policy asks for now is none', () => {
    const story = had(asked(), 10_000).tell({ kind: 'persisted' }).answer(later).wake();
    story.tell({ kind: 'decided', decision: { ...LIMITED, moved: true } });
    expect(story.last).toMatchObject({ kind: 'reserve', reservationId: 'rc_mine' });
  });

  it('that ends sooner than the time for sending bounds it', () => {
    const story = had(asked(), 300).tell({ kind: 'persisted' });
    expect(story.last).toMatchObject({ kind: 'call', sendByMs: story.nowMs + 300 });
  });

  it('that nobody can tell of is waited for: neither run nor refused as limited', () => {
    const story = asked().tell({ kind: 'unavailable', message: 'the log is away' });
    expect(story.last).toMatchObject({ kind: 'wait', why: 'limit' });
    story.wake().tell({ kind: 'decided', decision: LIMITED });
    expect(story.last?.kind).toBe('reserve');
    expect(story.kinds).not.toContain('persist');
    story.nowMs += LIFECYCLE_DEFAULTS.patienceMs;
    story.tell({ kind: 'unavailable', message: 'the log is away' });
    expect(story.end?.receipt).toMatchObject({ outcome: 'refused', code: 'attempts_exhausted', attempts: 0 });
  });

  it('that is refused ends the command', () => {
    expect(asked().tell({ kind: 'limited', message: '2 per hour' }).end?.receipt).toMatchObject({
      decision: 'BLOCK',
      outcome: 'refused',
      code: 'limit_reached',
      message: '2 per hour',
    });
  });
});

describe('a command that needs approval', () => {
  const alert = { decision: 'ALERT', policy: POLICY, reserve: true, expiresAtMs: 2_000_000 } as const;
  const held = new Story().begin().tell({ kind: 'decided', decision: alert }).end?.entry as Held;

  it('C10: is held without a receipt; approved, it runs and the receipt is its own', () => {
    expect(held).toMatchObject({
      kind: 'held',
      receiptId: 'rc_mine',
      expiresAtMs: 2_000_000,
      subject: SUBJECT,
      record: RECORD,
    });
    const story = new Story({ receiptId: 'rc_approval', approvedBy: 'ann' }).begin(held);
    story.tell({ kind: 'decided', decision: alert });
    expect(story.last).toMatchObject({ kind: 'reserve', reservationId: 'rc_mine' });
    story.tell({ kind: 'reserved', untilMs: story.nowMs + 10_000 }, { kind: 'persisted' }).answer(APPLIED);
    expect(story.end?.receipt).toMatchObject({
      receiptId: 'rc_mine',
      decision: 'ALERT',
      outcome: 'applied',
      approvedBy: 'ann',
    });
  });

  it('C10: approved twice, or too late, or when blocked by now, does not run', () => {
    const approval = { receiptId: 'rc_approval', approvedBy: 'ann' };
    expect(new Story(approval).begin().end).toEqual({ receipt: null, entry: null });
    const late = new Story(approval);
    late.nowMs = 2_000_000;
    expect(late.begin(held).end?.receipt).toMatchObject({ receiptId: 'rc_mine', code: 'confirmation_expired' });
    const block = { decision: 'BLOCK', policy: NO_POLICY, code: 'policy_blocked', message: 'no rule' } as const;
    const blocked = new Story(approval).begin(held).tell({ kind: 'decided', decision: block });
    expect(blocked.end).toMatchObject({
      receipt: { receiptId: 'rc_mine', decision: 'BLOCK' },
      entry: { kind: 'failed' },
    });
  });
});

describe('C9: stopping', () => {
  it('lets a call end, and calls no more', () => {
    const applied = new Story().begin().call().tell({ kind: 'stop' });
    expect(applied.last?.kind).toBe('call');
    expect(applied.answer(APPLIED).end?.receipt?.outcome).toBe('applied');
    const later = new Story().begin().call().tell({ kind: 'stop' });
    later.answer({ kind: 'retry_later', code: 'kustomer_rate_limited', message: '429', retryAtMs: null });
    expect(later.last).toEqual({ kind: 'abandon', change: { identity: 'i', entry: null } });
  });

  it('gives back what was not sent, and leaves what may have been for the next owner', () => {
    const unsent = new Story()
      .begin()
      .tell({ kind: 'decided', decision: ALLOW }, { kind: 'stop' }, { kind: 'persisted' });
    expect(unsent.last).toEqual({ kind: 'abandon', change: { identity: 'i', entry: null } });
    const unknown = new Story().begin().call().answer(AMBIGUOUS).tell({ kind: 'stop' });
    expect(unknown.last).toEqual({ kind: 'abandon', change: null });
    const ambiguous = new Story().begin().call().tell({ kind: 'stop' }).answer(AMBIGUOUS);
    expect(ambiguous.last).toEqual({ kind: 'abandon', change: null });
  });

  it('when the partition is lost nothing more is done at all', () => {
    const lost = new Story().begin().call().tell({ kind: 'lost' });
    const before = lost.effects.length;
    expect(lost.answer(APPLIED).effects.length).toBe(before);
    expect(new Story().begin(inFlight(6)).last, 'a later owner has it').toEqual({ kind: 'abandon', change: null });
  });
});

describe('outcomes of calls', () => {
  it.each([
    ['not_sent', 'retry_later'],
    ['wait', 'retry_later'],
    ['retry', 'retry_later'],
    ['conflict', 'conflict'],
    ['permission', 'failed_final'],
    ['config', 'failed_final'],
    ['refuse', 'failed_final'],
    ['ambiguous', 'ambiguous'],
  ] as const)('%s is %s', (kind, expected) => {
    expect(outcomeOf(failure(kind, { operation: 'note.create', message: 'm' })).kind).toBe(expected);
  });

  it('ok is applied, with the id Kustomer told', () => {
    const ok = { kind: 'ok', status: 201, headers: {}, body: { data: { type: 'note', id: 'n1' } } } as const;
    expect(outcomeOf(ok)).toEqual(APPLIED);
  });

  it('an id that would not fit the ledger is not kept', () => {
    const long = new Story()
      .begin()
      .call()
      .answer({ ...APPLIED, vendorId: 'x'.repeat(513) });
    expect(long.end).toMatchObject({
      receipt: { outcome: 'applied', vendorId: null },
      entry: { kind: 'done', vendorId: null },
    });
  });
});

it('backs off twice as long each time, up to a bound, and never in step', () => {
  const waits = [0, 1, 2, 3, 20, 1000].map((times) => backoffMs(times, 0, LIFECYCLE_DEFAULTS));
  expect(waits).toEqual([125, 250, 500, 1000, 15_000, 15_000]);
  expect(backoffMs(2, 0.999, LIFECYCLE_DEFAULTS)).toBe(1000);
});
