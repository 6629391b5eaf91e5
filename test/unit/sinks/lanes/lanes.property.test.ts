/** Cites the invariants of lanes.ts (N). The scheduler against model.ts, step by step. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type LaneLimits, Lanes, type Ticket } from '../../../../src/sinks/lanes.ts';
import { holds, same } from '../same.ts';
import { LanesModel, type ModelRecord } from './model.ts';

const PARTITIONS = 2;

type Command =
  | {
      readonly kind: 'offer';
      readonly partition: number;
      readonly lane: number;
      readonly gap: number;
      readonly bytes: number;
      readonly mayPass: boolean;
    }
  | { readonly kind: 'take' }
  | { readonly kind: 'go_back'; readonly partition: number }
  | { readonly kind: 'settle' | 'stale'; readonly which: number }
  | { readonly kind: 'back_off'; readonly which: number; readonly forMs: number }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'revoke'; readonly partition: number }
  | { readonly kind: 'assign'; readonly partition: number };

const partition = fc.nat(PARTITIONS - 1);
const which = fc.nat(15);
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('offer' as const),
      partition,
      // The first lane is hot.
      lane: fc.constantFrom(0, 0, 0, 1, 2, 3),
      gap: fc.constantFrom(0, 0, 0, 0, 2, 30),
      bytes: fc.constantFrom(1, 1, 10, 60),
      mayPass: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('go_back' as const), partition }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('take' as const) }) },
  { weight: 7, arbitrary: fc.record({ kind: fc.constant('settle' as const), which }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('back_off' as const), which, forMs: fc.constantFrom(0, 5, 5, 50) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(1, 5, 100) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('stale' as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('revoke' as const), partition }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('assign' as const), partition }) },
);

const limits: fc.Arbitrary<LaneLimits> = fc.record({
  maxActive: fc.integer({ min: 1, max: 4 }),
  maxLanes: fc.integer({ min: 1, max: 5 }),
  maxQueued: fc.integer({ min: 1, max: 8 }),
  maxQueuedBytes: fc.constantFrom(50, 1000),
  maxSpan: fc.constantFrom(20, 1000),
  lowWater: fc.constantFrom(0, 0.5, 0.9),
  maxPassed: fc.constantFrom(0, 2, 100),
  slotGreed: fc.constantFrom(1, 8, Number.POSITIVE_INFINITY),
  roomGreed: fc.constantFrom(1, 2, Number.POSITIVE_INFINITY),
});

/** The first two lanes are of one tenant, who is hot. */
const tenantOf = (lane: number) => (lane < 2 ? 't_hot' : `t_${lane}`);

interface LogRecord {
  readonly offset: number;
  readonly tenantId: string;
  readonly lane: string;
  readonly bytes: number;
}

class Pair {
  readonly lanes: Lanes<string>;
  readonly model: LanesModel;
  readonly tickets = new Map<ModelRecord, Ticket>();
  readonly orphans: Ticket[] = [];
  readonly spent: Ticket[] = [];
  readonly logs: LogRecord[][] = Array.from({ length: PARTITIONS }, () => []);
  readonly positions: number[] = Array.from({ length: PARTITIONS }, () => 0);
  readonly finished = Array.from({ length: PARTITIONS }, () => new Set<number>());
  readonly progress: (ReturnType<Lanes<string>['progress']> | null)[] = Array.from({ length: PARTITIONS }, () => null);
  epoch = 0;
  nowMs = 1000;

  constructor(bounds: LaneLimits) {
    this.lanes = new Lanes(bounds);
    this.model = new LanesModel(bounds);
    for (let at = 0; at < PARTITIONS; at++) this.assign(at);
  }

  run(command: Command): void {
    if (command.kind === 'offer') this.offer(command);
    else if (command.kind === 'take') this.take();
    else if (command.kind === 'go_back') this.goBack(command.partition);
    else if (command.kind === 'settle') this.settle(command.which);
    else if (command.kind === 'back_off') this.backOff(command.which, this.nowMs + command.forMs);
    else if (command.kind === 'stale') this.stale(command.which);
    else if (command.kind === 'pass') this.nowMs += command.ms;
    else if (command.kind === 'assign') this.assign(command.partition);
    else if (command.kind === 'revoke') this.revoke(command.partition, this.lanes.revoke(command.partition));
    this.check();
  }

