/**
 * Who may start: the commands of each lane (a tenant's conversation) strictly one after another, all lanes in turn.
 *
 * N1 of one lane, commands start in the order they came, the next one only when the one before is settled
 * N2 of one lane, at most one command is active
 * N3 at most `maxActive` commands are active in all, calls of lost partitions included; what waits, or backs off, holds no slot
 * N4 lanes that can start do so in the order in which they came to be able to: a hot lane has one turn in each round
 * N5 a command that backs off holds up its own lane and no other; when its time has come it goes on before what is behind it
 * N6 queues are bounded. A partition that is full says so until it has drained below the low-water mark: what it is offered
 *    meanwhile is not taken and leaves no trace
 * N7 no offset is committed past an unfinished command (offsets.ts), and what is finished never starts again
 * N8 a lost partition's lanes are gone. What was active there is orphaned: its result frees its slot and changes nothing else
 * N9 a result counts once, for the turn it belongs to; one of an earlier turn or epoch changes nothing
 *
 * Lanes belong to a partition: whoever reads the records refuses those that lie in another partition than their lane does.
 */
import { DueQueue } from './lanes/due-queue.ts';
import { Fifo } from './lanes/fifo.ts';
import { Offsets, type Progress } from './lanes/offsets.ts';

/** All but the first are bounds of each partition: what one is full of does not stop the others. */
export interface LaneLimits {
  /** Commands started and neither settled nor backing off, in all partitions. */
  readonly maxActive: number;
  /** Lanes with work. */
  readonly maxLanes: number;
  readonly maxQueued: number;
  /** A single record that is larger by itself passes. */
  readonly maxQueuedBytes: number;
  /** How far the newest record may lie before the oldest unfinished one: as much is read again after a crash. */
  readonly maxSpan: number;
  /** Part of each bound below which a full partition goes on. */
  readonly lowWater: number;
}

export const LANE_LIMITS: LaneLimits = {
  maxActive: 512,
  maxLanes: 2_000,
  maxQueued: 2_000,
  maxQueuedBytes: 4 * 1024 * 1024,
  maxSpan: 1_000_000,
  lowWater: 0.5,
};

/** One turn of one command; results come back with it. */
export interface Ticket {
  readonly partition: number;
  readonly offset: number;
  readonly epoch: number;
  /** Unique in the life of the scheduler. */
  readonly turn: number;
}

export interface Offer<T> {
  readonly partition: number;
  readonly offset: number;
  readonly lane: string;
  readonly value: T;
  readonly bytes: number;
}

export interface Turn<T> {
  readonly ticket: Ticket;
  readonly lane: string;
  readonly value: T;
  /** False the first time, true after a backoff. */
  readonly resumed: boolean;
}

/** `known`: finished, or in hand. `full`: offer it again later. `foreign`: the partition is not ours. */
export type OfferResult = 'queued' | 'known' | 'full' | 'foreign';

/** `done`: it counted. `orphaned`: its partition is lost, its slot is free. `stale`: nothing has changed. */
export type ResultOf = 'done' | 'orphaned' | 'stale';

export interface Orphan<T> {
  readonly ticket: Ticket;
  readonly lane: string;
  readonly value: T;
}

interface Entry<T> {
  readonly offset: number;
  readonly value: T;
  readonly bytes: number;
  started: boolean;
}

interface Lane<T> {
  readonly key: string;
  readonly home: Home<T>;
  readonly queue: Fifo<Entry<T>>;
}

interface Home<T> {
  readonly partition: number;
  readonly epoch: number;
  readonly offsets: Offsets;
  readonly lanes: Map<string, Lane<T>>;
  queued: number;
  bytes: number;
  /** The record that found no room. It is the next one to be taken, or it would be lost. */
  refused: number | null;
  /** Until it has drained. */
  paused: boolean;
}

interface Active<T> {
  readonly ticket: Ticket;
  readonly lane: Lane<T>;
  orphaned: boolean;
}

export class Lanes<T> {
  readonly #limits: LaneLimits;
  readonly #homes = new Map<number, Home<T>>();
  readonly #ready = new Fifo<Lane<T>>();
  readonly #backingOff = new DueQueue<Lane<T>>();
  readonly #active = new Map<number, Active<T>>();
  #turn = 0;

