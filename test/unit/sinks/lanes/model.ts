/**
 * The scheduler in the simplest words: one list of records with what became of each, and everything worked out anew from it.
 * It shares nothing with src/sinks/lanes.ts but the types of its arguments.
 */
import type { LaneLimits, OfferResult } from '../../../../src/sinks/lanes.ts';

export interface ModelRecord {
  readonly partition: number;
  readonly offset: number;
  readonly tenantId: string;
  readonly lane: string;
  readonly bytes: number;
  state: 'queued' | 'active' | 'backing_off' | 'finished';
  untilMs: number;
  /** When its lane came to be able to start it: place in the round. */
  readyOrder: number;
  turn: number;
  resumed: boolean;
}

interface Home {
  records: ModelRecord[];
  /** Finished by whomever; survives owners, as the log does. */
  readonly finished: Set<number>;
  nextOffset: number;
  paused: boolean;
  /** Passed over: the tenant of each. */
  readonly passed: Map<number, string>;
  /** Tenants of which something was passed over; true when the reading has gone back for it. */
  readonly goneBack: Map<string, boolean>;
}

export class LanesModel {
  readonly limits: LaneLimits;
  readonly homes = new Map<number, Home>();
  /** Turns of lost partitions that have not reported yet. */
  readonly orphans = new Map<number, string>();
  /** Tenants with a lane that can start, whose turn it is first. */
  #ring: string[] = [];
  #order = 0;

  constructor(limits: LaneLimits) {
    this.limits = limits;
  }

  assign(partition: number, commitOffset: number, finished: Set<number>): void {
    this.homes.set(partition, {
      records: [],
      finished,
      nextOffset: commitOffset,
      paused: false,
      passed: new Map(),
      goneBack: new Map(),
    });
  }

  revoke(partition: number): number[] {
    const active = this.#records(partition).filter(({ state }) => state === 'active');
    for (const { turn, tenantId } of active) this.orphans.set(turn, tenantId);
    this.homes.delete(partition);
    this.#turnRing();
    return active.map(({ turn }) => turn);
  }

