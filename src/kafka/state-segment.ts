/**
 * One segment of a state table: open addressing with linear probing over one Int32Array, values in an arena of its own.
 * A slot is four words: fingerprint low, fingerprint high (0 = empty slot), arena cell, minute of the last touch.
 *
 * G1 an entry stands at its home slot or after it with no empty slot between (so a probe may stop at the first empty one)
 * G2 at most 3/4 of the slots are taken, so every probe ends
 * G3 every arena cell in use belongs to exactly one slot
 * G4 what does not fit in the byte budget throws before anything has changed
 *
 * Home slots are `low / 2^32 * capacity`: any capacity will do, so a segment grows by half instead of doubling, and because
 * slot order is fingerprint order, growing is one pass through both tables from front to back.
 */
import { Arena, NO_CELL, UNIT_BYTES, unitsFor } from './arena.ts';
import type { ByteBudget } from './byte-budget.ts';

const LOW = 0;
const HIGH = 1;
const CELL = 2;
const MINUTE = 3;
const SLOT_WORDS = 4;
const SLOT_BYTES = 16;
const PER_2_32 = 2 ** -32;
/** Factor by which a full slot array grows. */
export const SLOT_GROWTH = 1.5;
/** Slack given to an arena: a quarter, so that all growing together copies each byte about four times. */
export const ARENA_SLACK = 1.25;

export interface SegmentOptions {
  readonly budget: ByteBudget;
  /** Slots and arena units to begin with, and never to shrink below. */
  readonly capacity: number;
  readonly arenaUnits: number;
}

export class StateSegment {
  count = 0;
  readonly #budget: ByteBudget;
  readonly #smallestCapacity: number;
  readonly #smallestArenaUnits: number;
  #slots: Int32Array;
  #capacity: number;
  #arena: Arena;

  constructor({ budget, capacity, arenaUnits }: SegmentOptions) {
    budget.take(capacity * SLOT_BYTES + arenaUnits * UNIT_BYTES);
    this.#budget = budget;
    this.#smallestCapacity = capacity;
    this.#smallestArenaUnits = arenaUnits;
    this.#capacity = capacity;
    this.#slots = new Int32Array(capacity * SLOT_WORDS);
    this.#arena = new Arena(arenaUnits);
  }

  get capacity(): number {
    return this.#capacity;
  }

  get allocatedBytes(): number {
    return this.#capacity * SLOT_BYTES + this.#arena.allocatedBytes;
  }

  get(low: number, high: number): Buffer | undefined {
    const at = this.#find(low, high);
    return at < 0 ? undefined : this.#arena.read(this.#slots[at + CELL] as number);
  }

  /** Of the slot, counted from 0; undefined when it is empty. */
  valueAt(slot: number): Buffer | undefined {
    const at = slot * SLOT_WORDS;
    return this.#slots[at + HIGH] === 0 ? undefined : this.#arena.read(this.#slots[at + CELL] as number);
  }

  set(low: number, high: number, value: Uint8Array, minute: number): void {
    const at = this.#find(low, high);
    if (at < 0) this.#insert(low, high, value, minute);
    else this.#replace(at, value, minute);
  }

  delete(low: number, high: number): boolean {
    const at = this.#find(low, high);
    if (at < 0) return false;
    this.#remove(at);
    return true;
  }

