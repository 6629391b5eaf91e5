/**
 * Who may start: the commands of each lane (a tenant's conversation) strictly one after another, all lanes in turn.
 *
 * N1 of one lane, commands start in the order they came, the next one only when the one before is settled
 * N2 of one lane, at most one command is active
 * N3 at most `maxActive` commands are active in all, calls of lost partitions included; what waits, or backs off, holds no slot
 * N4 tenants take turns, and of one tenant lanes start in the order in which they came to be able to: a hot lane has one turn
 *    in each round of its tenant, and a hot tenant one in each round of all
 * N5 a command that backs off holds up its own lane and no other; when its time has come it goes on before what is behind it
 * N6 queues are bounded. A partition that is full says so until it has drained below the low-water mark: what it is offered
 *    meanwhile is not taken and leaves no trace
 * N7 no offset is committed past an unfinished command (offsets.ts), and what is finished never starts again
 * N8 a lost partition's lanes are gone. What was active there is orphaned: its result frees its slot and changes nothing else
 * N9 a result counts once, for the turn it belongs to; one of an earlier turn or epoch changes nothing
 * N10 a tenant has a fair share of the slots, and of the room of each partition (fair-shares.ts), so that it is never the
 *    commands of one that keep those of another waiting. What has no share is `full`, as what has no room; the caller, when it
 *    has waited, may have it passed over (passed.ts) and read on. All of a tenant is started in the order of N1 even so
 *
 * Lanes belong to a partition: whoever reads the records refuses those that lie in another partition than their lane does.
 */
import { isWithinShare } from '../base/fair-shares.ts';
import { DueQueue } from './lanes/due-queue.ts';
import { Fifo } from './lanes/fifo.ts';
import { Offsets, type Progress } from './lanes/offsets.ts';
import { Passed } from './lanes/passed.ts';
import { Room, type RoomLimits } from './lanes/room.ts';
import { Rounds } from './lanes/rounds.ts';

export interface LaneLimits extends RoomLimits {
  /** Commands started and neither settled nor backing off, in all partitions. */
  readonly maxActive: number;
  /** Records passed over, of each partition: after a crash, or when they have room, they are read again. */
  readonly maxPassed: number;
  /** How much of what is left of the slots a tenant may hold. */
  readonly slotGreed: number;
}

export const LANE_LIMITS: LaneLimits = {
  maxActive: 512,
  maxLanes: 3_000,
  maxQueued: 3_000,
  maxQueuedBytes: 6 * 1024 * 1024,
  maxSpan: 1_000_000,
  lowWater: 0.5,
  maxPassed: 10_000,
  // Slots come free within seconds, so that a small part is enough for whoever comes: one tenant alone has eight ninths.
  slotGreed: 8,
  // One tenant alone has two thirds, which are 2,000 commands.
  roomGreed: 2,
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
  readonly tenantId: string;
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

/**
 * `known`: finished, or in hand. `full`: offer it again later. `passed`: passed over. `foreign`: the partition is not ours.
 * `lost`: what had been passed over did not come when it was gone back for. Nothing is known of it then, and the partition must
 * be opened anew, as what its log begins with says.
 */
export type OfferResult = 'queued' | 'known' | 'full' | 'passed' | 'foreign' | 'lost';

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
  readonly tenantId: string;
  readonly home: Home<T>;
  readonly queue: Fifo<Entry<T>>;
}

interface Home<T> {
  readonly partition: number;
  readonly epoch: number;
  readonly offsets: Offsets;
  readonly lanes: Map<string, Lane<T>>;
  readonly room: Room;
  readonly passed: Passed;
}

interface Active<T> {
  readonly ticket: Ticket;
  readonly lane: Lane<T>;
  orphaned: boolean;
}

export class Lanes<T> {
  readonly #limits: LaneLimits;
  readonly #homes = new Map<number, Home<T>>();
  readonly #ready = new Rounds<Lane<T>>();
  readonly #backingOff = new DueQueue<Lane<T>>();
  readonly #active = new Map<number, Active<T>>();
  /** Active commands of each tenant that has some, those of lost partitions included. */
  readonly #activeOf = new Map<string, number>();
  #turn = 0;

  constructor(limits: LaneLimits = LANE_LIMITS) {
    this.#limits = limits;
  }