  constructor(limits: LaneLimits = LANE_LIMITS) {
    this.#limits = limits;
  }

  /**
   * The partition is ours, in an epoch above all of its earlier ones. `commitOffset` is where it is read from and `progress`
   * what the last owner left with that offset. An older epoch that is still held is revoked; its orphans are returned.
   */
  assign(
    partition: number,
    owned: { readonly epoch: number; readonly commitOffset: number; readonly progress: Progress | null },
  ): readonly Orphan<T>[] {
    const before = this.#homes.get(partition);
    if (before !== undefined && before.epoch >= owned.epoch)
      throw new RangeError(`partition ${partition}: epoch ${owned.epoch} comes after ${before.epoch}`);
    const orphans = this.revoke(partition);
    const offsets = new Offsets(owned.commitOffset, owned.progress);
    const home = { partition, epoch: owned.epoch, offsets, lanes: new Map(), queued: 0, bytes: 0 };
    this.#homes.set(partition, { ...home, refused: null, paused: false });
    return orphans;
  }

  /** N8. Returns what is active: calls that may be on the wire. */
  revoke(partition: number): readonly Orphan<T>[] {
    const home = this.#homes.get(partition);
    if (home === undefined) return [];
    this.#homes.delete(partition);
    this.#ready.remove((lane) => lane.home === home);
    this.#backingOff.remove((lane) => lane.home === home);
    const orphans: Orphan<T>[] = [];
    for (const active of this.#active.values()) {
      const { lane, ticket } = active;
      if (lane.home !== home) continue;
      active.orphaned = true;
      orphans.push({ ticket, lane: lane.key, value: (lane.queue.first as Entry<T>).value });
    }
    return orphans;
  }

