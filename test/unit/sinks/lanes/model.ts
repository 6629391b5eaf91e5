/**
 * The scheduler in the simplest words: one list of records with what became of each, and everything worked out anew from it.
 * It shares nothing with src/sinks/lanes.ts but the types of its arguments.
 */
import type { LaneLimits, OfferResult } from '../../../../src/sinks/lanes.ts';

export interface ModelRecord {
  readonly partition: number;
  readonly offset: number;
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
}

export class LanesModel {
  readonly limits: LaneLimits;
  readonly homes = new Map<number, Home>();
  /** Turns of lost partitions that have not reported yet. */
  readonly orphans = new Set<number>();
  #order = 0;

  constructor(limits: LaneLimits) {
    this.limits = limits;
  }

  assign(partition: number, commitOffset: number, finished: Set<number>): void {
    this.homes.set(partition, { records: [], finished, nextOffset: commitOffset, paused: false });
  }

  revoke(partition: number): number[] {
    const turns = this.#records(partition)
      .filter(({ state }) => state === 'active')
      .map(({ turn }) => turn);
    for (const turn of turns) this.orphans.add(turn);
    this.homes.delete(partition);
    return turns;
  }

  offer(partition: number, offset: number, lane: string, bytes: number): OfferResult {
    const home = this.homes.get(partition);
    if (home === undefined) return 'foreign';
    if (offset < home.nextOffset || home.finished.has(offset)) {
      home.nextOffset = Math.max(home.nextOffset, offset + 1);
      return 'known';
    }
    const open = home.records;
    const lanes = new Set(open.map((record) => record.lane));
    const { maxQueued, maxQueuedBytes, maxLanes, maxSpan } = this.limits;
    const fits =
      open.length === 0 ||
      (open.length < maxQueued &&
        this.#bytes(open) + bytes <= maxQueuedBytes &&
        (lanes.has(lane) || lanes.size < maxLanes) &&
        offset - (open[0] as ModelRecord).offset < maxSpan);
    if (home.paused || !fits) {
      home.paused = true;
      return 'full';
    }
    const fresh = { partition, offset, lane, bytes, untilMs: 0, turn: -1, resumed: false } as const;
    home.records.push({ ...fresh, state: 'queued', readyOrder: lanes.has(lane) ? -1 : this.#order++ });
    home.nextOffset = offset + 1;
    return 'queued';
  }

  /** Who has its turn next: the head of a lane that has waited longest for it. */
  next(nowMs: number): ModelRecord | undefined {
    if (this.active >= this.limits.maxActive) return undefined;
    const due = this.#heads().filter(({ state, untilMs }) => state === 'backing_off' && untilMs <= nowMs);
    // Those whose time has come join the round in the order of their times.
    for (const head of due.sort((a, b) => a.untilMs - b.untilMs || a.readyOrder - b.readyOrder)) {
      head.state = 'queued';
      head.readyOrder = this.#order++;
    }
    const heads = this.#heads().filter(({ state }) => state === 'queued');
    return heads.sort((a, b) => a.readyOrder - b.readyOrder)[0];
  }

  start(record: ModelRecord, turn: number): void {
    record.state = 'active';
    record.turn = turn;
    record.resumed = true;
  }

  settle(record: ModelRecord): void {
    const home = this.homes.get(record.partition) as Home;
    home.records = home.records.filter((other) => other !== record);
    home.finished.add(record.offset);
    const next = home.records.find(({ lane }) => lane === record.lane);
    if (next !== undefined) next.readyOrder = this.#order++;
    const { maxQueued, maxQueuedBytes, maxLanes, maxSpan, lowWater } = this.limits;
    const open = home.records;
    const span = home.nextOffset - (open[0]?.offset ?? home.nextOffset);
    const drained =
      open.length === 0 ||
      (open.length <= maxQueued * lowWater &&
        this.#bytes(open) <= maxQueuedBytes * lowWater &&
        new Set(open.map(({ lane }) => lane)).size <= maxLanes * lowWater &&
        span <= maxSpan * lowWater);
    if (drained) home.paused = false;
  }

  backOff(record: ModelRecord, untilMs: number): void {
    record.state = 'backing_off';
    record.untilMs = untilMs;
    record.readyOrder = this.#order++;
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