  offer(
    partition: number,
    record: { readonly offset: number; readonly tenantId: string; readonly lane: string; readonly bytes: number },
    mayPass: boolean,
  ): OfferResult {
    const { offset, tenantId, lane, bytes } = record;
    const home = this.homes.get(partition);
    if (home === undefined) return 'foreign';
    const wasPassed = home.passed.has(offset);
    if (!wasPassed && (offset < home.nextOffset || home.finished.has(offset))) {
      home.nextOffset = Math.max(home.nextOffset, offset + 1);
      return 'known';
    }
    if (!wasPassed) for (const [tenant, isBack] of home.goneBack) if (isBack) home.goneBack.delete(tenant);
    if (home.goneBack.get(tenantId) === false) return this.#pass(home, offset, tenantId);
    const open = home.records;
    const lanes = new Set(open.map((other) => other.lane));
    const own = open.filter((other) => other.tenantId === tenantId);
    const { maxQueued, maxQueuedBytes, maxLanes, roomGreed } = this.limits;
    const fits =
      open.length === 0 ||
      (within(own.length, open.length, maxQueued, 1, roomGreed) &&
        within(this.#bytes(own), this.#bytes(open), maxQueuedBytes, bytes, roomGreed) &&
        (lanes.has(lane) || lanes.size < maxLanes) &&
        (wasPassed || this.#isNear(home, offset)));
    if (!fits && (mayPass || wasPassed)) return this.#pass(home, offset, tenantId);
    if (home.paused || !fits) {
      home.paused = true;
      return 'full';
    }
    home.passed.delete(offset);
    const fresh = { partition, offset, tenantId, lane, bytes, untilMs: 0, turn: -1, resumed: false } as const;
    home.records.push({ ...fresh, state: 'queued', readyOrder: lanes.has(lane) ? -1 : this.#order++ });
    home.nextOffset = Math.max(home.nextOffset, offset + 1);
    this.#turnRing();
    return 'queued';
  }

  #pass(home: Home, offset: number, tenantId: string): OfferResult {
    if (!home.passed.has(offset)) {
      if (home.passed.size >= this.limits.maxPassed || !this.#isNear(home, offset)) {
        home.paused = true;
        return 'full';
      }
      home.nextOffset = offset + 1;
    }
    home.passed.set(offset, tenantId);
    home.goneBack.set(tenantId, false);
    home.paused = false;
    return 'passed';
  }

  /** For whom the reading goes back: tenants with something passed over that hold at most part of what they may. */
  goBack(partition: number): readonly string[] {
    const home = this.homes.get(partition);
    if (home === undefined || home.passed.size === 0) return [];
    const { maxQueued, maxQueuedBytes, lowWater, roomGreed } = this.limits;
    const isLow = (held: number, all: number, max: number) => held <= lowWater * roomGreed * (max - all);
    const tenants = [...home.goneBack]
      .filter(([, isBack]) => !isBack)
      .map(([tenantId]) => tenantId)
      .filter((tenantId) => {
        const own = home.records.filter((other) => other.tenantId === tenantId);
        if (own.length === 0) return home.records.length < maxQueued;
        return (
          isLow(own.length, home.records.length, maxQueued) &&
          isLow(this.#bytes(own), this.#bytes(home.records), maxQueuedBytes)
        );
      });
    for (const tenantId of tenants) home.goneBack.set(tenantId, true);
    if (tenants.length > 0) home.paused = false;
    return tenants;
  }

  /** Who has its turn next: of the tenant whose turn it is, the head of the lane that has waited longest for it. */
  next(nowMs: number): ModelRecord | undefined {
    if (this.active >= this.limits.maxActive) return undefined;
    const due = this.#heads().filter(({ state, untilMs }) => state === 'backing_off' && untilMs <= nowMs);
    // Those whose time has come join the round in the order of their times.
    for (const head of due.sort((a, b) => a.untilMs - b.untilMs || a.readyOrder - b.readyOrder)) {
      head.state = 'queued';
      head.readyOrder = this.#order++;
      this.#turnRing();
    }
    const { maxActive, slotGreed } = this.limits;
    const tenant = this.#ring.find((tenantId) => within(this.activeOf(tenantId), this.active, maxActive, 1, slotGreed));
    const heads = this.#heads().filter(({ state, tenantId }) => state === 'queued' && tenantId === tenant);
    return heads.sort((a, b) => a.readyOrder - b.readyOrder)[0];
  }

  start(record: ModelRecord, turn: number): void {
    record.state = 'active';
    record.turn = turn;
    record.resumed = true;
    this.#ring = this.#ring.filter((tenantId) => tenantId !== record.tenantId);
    this.#turnRing();
  }

  settle(record: ModelRecord): void {
    const home = this.homes.get(record.partition) as Home;
    home.records = home.records.filter((other) => other !== record);
    home.finished.add(record.offset);
    const next = home.records.find(({ lane }) => lane === record.lane);
    if (next !== undefined) next.readyOrder = this.#order++;
    const { maxQueued, maxQueuedBytes, maxLanes, maxSpan, lowWater } = this.limits;
    const open = home.records;
    const span = home.nextOffset - this.#oldest(home);
    const drained =
      open.length === 0 ||
      (open.length <= maxQueued * lowWater &&
        this.#bytes(open) <= maxQueuedBytes * lowWater &&
        new Set(open.map(({ lane }) => lane)).size <= maxLanes * lowWater &&
        span <= maxSpan * lowWater);
    if (drained) home.paused = false;
    this.#turnRing();
  }

  backOff(record: ModelRecord, untilMs: number): void {
    record.state = 'backing_off';
    record.untilMs = untilMs;
    record.readyOrder = this.#order++;
    this.#turnRing();
  }

  activeOf(tenant: string): number {
    const orphans = [...this.orphans.values()].filter((tenantId) => tenantId === tenant).length;
    return this.all.filter(({ state, tenantId }) => state === 'active' && tenantId === tenant).length + orphans;
  }

  get active(): number {
    return this.all.filter(({ state }) => state === 'active').length + this.orphans.size;
  }

  get all(): ModelRecord[] {
    return [...this.homes.values()].flatMap(({ records }) => records);
  }

  wakeAtMs(): number | null {
    const times = this.all.filter(({ state }) => state === 'backing_off').map(({ untilMs }) => untilMs);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** Who can start joins the ring at its end; who cannot leaves it. */
  #turnRing(): void {
    const ready = new Set(
      this.#heads()
        .filter(({ state }) => state === 'queued')
        .map(({ tenantId }) => tenantId),
    );
    this.#ring = this.#ring.filter((tenantId) => ready.has(tenantId));
    for (const tenantId of ready) if (!this.#ring.includes(tenantId)) this.#ring.push(tenantId);
  }

  #oldest(home: Home): number {
    return Math.min(home.nextOffset, ...home.records.map(({ offset }) => offset), ...home.passed.keys());
  }

  #isNear(home: Home, offset: number): boolean {
    const isEmpty = home.records.length === 0 && home.passed.size === 0;
    return isEmpty || offset - this.#oldest(home) < this.limits.maxSpan;
  }

  #records(partition: number): ModelRecord[] {
    return this.homes.get(partition)?.records ?? [];
  }

  #bytes(records: readonly ModelRecord[]): number {
    return records.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  #heads(): ModelRecord[] {
    const seen = new Set<string>();
    return this.all.filter(({ partition, lane }) => {
      const key = `${partition} ${lane}`;
      return !seen.has(key) && seen.add(key);
    });
  }
}

/** Whether one that holds `held` may have `amount` more: no more than `greed` times what is free then. */
function within(held: number, all: number, max: number, amount: number, greed: number): boolean {
  const free = max - all - amount;
  if (free < 0) return false;
  return held === 0 || greed === Number.POSITIVE_INFINITY || held + amount <= greed * free;
}
