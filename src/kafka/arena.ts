/**
 * Small byte values packed into one buffer. A cell is two bytes of length and the value, rounded up to 8 bytes; freed
 * cells wait in a list per size. References are cell positions in units of 8 bytes; 0 is "none".
 *
 * A1 a cell belongs to one value or to one free list, never both
 * A2 `wastedBytes` is exactly what freed cells hold
 * A3 an arena never grows by itself: its owner, who knows every reference, gives it more room or copies it over
 */

export const UNIT_BYTES = 8;
const HEADER_BYTES = 2;
/** Larger freed cells are rare; they are left to the next copy instead of being kept in lists. */
const LARGEST_LISTED_UNITS = 64;

/** Longest value a cell can hold. */
export const MAX_VALUE_BYTES = 0xffff;
export const NO_CELL = 0;

/** Units a value of this length takes. */
export function unitsFor(valueBytes: number): number {
  return (valueBytes + HEADER_BYTES + UNIT_BYTES - 1) >>> 3;
}

export class Arena {
  #bytes: Buffer;
  #words: Int32Array;
  /** First unit never handed out; unit 0 is left out so that 0 can mean "none". */
  #top = 1;
  #wastedUnits = 0;
  #freeHeads: Int32Array | undefined;

  constructor(units: number) {
    this.#bytes = Buffer.allocUnsafeSlow(units * UNIT_BYTES);
    this.#words = new Int32Array(this.#bytes.buffer);
  }

  get allocatedBytes(): number {
    return this.#bytes.length;
  }

  get usedUnits(): number {
    return this.#top - this.#wastedUnits;
  }

  get wastedBytes(): number {
    return this.#wastedUnits * UNIT_BYTES;
  }

  /** Stores a value; NO_CELL when there is no room. */
  add(value: Uint8Array): number {
    const units = unitsFor(value.length);
    const cell = this.#take(units);
    if (cell !== NO_CELL) this.write(cell, value);
    return cell;
  }

  /** Overwrites a cell whose value takes as many units as this one. */
  write(cell: number, value: Uint8Array): void {
    const bytes = this.#bytes;
    const start = cell * UNIT_BYTES;
    const length = value.length;
    bytes[start] = length;
    bytes[start + 1] = length >>> 8;
    bytes.set(value, start + HEADER_BYTES);
  }

  /** A view of the value in this cell. */
  read(cell: number): Buffer {
    const start = cell * UNIT_BYTES + HEADER_BYTES;
    return this.#bytes.subarray(start, start + this.#length(cell));
  }

  unitsAt(cell: number): number {
    return unitsFor(this.#length(cell));
  }

  free(cell: number): void {
    const units = this.unitsAt(cell);
    this.#wastedUnits += units;
    if (units > LARGEST_LISTED_UNITS) return;
    this.#freeHeads ??= new Int32Array(LARGEST_LISTED_UNITS + 1);
    // The list runs through the free cells themselves: the first word of each holds the next.
    this.#words[cell * 2] = this.#freeHeads[units] as number;
    this.#freeHeads[units] = cell;
  }

  /** More room, same references. */
  grow(units: number): void {
    const larger = Buffer.allocUnsafeSlow(units * UNIT_BYTES);
    larger.set(this.#bytes.subarray(0, this.#top * UNIT_BYTES));
    this.#bytes = larger;
    this.#words = new Int32Array(larger.buffer);
  }

  /** Copies one cell of another arena to the end of this one, which must have room. Returns its new reference. */
  adopt(from: Arena, cell: number): number {
    const units = from.unitsAt(cell);
    const start = cell * 2;
    const to = this.#top * 2;
    for (let word = 0; word < units * 2; word++) this.#words[to + word] = from.#words[start + word] as number;
    const adopted = this.#top;
    this.#top += units;
    return adopted;
  }

  #length(cell: number): number {
    const start = cell * UNIT_BYTES;
    return (this.#bytes[start] as number) | ((this.#bytes[start + 1] as number) << 8);
  }

  #take(units: number): number {
    if (units <= LARGEST_LISTED_UNITS && this.#freeHeads !== undefined) {
      const free = this.#freeHeads[units] as number;
      if (free !== NO_CELL) {
        this.#freeHeads[units] = this.#words[free * 2] as number;
        this.#wastedUnits -= units;
        return free;
      }
    }
    const cell = this.#top;
    if ((cell + units) * UNIT_BYTES > this.#bytes.length) return NO_CELL;
    this.#top = cell + units;
    return cell;
  }
}