  /** Removes entries last touched before `minute`, looking at `slots` slots from slot `from`. Returns how many went. */
  expire(minute: number, from: number, slots: number): number {
    const before = this.count;
    const end = Math.min(from + slots, this.#capacity) * SLOT_WORDS;
    let at = from * SLOT_WORDS;
    while (at < end) {
      if (this.#slots[at + HIGH] !== 0 && (this.#slots[at + MINUTE] as number) < minute) {
        this.#remove(at); // which may have moved another entry here: look again
      } else at += SLOT_WORDS;
    }
    return before - this.count;
  }

  /** Gives back room that expiry has emptied. Needs no budget: what it allocates is smaller than what it frees. */
  trim(): void {
    if (this.count * 4 < this.#capacity && this.#capacity > this.#smallestCapacity) {
      this.#rehash(Math.max(this.#smallestCapacity, Math.ceil(this.count * 2)));
    }
    const units = this.#arenaUnits(0);
    if (units * UNIT_BYTES * 2 < this.#arena.allocatedBytes) this.#copyArena(units);
  }

  #home(low: number): number {
    return Math.floor((low >>> 0) * this.#capacity * PER_2_32) * SLOT_WORDS;
  }

  /** Word index of the entry's slot, or the complement of the empty slot where its probe ended. */
  #find(low: number, high: number): number {
    const slots = this.#slots;
    const end = slots.length;
    let at = this.#home(low);
    for (;;) {
      const found = slots[at + HIGH];
      if (found === 0) return ~at;
      if (found === high && slots[at + LOW] === low) return at;
      at += SLOT_WORDS;
      if (at === end) at = 0;
    }
  }

  #insert(low: number, high: number, value: Uint8Array, minute: number): void {
    if ((this.count + 1) * 4 > this.#capacity * 3) this.#rehash(Math.ceil(this.#capacity * SLOT_GROWTH));
    const cell = this.#store(value);
    const at = ~this.#find(low, high);
    const slots = this.#slots;
    slots[at + LOW] = low;
    slots[at + HIGH] = high;
    slots[at + CELL] = cell;
    slots[at + MINUTE] = minute;
    this.count++;
  }

  #replace(at: number, value: Uint8Array, minute: number): void {
    const slots = this.#slots;
    if (this.#arena.unitsAt(slots[at + CELL] as number) === unitsFor(value.length)) {
      this.#arena.write(slots[at + CELL] as number, value);
    } else {
      const cell = this.#store(value); // before the old cell is read: making room moves cells
      this.#arena.free(slots[at + CELL] as number);
      slots[at + CELL] = cell;
    }
    slots[at + MINUTE] = minute;
  }

  /** Empties a slot and closes the gap by shifting back what probed past it, so that G1 holds without tombstones. */
  #remove(at: number): void {
    const slots = this.#slots;
    const end = slots.length;
    this.#arena.free(slots[at + CELL] as number);
    let hole = at;
    let next = hole;
    for (;;) {
      next += SLOT_WORDS;
      if (next === end) next = 0;
      if (slots[next + HIGH] === 0) break;
      const home = this.#home(slots[next + LOW] as number);
      // It may move into the hole unless its home lies cyclically after the hole.
      const stays = hole <= next ? home > hole && home <= next : home > hole || home <= next;
      if (stays) continue;
      slots.copyWithin(hole, next, next + SLOT_WORDS);
      hole = next;
    }
    slots[hole + HIGH] = 0;
    this.count--;
  }

  #store(value: Uint8Array): number {
    const cell = this.#arena.add(value);
    if (cell !== NO_CELL) return cell;
    const units = this.#arenaUnits(unitsFor(value.length));
    // With much of it in freed cells of other sizes, copying the living reclaims them; else more room is cheaper.
    if (this.#arena.wastedBytes * 4 >= this.#arena.allocatedBytes) this.#copyArena(units);
    else {
      const grown = Math.max(
        units,
        Math.ceil((this.#arena.allocatedBytes / UNIT_BYTES) * ARENA_SLACK) + unitsFor(value.length),
      );
      this.#budget.take(grown * UNIT_BYTES - this.#arena.allocatedBytes);
      this.#arena.grow(grown);
    }
    return this.#arena.add(value);
  }

  /** A comfortable size for what is in use and `more`. */
  #arenaUnits(more: number): number {
    return Math.max(this.#smallestArenaUnits, Math.ceil(this.#arena.usedUnits * ARENA_SLACK) + more);
  }

  #copyArena(units: number): void {
    this.#budget.take(units * UNIT_BYTES - this.#arena.allocatedBytes);
    const copy = new Arena(units);
    const slots = this.#slots;
    for (let at = 0; at < slots.length; at += SLOT_WORDS) {
      if (slots[at + HIGH] !== 0) slots[at + CELL] = copy.adopt(this.#arena, slots[at + CELL] as number);
    }
    this.#arena = copy;
  }

  #rehash(capacity: number): void {
    this.#budget.take((capacity - this.#capacity) * SLOT_BYTES);
    const old = this.#slots;
    this.#slots = new Int32Array(capacity * SLOT_WORDS);
    this.#capacity = capacity;
    for (let from = 0; from < old.length; from += SLOT_WORDS) {
      if (old[from + HIGH] === 0) continue;
      const at = ~this.#find(old[from + LOW] as number, old[from + HIGH] as number);
      for (let word = 0; word < SLOT_WORDS; word++) this.#slots[at + word] = old[from + word] as number;
    }
  }
}