  stale(pick: number): void {
    const ticket = this.spent[pick % Math.max(1, this.spent.length)];
    if (ticket === undefined) return;
    expect(this.lanes.settle(ticket), 'N9').toBe('stale');
    expect(this.lanes.backOff(ticket, this.nowMs), 'N9').toBe('stale');
  }

  offer({ partition: at, lane, gap, bytes, mayPass }: Extract<Command, { kind: 'offer' }>): void {
    const log = this.logs[at] as LogRecord[];
    const position = this.positions[at] as number;
    if (position === log.length)
      log.push({
        offset: (log.at(-1)?.offset ?? -1) + 1 + gap,
        tenantId: tenantOf(lane),
        lane: `lane ${lane}`,
        bytes,
      });
    const record = log[position] as LogRecord;
    const expected = this.model.offer(at, record, mayPass);
    const value = `${at}/${record.offset}`;
    same(this.lanes.offer({ partition: at, ...record, value }, mayPass), expected, 'N6 N10: offer');
    same(this.lanes.isPaused(at), this.model.homes.get(at)?.paused ?? false, 'N6: paused');
    if (expected !== 'full' && expected !== 'foreign') this.positions[at] = position + 1;
  }

  goBack(at: number): void {
    const tenants = this.model.goBack(at);
    const offset = this.lanes.goBack(at);
    same(offset === null, tenants.length === 0, 'N10: goes back');
    if (offset === null) return;
    for (const [passed, tenantId] of this.model.homes.get(at)?.passed ?? [])
      holds(!tenants.includes(tenantId) || passed >= offset, `N10: gone back to ${offset}, behind ${passed}`);
    this.#readFrom(at, offset);
  }

  take(): void {
    const expected = this.model.next(this.nowMs);
    const turn = this.lanes.take(this.nowMs);
    same(turn?.value, expected && `${expected.partition}/${expected.offset}`, 'N1 N4 N5: next');
    if (turn === null || expected === undefined) return;
    same(turn.lane, expected.lane, 'N1');
    same(turn.resumed, expected.resumed, 'N5');
    for (const { offset, lane } of this.logs[expected.partition] as LogRecord[])
      holds(
        lane !== expected.lane || offset >= expected.offset || this.finished[expected.partition]?.has(offset) === true,
        `N1: ${offset} of ${lane} comes before ${expected.offset}`,
      );
    this.model.start(expected, turn.ticket.turn);
    this.tickets.set(expected, turn.ticket);
  }

