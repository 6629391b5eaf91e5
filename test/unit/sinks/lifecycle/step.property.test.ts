/**
 * Cites the invariants of step.ts (C). The reducer alone, told anything in any order by a world that need not make sense, and
 * watched by a monitor that knows only what has been said to it.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { LedgerEntry } from '../../../../src/sinks/ledger/entry.ts';
import { NO_POLICY } from '../../../../src/sinks/ledger/entry.ts';
import type {
  LifecycleEffect,
  LifecycleEvent,
  LiveCommand,
  Moment,
  PolicyDecision,
} from '../../../../src/sinks/lifecycle/events.ts';
import { isOver, type Life } from '../../../../src/sinks/lifecycle/life.ts';
import type { CallOutcome, ReadResult } from '../../../../src/sinks/lifecycle/outcome.ts';
import { newLife, step } from '../../../../src/sinks/lifecycle/step.ts';
import { holds, same } from '../same.ts';
import { CONFIG } from './world.ts';

const EPOCH = 5;
const A = 'a'.repeat(32);
const B = 'b'.repeat(32);
const SUBJECT = {
  tenantId: 't',
  connectionId: 'c',
  capability: 'x',
  entityKey: 'e',
  idempotencyKey: 'k',
  commandId: '1',
};
const RECORD = { key: 'k', value: Buffer.from('as it came'), offset: 3, appendedAtMs: 1 };
const common = { receiptId: 'first', policy: NO_POLICY, subject: SUBJECT, atMs: 0, approvedBy: null };

const entry: fc.Arbitrary<LedgerEntry | null> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(null) },
  fc
    .record({
      fingerprint: fc.constantFrom(A, A, A, B),
      kind: fc.constantFrom('done', 'failed', 'parked', 'held', 'in_flight', 'in_flight', 'in_flight'),
      epoch: fc.constantFrom(EPOCH - 1, EPOCH - 1, EPOCH, EPOCH + 1),
      deadlineMs: fc.integer({ min: 500, max: 1500 }),
      expiresAtMs: fc.constantFrom(0, 1e9),
      sendable: fc.constantFrom(true, true, true, false),
    })
    .map((own) => {
      const rest = { vendorId: null, code: 'kustomer_refused', startedAtMs: 0, sendByMs: 400, attempt: 1, basis: null };
      return { ...common, ...rest, ...own } as never;
    }),
);

const policy = NO_POLICY;
const decision: fc.Arbitrary<PolicyDecision> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      decision: fc.constant('ALLOW' as const),
      policy: fc.constant(policy),
      reserve: fc.boolean(),
    }),
  },
  fc.constant({ decision: 'ALERT' as const, policy, reserve: true, expiresAtMs: 1e9 }),
  fc.constant({ decision: 'BLOCK' as const, policy, code: 'policy_blocked' as const, message: 'no' }),
);

const said = { code: 'kustomer_refused' as const, message: 'm' };
const outcome: fc.Arbitrary<CallOutcome> = fc.constantFrom<CallOutcome[]>(
  { kind: 'applied', vendorId: 'v', unchanged: false },
  { kind: 'refused', ...said },
  { kind: 'failed_final', ...said },
  { kind: 'retry_later', ...said, retryAtMs: null },
  { kind: 'retry_later', ...said, retryAtMs: null },
  { kind: 'conflict', ...said },
  { kind: 'ambiguous', ...said },
  { kind: 'ambiguous', ...said },
  { kind: 'ambiguous', ...said },
);

type Read = Exclude<ReadResult['kind'], 'absent'> | 'absent';

/** One event: the answer to what is asked, from these values; or something else altogether. */
const told = fc.record({
  is: fc.constantFrom('answer', 'answer', 'answer', 'answer', 'answer', 'answer', 'stale', 'noise', 'stop', 'lost'),
  entry,
  decision,
  outcome,
  place: fc.constantFrom(
    'reserved',
    'reserved',
    'reserved',
    'reserved',
    'reserved',
    'reserved',
    'limited',
    'unavailable',
  ),
  placeMs: fc.constantFrom(1000, 1000, 150, 150, 30, -1),
  read: fc.constantFrom<Read[]>('absent', 'absent', 'absent', 'absent', 'unclear', 'found', 'unreadable'),
  readAgoMs: fc.constantFrom(0, 0, 5, 200),
  passMs: fc.constantFrom(0, 0, 0, 1, 1, 10, 10, 30, 120, 1000),
  isEarly: fc.constantFrom(false, false, false, true),
  isUnsent: fc.constantFrom(false, false, false, true),
  leaseMs: fc.constantFrom(100, 100, 100, 100, 100, 100, 100, 5, 0, -10),
  noise: fc.constantFrom(
    'turn',
    'validated',
    'looked_up',
    'decided',
    'reserved',
    'unavailable',
    'persisted',
    'answered',
    'read',
    'woke',
  ),
  random: fc.double({ min: 0, max: 0.999, noNaN: true }),
});
type Told = typeof told extends fc.Arbitrary<infer T> ? T : never;