  /**
   * The partition is ours, in an epoch above all of its earlier ones. `position` is the first offset that may come and `progress`
   * what the last owner left, where that is to be believed. An older epoch that is still held is revoked; its orphans are returned.
   */
  assign(
    partition: number,
    owned: { readonly epoch: number; readonly position: number; readonly progress: Progress | null },
  ): readonly Orphan<T>[] {
    const before = this.#homes.get(partition);
    if (before !== undefined && before.epoch >= owned.epoch)
      throw new RangeError(`partition ${partition}: epoch ${owned.epoch} comes after ${before.epoch}`);
    const orphans = this.revoke(partition);
    const offsets = new Offsets(owned.position, owned.progress);
    const room = new Room(this.#limits);
    const empty = { offsets, room, lanes: new Map(), passed: new Passed() };
    this.#homes.set(partition, { partition, epoch: owned.epoch, ...empty });
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

  /** Whether nothing is to be done with the record, which is noted. Saves whoever reads again what it costs to understand it. */
  isKnown(partition: number, offset: number): boolean {
    const home = this.#homes.get(partition);
    if (home === undefined || home.passed.has(offset) || home.offsets.look(offset) === 'new') return false;
    home.offsets.see(offset);
    return true;
  }

  /**
   * Of one partition in the order of the log; what was `full` comes again before what follows it. `mayPass`: it has been `full`
   * for so long that those behind it should not wait for its tenant any more.
   */
  offer(offer: Offer<T>, mayPass = false): OfferResult {
    const { partition, offset, tenantId, lane: key, value, bytes } = offer;
    const home = this.#homes.get(partition);
    if (home === undefined) return 'foreign';
    if (this.isKnown(partition, offset)) return 'known';
    if (!hasAllComeTo(home, offset)) return 'lost';
    if (home.passed.isClosed(tenantId)) return this.#pass(home, offer);
    const hasRoom = this.#hasRoom(home, offer);
    const wasPassed = home.passed.has(offset);
    if (!hasRoom && (mayPass || wasPassed)) return this.#pass(home, offer);
    if (!home.room.admits(offset, hasRoom)) return 'full';
    if (wasPassed) home.passed.take(offset);
    else home.offsets.see(offset);
    home.room.take(tenantId, bytes);
    const entry = { offset, value, bytes, started: false };
    const lane = home.lanes.get(key);
    if (lane === undefined) this.#begin({ key, tenantId, home, queue: new Fifo() }, entry);
    else lane.queue.push(entry);
    return 'queued';
  }

  /**
   * Where the reading is to go back to, for tenants that have room again for what was passed over; null when there is none.
   * It must go there then: everything that is offered next is from there on.
   */
  goBack(partition: number): number | null {
    const home = this.#homes.get(partition);
    if (home === undefined || home.passed.size === 0) return null;
    const tenants = home.passed.closed.filter((tenantId) => home.room.isDrainedOf(tenantId));
    if (tenants.length === 0) return null;
    home.room.reopen();
    return home.passed.open(tenants);
  }

  /**
   * Where the reading goes on that has gone back, once all it went back for has been taken in or found no room; null while it
   * is to go on from `offset`.
   */
  skipTo(partition: number, offset: number): number | null {
    const home = this.#homes.get(partition);
    if (home === undefined || home.passed.size === 0 || home.passed.hasOpen) return null;
    const { nextOffset } = home.offsets;
    return nextOffset > offset + 1 ? nextOffset : null;
  }

  /** What waits behind an active command in its lane, in order: at most so many. */
  behind({ turn }: Ticket, most: number): readonly { readonly offset: number; readonly value: T }[] {
    const active = this.#active.get(turn);
    return active === undefined || active.orphaned ? [] : active.lane.queue.next(1, most);
  }

  /** A record that needs no lane (a dead letter, a refusal): finished as soon as what comes of it is staged. */
  skip(partition: number, offset: number): 'skipped' | Exclude<OfferResult, 'queued' | 'passed'> {
    const home = this.#homes.get(partition);
    if (home === undefined) return 'foreign';
    if (this.isKnown(partition, offset)) return 'known';
    if (home.passed.has(offset)) home.passed.take(offset);
    else {
      if (!hasAllComeTo(home, offset)) return 'lost';
      if (!home.room.admits(offset, this.#hasSpan(home, offset))) return 'full';
      home.offsets.see(offset);
    }
    home.offsets.finish(offset);
    return 'skipped';
  }

  /** Whose turn it is, if there is a slot; call it until it has none. */
  take(nowMs: number): Turn<T> | null {
    if (this.#active.size >= this.#limits.maxActive) return null;
    for (let due = this.#backingOff.take(nowMs); due !== undefined; due = this.#backingOff.take(nowMs))
      this.#ready.push(due.tenantId, due);
    const lane = this.#ready.take((tenantId) => this.#mayHaveSlot(tenantId));
    if (lane === undefined) return null;
    const { partition, epoch } = lane.home;
    const entry = lane.queue.first as Entry<T>;
    const resumed = entry.started;
    entry.started = true;
    const ticket = { partition, offset: entry.offset, epoch, turn: ++this.#turn };
    this.#active.set(ticket.turn, { ticket, lane, orphaned: false });
    this.#activeOf.set(lane.tenantId, (this.#activeOf.get(lane.tenantId) ?? 0) + 1);
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
    if (lane.queue.size > 0) this.#ready.push(lane.tenantId, lane);
    else home.lanes.delete(lane.key);
    home.room.give(lane.tenantId, bytes, { lanes: home.lanes.size, span: home.offsets.span });
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
    return this.#homes.get(partition)?.room.bytes ?? 0;
  }

  /** Said `full` and has not drained yet. */
  isPaused(partition: number): boolean {
    return this.#homes.get(partition)?.room.isPaused ?? false;
  }

  /** When `take` is worth calling again though nothing has been settled; null when it is not. */
  get wakeAtMs(): number | null {
    return this.#backingOff.firstAtMs;
  }

  /** Part of the slots that is taken, 0 to 1. */
  get load(): number {
    return Math.min(1, this.#active.size / this.#limits.maxActive);
  }

  /** Whose commands of the partition were passed over, and have not all been read again. */
  passedOver(partition: number): readonly string[] {
    return this.#homes.get(partition)?.passed.tenants ?? [];
  }

  get counts() {
    let queued = 0;
    let lanes = 0;
    let passed = 0;
    for (const home of this.#homes.values()) {
      queued += home.room.queued;
      lanes += home.lanes.size;
      passed += home.passed.size;
    }
    let orphans = 0;
    for (const { orphaned } of this.#active.values()) if (orphaned) orphans++;
    return {
      lanes,
      /** Taken in and not settled, whatever they are doing. */
      queued,
      /** Of tenants without a share of the room; to be read again. */
      passed,
      ready: this.#ready.size,
      active: this.#active.size,
      orphans,
      backingOff: this.#backingOff.size,
    };
  }

  #begin(lane: Lane<T>, entry: Entry<T>): void {
    lane.queue.push(entry);
    lane.home.lanes.set(lane.key, lane);
    this.#ready.push(lane.tenantId, lane);
  }

  #release({ turn }: Ticket): Active<T> | undefined {
    const active = this.#active.get(turn);
    if (active === undefined) return undefined;
    this.#active.delete(turn);
    const { tenantId } = active.lane;
    const left = (this.#activeOf.get(tenantId) ?? 0) - 1;
    if (left > 0) this.#activeOf.set(tenantId, left);
    else this.#activeOf.delete(tenantId);
    return active;
  }

  #mayHaveSlot(tenantId: string): boolean {
    const { maxActive: max, slotGreed: greed } = this.#limits;
    const held = this.#activeOf.get(tenantId) ?? 0;
    return isWithinShare({ held, inAll: this.#active.size, max, amount: 1, greed });
  }

  #pass(home: Home<T>, { offset, tenantId }: Offer<T>): OfferResult {
    if (!home.passed.has(offset)) {
      if (home.passed.size >= this.#limits.maxPassed || !this.#hasSpan(home, offset)) {
        home.room.admits(offset, false);
        return 'full';
      }
      home.offsets.see(offset); // unfinished, so that nothing is committed past it
    }
    home.passed.pass(tenantId, offset);
    home.room.reopen();
    return 'passed';
  }

  /** Nothing queued always leaves room, or a partition could stay full for ever. */
  #hasRoom(home: Home<T>, { offset, lane, tenantId, bytes }: Offer<T>): boolean {
    const { room, lanes, passed } = home;
    if (room.queued > 0 && !passed.has(offset) && !this.#hasSpan(home, offset)) return false;
    return room.isThere(tenantId, bytes, lanes.size + (lanes.has(lane) ? 0 : 1));
  }

  #hasSpan({ room, offsets, passed }: Home<T>, offset: number): boolean {
    return (room.queued === 0 && passed.size === 0) || offset - offsets.commitOffset < this.#limits.maxSpan;
  }
}

/** At an offset that has not been offered before, all that was gone back for has come by. */
function hasAllComeTo<T>({ passed }: Home<T>, offset: number): boolean {
  return passed.has(offset) || passed.caughtUp();
}