  /** Of one partition in the order of the log; what was `full` comes again before what follows it. */
  offer({ partition, offset, lane: key, value, bytes }: Offer<T>): OfferResult {
    const home = this.#homes.get(partition);
    if (home === undefined) return 'foreign';
    if (home.offsets.look(offset) === 'known') {
      home.offsets.see(offset);
      return 'known';
    }
    if (!this.#admits(home, { offset, key, bytes })) return 'full';
    home.offsets.see(offset);
    home.queued++;
    home.bytes += bytes;
    const entry = { offset, value, bytes, started: false };
    const lane = home.lanes.get(key);
    if (lane === undefined) this.#begin({ key, home, queue: new Fifo() }, entry);
    else lane.queue.push(entry);
    return 'queued';
  }

  /** What waits behind an active command in its lane, in order: at most so many. */
  behind({ turn }: Ticket, most: number): readonly { readonly offset: number; readonly value: T }[] {
    const active = this.#active.get(turn);
    return active === undefined || active.orphaned ? [] : active.lane.queue.next(1, most);
  }

  /** A record that needs no lane (a dead letter, a refusal): finished as soon as what comes of it is staged. */
  skip(partition: number, offset: number): 'skipped' | 'known' | 'full' | 'foreign' {
    const home = this.#homes.get(partition);
    if (home === undefined) return 'foreign';
    const look = home.offsets.look(offset);
    if (look === 'new' && !this.#admits(home, { offset, key: null, bytes: 0 })) return 'full';
    home.offsets.see(offset);
    if (look === 'known') return 'known';
    home.offsets.finish(offset);
    return 'skipped';
  }

  /** Whose turn it is, if there is a slot; call it until it has none. */
  take(nowMs: number): Turn<T> | null {
    if (this.#active.size >= this.#limits.maxActive) return null;
    for (let due = this.#backingOff.take(nowMs); due !== undefined; due = this.#backingOff.take(nowMs))
      this.#ready.push(due);
    const lane = this.#ready.take();
    if (lane === undefined) return null;
    const { partition, epoch } = lane.home;
    const entry = lane.queue.first as Entry<T>;
    const resumed = entry.started;
    entry.started = true;
    const ticket = { partition, offset: entry.offset, epoch, turn: ++this.#turn };
    this.#active.set(ticket.turn, { ticket, lane, orphaned: false });
    return { ticket, lane: lane.key, value: entry.value, resumed };
  }

  /**
   * The command is finished. What comes of it must be staged for the transaction that carries this progress, or for an
   * earlier one: with that, the next of the lane may start before either is committed.
   */
  settle(ticket: Ticket): ResultOf {
    const active = this.#release(ticket);
    if (active === undefined) return 'stale';
    if (active.orphaned) return 'orphaned';
    const { lane } = active;
    const { home } = lane;
    const { offset, bytes } = lane.queue.take() as Entry<T>;
    home.offsets.finish(offset);
    home.queued--;
    home.bytes -= bytes;
    if (lane.queue.size > 0) this.#ready.push(lane);
    else home.lanes.delete(lane.key);
    home.paused &&= !this.#isDrained(home);
    return 'done';
  }

  /** The command goes on at `untilMs`, first in its lane; its slot is free until then. */
  backOff(ticket: Ticket, untilMs: number): ResultOf {
    const active = this.#release(ticket);
    if (active === undefined) return 'stale';
    if (active.orphaned) return 'orphaned';
    this.#backingOff.push(untilMs, active.lane);
    return 'done';
  }

  /** To be committed in one transaction with all that has been staged; undefined for a partition that is not ours. */
  progress(partition: number): Progress | undefined {
    return this.#homes.get(partition)?.offsets.progress;
  }

  commitOffset(partition: number): number | undefined {
    return this.#homes.get(partition)?.offsets.commitOffset;
  }

  /** Of the records that are taken in and not settled. */
  queuedBytes(partition: number): number {
    return this.#homes.get(partition)?.bytes ?? 0;
  }

  /** Said `full` and has not drained yet. */
  isPaused(partition: number): boolean {
    return this.#homes.get(partition)?.paused ?? false;
  }

  /** When `take` is worth calling again though nothing has been settled; null when it is not. */
  get wakeAtMs(): number | null {
    return this.#backingOff.firstAtMs;
  }

  /** Part of the slots that is taken, 0 to 1. */
  get load(): number {
    return Math.min(1, this.#active.size / this.#limits.maxActive);
  }

  get counts() {
    let queued = 0;
    let lanes = 0;
    for (const home of this.#homes.values()) {
      queued += home.queued;
      lanes += home.lanes.size;
    }
    let orphans = 0;
    for (const { orphaned } of this.#active.values()) if (orphaned) orphans++;
    return {
      lanes,
      /** Taken in and not settled, whatever they are doing. */
      queued,
      ready: this.#ready.size,
      active: this.#active.size,
      orphans,
      backingOff: this.#backingOff.size,
    };
  }

  #begin(lane: Lane<T>, entry: Entry<T>): void {
    lane.queue.push(entry);
    lane.home.lanes.set(lane.key, lane);
    this.#ready.push(lane);
  }

  #release({ turn }: Ticket): Active<T> | undefined {
    const active = this.#active.get(turn);
    this.#active.delete(turn);
    return active;
  }

  /** N6. `key` is null for what needs no room. */
  #admits(home: Home<T>, record: { offset: number; key: string | null; bytes: number }): boolean {
    const { offset } = record;
    if (home.paused || (home.refused !== null && offset > home.refused)) return false;
    const admits = this.#hasRoom(home, record);
    home.paused = !admits;
    home.refused = admits ? null : offset;
    return admits;
  }

  /** Nothing queued always leaves room, or a partition could stay full for ever. */
  #hasRoom(home: Home<T>, { offset, key, bytes }: { offset: number; key: string | null; bytes: number }): boolean {
    const { maxQueued, maxQueuedBytes, maxLanes, maxSpan } = this.#limits;
    if (home.queued === 0) return true;
    if (offset - home.offsets.commitOffset >= maxSpan) return false;
    if (key === null) return true;
    if (home.queued >= maxQueued || home.bytes + bytes > maxQueuedBytes) return false;
    return home.lanes.has(key) || home.lanes.size < maxLanes;
  }

  #isDrained({ queued, bytes, lanes, offsets }: Home<T>): boolean {
    const { maxQueued, maxQueuedBytes, maxLanes, maxSpan, lowWater } = this.#limits;
    if (queued === 0) return true;
    return (
      queued <= maxQueued * lowWater &&
      bytes <= maxQueuedBytes * lowWater &&
      lanes.size <= maxLanes * lowWater &&
      offsets.span <= maxSpan * lowWater
    );
  }
}