const command: fc.Arbitrary<LiveCommand> = fc.record({
  identity: fc.constant('i'),
  fingerprint: fc.constant(A),
  receiptId: fc.constant('mine'),
  subject: fc.constant(SUBJECT),
  record: fc.constant(RECORD),
  mode: fc.constantFrom('live', 'live', 'live', 'live', 'live', 'live', 'live', 'dry_run'),
  readsFirst: fc.boolean(),
  deadlineMs: fc.constantFrom(null, null, null, 1100, 2000, 5000),
  approvedBy: fc.constantFrom(null, null, null, null, null, null, null, null, null, null, null, 'ann'),
});

/** What may be on the wire, as far as anybody has said. */
interface Wire {
  readonly openMs: number;
  absents: number;
  lastAbsentMs: number;
}

class Monitor {
  readonly #command: LiveCommand;
  #wire: Wire | null = null;
  #isCalling = false;
  /** Until when the durable `in_flight` lets us send. */
  #sendByMs = Number.NEGATIVE_INFINITY;
  #planned = 0;
  #isAllowed = false;
  #placeUntilMs = Number.NEGATIVE_INFINITY;
  #mustReserve = false;
  #isStopped = false;
  #isLost = false;
  #isHeldInLedger = false;
  #hasTurn = false;
  #prepared: LedgerEntry | undefined;
  ends = 0;
  calls = 0;

  constructor(command: LiveCommand) {
    this.#command = command;
  }

