/**
 * The committed state of one shard in memory: a bounded map from key to a few bytes.
 *
 * A JavaScript Map costs 150–240 bytes a key and ends at 2^24 keys; this table keeps a 64-bit fingerprint instead of the
 * key and the value in a packed arena, about 90 bytes for a value of 60. The log keeps the full key. Two keys share an
 * entry when all 64 bits agree: a chance of about 5e-13 for each new key among ten million.
 *
 * T1 behaves as a Map from key to bytes; a string key and its UTF-8 bytes are the same key
 * T2 a buffer from `get` is a view, valid until the next change of the table
 * T3 `bytes` never exceeds `maxBytes`; the change that would pass it throws `state_full` and changes nothing
 * T4 growing copies one segment (1/256 of the table), so it neither doubles memory nor holds up the loop
 * T5 expiry never removes an entry touched at or after the given time (times are kept in whole minutes, rounded down)
 * T6 without other changes, looking at every slot once expires everything older
 */
import { randomInt } from 'node:crypto';
import { CodedError } from '../base/errors.ts';
import { MAX_VALUE_BYTES } from './arena.ts';
import { ByteBudget } from './byte-budget.ts';
import { Fingerprinter } from './fingerprint.ts';
import { ARENA_SLACK, SLOT_GROWTH, StateSegment } from './state-segment.ts';

const SEGMENTS = 256;
const SMALLEST_CAPACITY = 16;
const SMALLEST_ARENA_UNITS = 64;
const MINUTE_MS = 60_000;

export interface StateTableOptions {
  /** Bound on the bytes allocated for slots and values. */
  readonly maxBytes: number;
  /** Of the fingerprints; drawn at random when absent. They never leave the process. */
  readonly seed?: number;
}

export class StateTable {
  readonly #budget: ByteBudget;
  readonly #fingerprint: Fingerprinter;
  /** Made when first needed, so that a small table stays small. */
  #segments: (StateSegment | undefined)[] = newSegments();
  #size = 0;
  #sweepSegment = 0;
  #sweepSlot = 0;

  constructor({ maxBytes, seed = randomInt(2 ** 32) }: StateTableOptions) {
    this.#budget = new ByteBudget(maxBytes);
    this.#fingerprint = new Fingerprinter(seed);
  }

  get size(): number {
    return this.#size;
  }

  /** Bytes allocated for slots and values. */
  get bytes(): number {
    return this.#budget.usedBytes;
  }

  get maxBytes(): number {
    return this.#budget.maxBytes;
  }

  /** The value, as a view that is valid until the next change of the table. */
  get(key: string | Uint8Array): Buffer | undefined {
    const fingerprint = this.#fingerprint;
    fingerprint.of(key);
    return this.#segments[fingerprint.high & (SEGMENTS - 1)]?.get(fingerprint.low, fingerprint.high);
  }

  /** Copies `value` in and marks the entry as touched at `nowMs`. Throws `state_full` or `state_value_too_large`. */
  set(key: string | Uint8Array, value: Uint8Array, nowMs: number): void {
    checkValueSize(value);
    const fingerprint = this.#fingerprint;
    fingerprint.of(key);
    const segment = this.#segmentFor(fingerprint.high & (SEGMENTS - 1));
    const before = segment.count;
    segment.set(fingerprint.low, fingerprint.high, value, minuteOf(nowMs));
    this.#size += segment.count - before;
  }

  /** True when there was an entry. */
  delete(key: string | Uint8Array): boolean {
    const fingerprint = this.#fingerprint;
    fingerprint.of(key);
    const segment = this.#segments[fingerprint.high & (SEGMENTS - 1)];
    const deleted = segment?.delete(fingerprint.low, fingerprint.high) ?? false;
    if (deleted) this.#size--;
    return deleted;
  }

  /** All values, as views that are valid until the next change. Those that a change moves meanwhile may be missed or repeated. */
  *values(): Generator<Buffer> {
    for (let index = 0; index < SEGMENTS; index++) {
      // Looked up each time: a segment may be made or grow between two of its values.
      for (let slot = 0; slot < (this.#segments[index]?.capacity ?? 0); slot++) {
        const value = this.#segments[index]?.valueAt(slot);
        if (value !== undefined) yield value;
      }
    }
  }

  /** One record of the state topic: a value, or null for a tombstone. */
  restore(key: Uint8Array, value: Uint8Array | null, timestampMs: number): void {
    if (value === null) this.delete(key);
    else this.set(key, value, timestampMs);
  }

  /**
   * Removes entries last touched before the minute of `beforeMs`, looking at no more than `budgetSlots` slots and going
   * on next time where it stopped. Returns how many were removed.
   */
  expireOlderThan(beforeMs: number, budgetSlots: number): number {
    const minute = minuteOf(beforeMs);
    let left = budgetSlots;
    let expired = 0;
    for (let seen = 0; left > 0 && seen < SEGMENTS; ) {
      const segment = this.#segments[this.#sweepSegment];
      if (segment !== undefined && this.#sweepSlot < segment.capacity) {
        const slots = Math.min(left, segment.capacity - this.#sweepSlot);
        expired += segment.expire(minute, this.#sweepSlot, slots);
        this.#sweepSlot += slots;
        left -= slots;
      }
      if (segment !== undefined && this.#sweepSlot < segment.capacity) break;
      segment?.trim();
      this.#sweepSlot = 0;
      this.#sweepSegment = (this.#sweepSegment + 1) % SEGMENTS;
      seen++;
    }
    this.#size -= expired;
    return expired;
  }

  clear(): void {
    this.#segments = newSegments();
    this.#budget.reset();
    this.#size = 0;
    this.#sweepSegment = 0;
    this.#sweepSlot = 0;
  }

  #segmentFor(index: number): StateSegment {
    let segment = this.#segments[index];
    if (segment === undefined) {
      // Staggered, so that segments, which fill alike, do not all grow at the same moment.
      segment = new StateSegment({
        budget: this.#budget,
        capacity: Math.round(SMALLEST_CAPACITY * SLOT_GROWTH ** (index / SEGMENTS)),
        arenaUnits: Math.round(SMALLEST_ARENA_UNITS * ARENA_SLACK ** (index / SEGMENTS)),
      });
      this.#segments[index] = segment;
    }
    return segment;
  }
}

/** Throws `state_value_too_large` for a value no table can hold. */
export function checkValueSize(value: Uint8Array): void {
  if (value.length <= MAX_VALUE_BYTES) return;
  const detail = { bytes: value.length, maxBytes: MAX_VALUE_BYTES };
  throw new CodedError('state_value_too_large', 'The state of one resource is too large', detail);
}

function newSegments(): (StateSegment | undefined)[] {
  return new Array<StateSegment | undefined>(SEGMENTS).fill(undefined);
}

/** Fits 32 bits until the year 6053. */
function minuteOf(timeMs: number): number {
  return Math.floor(timeMs / MINUTE_MS);
}