  settle(pick: number): void {
    this.#result(
      pick,
      (ticket) => this.lanes.settle(ticket),
      (record) => this.model.settle(record),
    );
  }

  backOff(pick: number, untilMs: number): void {
    this.#result(
      pick,
      (ticket) => this.lanes.backOff(ticket, untilMs),
      (record) => this.model.backOff(record, untilMs),
    );
  }

  revoke(at: number, orphans: readonly { readonly ticket: Ticket }[]): void {
    const turns = this.model.revoke(at);
    expect(orphans.map(({ ticket }) => ticket.turn).sort(), 'N8').toEqual(turns.sort());
    for (const { ticket } of orphans) this.orphans.push(ticket);
    for (const record of this.tickets.keys()) if (record.partition === at) this.tickets.delete(record);
  }

  /** What was committed is what the last check saw. */
  assign(at: number): void {
    const progress = this.progress[at] ?? null;
    const commitOffset = progress?.commitOffset ?? 0;
    const orphans = this.lanes.assign(at, { epoch: ++this.epoch, position: commitOffset, progress });
    this.revoke(at, orphans);
    this.model.assign(at, commitOffset, this.finished[at] as Set<number>);
    this.#readFrom(at, commitOffset);
  }

  #readFrom(at: number, from: number): void {
    const log = this.logs[at] as LogRecord[];
    const position = log.findIndex(({ offset }) => offset >= from);
    this.positions[at] = position === -1 ? log.length : position;
  }

  check(): void {
    const { all, active } = this.model;
    const counts = this.lanes.counts;
    same(counts.active, active, 'N3: active');
    same(counts.orphans, this.orphans.length, 'N8: orphans');
    same(counts.queued, all.length, 'N6: queued');
    const passed = [...this.model.homes.values()].reduce((sum, home) => sum + home.passed.size, 0);
    same(counts.passed, passed, 'N10: passed over');
    holds(active <= this.model.limits.maxActive, 'N3: more than maxActive');
    same(this.lanes.wakeAtMs, this.model.wakeAtMs(), 'N5: wakeAtMs');
    const busy = all.filter(({ state }) => state === 'active').map(({ partition: at, lane }) => `${at} ${lane}`);
    same(new Set(busy).size, busy.length, 'N2: lanes with an active command');
    for (let at = 0; at < PARTITIONS; at++) this.#checkOffsets(at);
  }

  #checkOffsets(at: number): void {
    const commitOffset = this.lanes.commitOffset(at);
    if (commitOffset === undefined) {
      holds(!this.model.homes.has(at), 'ours, and has no offset');
      return;
    }
    this.progress[at] = this.lanes.progress(at) ?? null;
    for (const { offset } of this.logs[at] as LogRecord[])
      holds(offset >= commitOffset || this.finished[at]?.has(offset) === true, `N7: ${commitOffset} passes ${offset}`);
  }

  #result(pick: number, tell: (ticket: Ticket) => string, apply: (record: ModelRecord) => void): void {
    const all: readonly (readonly [ModelRecord | null, Ticket])[] = [
      ...this.tickets,
      ...this.orphans.map((ticket) => [null, ticket] as const),
    ];
    const chosen = all[pick % Math.max(1, all.length)];
    if (chosen === undefined) return;
    const [record, ticket] = chosen;
    this.spent.push(ticket);
    if (record === null) {
      same(tell(ticket), 'orphaned', 'N8');
      this.model.orphans.delete(ticket.turn);
      this.orphans.splice(this.orphans.indexOf(ticket), 1);
      return;
    }
    same(tell(ticket), 'done', 'N9');
    this.tickets.delete(record);
    apply(record);
  }
}

it('N1–N10: starts, queues, pauses and commits as the model does, whatever comes', () => {
  fc.assert(
    fc.property(limits, fc.array(command, { maxLength: 40, size: 'max' }), (bounds, commands) => {
      const pair = new Pair(bounds);
      for (const each of commands) pair.run(each);
    }),
    { numRuns: 10_000 },
  );
}, 60_000);

it('N1 N7: everything offered is started once and finished, and then all of it may be committed', () => {
  fc.assert(
    fc.property(limits, fc.array(command, { maxLength: 40, size: 'max' }), (bounds, commands) => {
      const pair = new Pair(bounds);
      for (const each of commands) pair.run(each);
      for (let at = 0; at < PARTITIONS; at++) pair.assign(at);
      const left = () => pair.logs.some((log, at) => log.length > (pair.positions[at] as number));
      const passed = () => pair.lanes.counts.passed > 0;
      for (let round = 0; left() || passed() || pair.model.all.length > 0 || pair.orphans.length > 0; round++) {
        expect(round).toBeLessThan(2000);
        for (let at = 0; at < PARTITIONS; at++) {
          if ((pair.positions[at] as number) < (pair.logs[at] as LogRecord[]).length)
            pair.offer({ kind: 'offer', partition: at, lane: 0, gap: 0, bytes: 1, mayPass: round % 3 === 0 });
          pair.goBack(at);
        }
        pair.take();
        pair.settle(round);
        pair.check();
        pair.nowMs += 10;
      }
      for (let at = 0; at < PARTITIONS; at++) {
        const last = pair.logs[at]?.at(-1)?.offset ?? -1;
        expect(pair.lanes.commitOffset(at)).toBeGreaterThanOrEqual(last + 1);
      }
    }),
    { numRuns: 1000 },
  );
});