  hear(event: LifecycleEvent, { nowMs }: Moment): void {
    if (event.kind === 'stop') this.#isStopped = true;
    if (event.kind === 'lost') this.#isLost = true;
    if (event.kind === 'turn') this.#hasTurn = true;
    // Its own, as it was prepared: nothing is on the wire.
    if (event.kind === 'looked_up' && event.entry !== this.#prepared) {
      this.#isHeldInLedger = false;
      this.#sendByMs = Number.NEGATIVE_INFINITY;
      this.#wire = null;
    }
    if (event.kind === 'looked_up' && event.entry?.kind === 'in_flight' && event.entry !== this.#prepared) {
      this.#isHeldInLedger = true;
      // C5: the other owner's clock may be behind by the guard.
      const openMs = event.entry.deadlineMs + CONFIG.guardMs;
      // C14: under what was not sendable, or is known to be unsent, nothing was sent.
      const isOpen = event.entry.sendable && !event.isUnsent;
      this.#wire = isOpen ? { openMs, absents: 0, lastAbsentMs: Number.NEGATIVE_INFINITY } : null;
    }
    if (event.kind === 'decided') {
      this.#isAllowed = event.decision.decision === 'ALLOW' || this.#command.approvedBy !== null;
      this.#mustReserve = event.decision.decision !== 'BLOCK' && event.decision.reserve;
      if (event.decision.decision === 'BLOCK') this.#isAllowed = false;
    }
    if (event.kind === 'reserved') this.#placeUntilMs = event.untilMs;
    if (event.kind === 'persisted') this.#sendByMs = this.#planned;
    if (event.kind === 'answered') {
      this.#isCalling = false;
      const isUnknown = event.outcome.kind === 'ambiguous';
      this.#wire = isUnknown ? { openMs: nowMs, absents: 0, lastAbsentMs: Number.NEGATIVE_INFINITY } : null;
      if (event.outcome.kind === 'applied') this.#sendByMs = Number.NEGATIVE_INFINITY;
    }
    if (event.kind === 'read' && this.#wire !== null) this.#hearRead(event.result, this.#wire);
  }

  watch(effect: LifecycleEffect, { nowMs, leaseUntilMs }: Moment): void {
    same(this.ends, 0, 'C3');
    holds(!this.#isLost, 'C9');
    const { deadlineMs, mode } = this.#command;
    const isGate = ['look_up', 'ask_policy', 'reserve', 'persist'].includes(effect.kind);
    if (!this.#hasTurn) holds(isGate || (effect.kind === 'abandon' && this.#isStopped), `C13: ${effect.kind}`);
    if (effect.kind === 'persist') {
      this.#prepared = effect.change.entry;
      expect(this.#isSafe, 'C2').toBe(true);
      expect(effect.change.entry.epoch, 'C1').toBe(EPOCH);
      expect(effect.change.entry.sendable, 'C14').toBe(!this.#command.readsFirst);
      expect(effect.change.entry.deadlineMs - effect.change.entry.sendByMs).toBe(CONFIG.requestTimeoutMs);
      this.#planned = effect.change.entry.sendByMs;
      this.#isHeldInLedger = true;
    }
    if (effect.kind === 'wait') this.#isAllowed = false;
    if (effect.kind === 'call') {
      this.calls++;
      expect(mode).toBe('live');
      expect(this.#isSafe, 'C2').toBe(true);
      expect(nowMs, 'C1').toBeLessThanOrEqual(this.#sendByMs);
      expect(effect.sendByMs, 'C1').toBeLessThanOrEqual(this.#sendByMs);
      expect(nowMs, 'C4').toBeLessThan(leaseUntilMs);
      expect(effect.sendByMs, 'C4').toBeLessThanOrEqual(leaseUntilMs);
      if (deadlineMs !== null) expect(Math.max(nowMs, effect.sendByMs), 'C6').toBeLessThanOrEqual(deadlineMs);
      expect(this.#isAllowed, 'C7').toBe(true);
      if (this.#mustReserve) expect(effect.sendByMs, 'C7').toBeLessThanOrEqual(this.#placeUntilMs);
      expect(this.#isStopped, 'C9').toBe(false);
      expect(effect.attempt, 'C8').toBeLessThanOrEqual(CONFIG.maxAttempts);
      this.#isCalling = true;
      this.#wire = null;
    }
    if (effect.kind === 'finish' || effect.kind === 'abandon') this.#end(effect, nowMs);
  }

  #end(effect: Extract<LifecycleEffect, { kind: 'finish' | 'abandon' }>, nowMs: number): void {
    this.ends++;
    const after = effect.change?.entry?.kind ?? null;
    if (effect.kind === 'abandon') {
      if (effect.change !== null) expect(this.#isSafe, 'C9').toBe(true);
      return;
    }
    expect(after, 'C12').not.toBe('in_flight');
    const isAnswered = after === 'done' || after === 'parked';
    if (!isAnswered && effect.change !== null) expect(this.#isSafe, 'C2').toBe(true);
    if (after === 'parked') expect(nowMs, 'C5').toBeGreaterThanOrEqual((this.#wire?.openMs ?? 0) + CONFIG.visibilityMs);
    const isOurs =
      this.#isHeldInLedger && effect.receipt?.code !== 'idempotency_conflict' && this.#command.mode === 'live';
    if (isOurs && effect.receipt !== null) expect(effect.change, 'C12').not.toBeNull();
    if (effect.receipt === null) expect(this.#command.approvedBy !== null || after === 'held', 'C10').toBe(true);
    if (this.#command.mode === 'dry_run') expect([effect.change, effect.receipt?.attempts ?? 0]).toEqual([null, 0]);
  }

  /** No call of ours is out, and what was out is proved not to have happened. */
  get #isSafe(): boolean {
    return !this.#isCalling && (this.#wire === null || this.#wire.absents >= CONFIG.absentReads);
  }

  #hearRead(result: ReadResult, wire: Wire): void {
    if (result.kind !== 'absent') return;
    if (result.startedAtMs < wire.openMs + CONFIG.visibilityMs) return;
    if (result.startedAtMs < wire.lastAbsentMs + CONFIG.readSpacingMs) return;
    wire.absents++;
    wire.lastAbsentMs = result.startedAtMs;
  }
}

function answerTo(open: LifecycleEffect | null, given: Told, nowMs: number): LifecycleEvent | null {
  if (open === null || !('ask' in open)) return null;
  const { ask } = open;
  switch (open.kind) {
    case 'look_up':
      return { kind: 'looked_up', ask, entry: given.entry, isUnsent: given.isUnsent };
    case 'ask_policy':
      return { kind: 'decided', ask, decision: given.decision };
    case 'reserve':
      return { kind: given.place, ask, untilMs: nowMs + given.placeMs, message: 'm' };
    case 'persist':
      return { kind: 'persisted', ask };
    case 'call':
      return { kind: 'answered', ask, outcome: given.outcome };
    case 'read_back':
      return { kind: 'read', ask, result: readOf(given, nowMs) };
    case 'wait':
      return { kind: 'woke', ask };
  }
}

function readOf({ read, readAgoMs }: Told, nowMs: number): ReadResult {
  if (read === 'absent') return { kind: 'absent', startedAtMs: nowMs - readAgoMs };
  if (read === 'found') return { kind: 'found', vendorId: 'v' };
  return read === 'unclear' ? { kind: 'unclear', retryAtMs: null } : { kind: 'unreadable', message: 'no permission' };
}

/** Not an answer to anything that is open. */
function noise({ noise: kind, entry: some, decision: any, outcome: none }: Told, ask: number): LifecycleEvent {
  return { kind, ask, entry: some, decision: any, outcome: none, result: { kind: 'found', vendorId: 'x' } } as never;
}

function ignores(life: Life, event: LifecycleEvent, at: Moment, why: string): void {
  const after = step(life, event, at, CONFIG);
  holds(after.life === life && after.effects.length === 0, `${why}: ${event.kind} in ${life.phase.kind}`);
}

it('C1–C12: whatever it is told, and however often', () => {
  let calls = 0;
  let again = 0;
  fc.assert(
    fc.property(command, fc.array(told, { minLength: 10, maxLength: 40, size: 'max' }), (each, all) => {
      const monitor = new Monitor(each);
      let life = newLife(each, EPOCH);
      let open: LifecycleEffect | null = null;
      let nowMs = 1000;
      const tell = (event: LifecycleEvent, at: Moment): void => {
        monitor.hear(event, at);
        const next = step(life, event, at, CONFIG);
        ({ life } = next);
        holds(next.effects.length <= 1, 'one thing at a time');
        for (const effect of next.effects) {
          monitor.watch(effect, at);
          open = effect;
        }
      };
      tell({ kind: 'validated' }, { nowMs, leaseUntilMs: nowMs, random: 0 });
      tell({ kind: 'turn' }, { nowMs, leaseUntilMs: nowMs, random: 0 });
      for (const given of all) {
        const isWaiting = (open as LifecycleEffect | null)?.kind === 'wait';
        nowMs += given.passMs;
        if (isWaiting && !given.isEarly) nowMs = Math.max(nowMs, (open as never as { untilMs: number }).untilMs);
        const at = { nowMs, leaseUntilMs: nowMs + given.leaseMs, random: given.random };
        const answer = answerTo(open, given, nowMs);
        if (isOver(life)) {
          const after = answer ?? noise(given, life.ask);
          ignores(life, after, at, 'C3');
        } else if (given.is === 'stop' || given.is === 'lost') {
          // Rarely, or nothing else would ever come up.
          if (given.passMs === 1000) tell({ kind: given.is }, at);
        } else if (given.is === 'answer') {
          if (answer !== null) tell(answer, at);
        } else {
          const wrong = given.is === 'stale' && answer !== null ? { ...answer, ask: life.ask - 1 } : noise(given, -1);
          ignores(life, wrong as LifecycleEvent, at, 'C11');
        }
      }
      calls += monitor.calls;
      if (monitor.calls > 1) again++;
    }),
    { numRuns: 20_000 },
  );
  expect(calls).toBeGreaterThan(5000);
  expect(again).toBeGreaterThan(500);
}, 60_000);

it('C13: prepared ahead of its turn, and whatever happens until then', () => {
  let [calls, prepared] = [0, 0];
  fc.assert(
    fc.property(
      // An approval is never prepared: it would be told of an entry like its own, which is nobody's.
      command.map((each) => ({ ...each, approvedBy: null })),
      fc.array(told, { minLength: 10, maxLength: 30, size: 'max' }),
      fc.integer({ min: 0, max: 8 }),
      (each, all, turnAfter) => {
        const monitor = new Monitor(each);
        let life = newLife(each, EPOCH);
        let open: LifecycleEffect | null = null;
        let nowMs = 1000;
        const tell = (event: LifecycleEvent, at: Moment): void => {
          monitor.hear(event, at);
          const next = step(life, event, at, CONFIG);
          ({ life } = next);
          if (event.kind !== 'turn' && next.effects.length === 0) open = null;
          for (const effect of next.effects) {
            monitor.watch(effect, at);
            open = effect;
          }
        };
        tell({ kind: 'validated' }, { nowMs, leaseUntilMs: nowMs, random: 0 });
        tell({ kind: 'ahead' }, { nowMs, leaseUntilMs: nowMs, random: 0 });
        for (const [index, given] of all.entries()) {
          const isWaiting = (open as LifecycleEffect | null)?.kind === 'wait';
          nowMs += given.passMs;
          if (isWaiting) nowMs = Math.max(nowMs, (open as never as { untilMs: number }).untilMs);
          const at = { nowMs, leaseUntilMs: nowMs + given.leaseMs, random: given.random };
          if (isOver(life)) break;
          if (index === turnAfter) {
            if (life.phase.kind === 'prepared') prepared++;
            tell({ kind: 'turn' }, at);
          } else if ((given.is === 'stop' || given.is === 'lost') && given.passMs === 1000)
            tell({ kind: given.is }, at);
          else {
            const { entry } = life;
            const isOwn = life.phase.kind === 'checking' && entry?.kind === 'in_flight' && given.is === 'answer';
            const answer = isOwn
              ? ({ kind: 'looked_up', ask: life.ask, entry, isUnsent: false } as const)
              : answerTo(open, given, nowMs);
            if (answer !== null) tell(answer, at);
          }
        }
        calls += monitor.calls;
      },
    ),
    { numRuns: 20_000 },
  );
  expect(calls).toBeGreaterThan(3000);
  expect(prepared).toBeGreaterThan(1000);
}, 60_000);

it('C8: with an answer to everything it comes to an end, in a bounded number of steps', () => {
  fc.assert(
    fc.property(command, fc.array(told, { minLength: 5, maxLength: 30, size: 'max' }), (each, all) => {
      let life = newLife(each, EPOCH);
      let nowMs = 1000;
      const at = (): Moment => ({ nowMs, leaseUntilMs: nowMs + 100, random: 0.5 });
      ({ life } = step(life, { kind: 'validated' }, at(), CONFIG));
      let { effects, life: begun } = step(life, { kind: 'turn' }, at(), CONFIG);
      for (let count = 0; !isOver(begun); count++) {
        expect(count).toBeLessThan(3000);
        const open = effects[0] as LifecycleEffect;
        // Time passes only as it is waited for.
        if (open.kind === 'wait') nowMs = Math.max(nowMs, open.untilMs);
        const answer = answerTo(open, all[count % all.length] as Told, nowMs) as LifecycleEvent;
        ({ effects, life: begun } = step(begun, answer, at(), CONFIG));
      }
    }),
    { numRuns: 3000 },
  );
});
