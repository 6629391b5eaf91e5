/**
 * A queue with ids that is never changed but made anew, in chunks: what did not change is shared between the old and the
 * new one, and chunks are the pieces in which it is written to the log. Made for appending at the end, dropping at the
 * start and, now and then, taking one out.
 *
 * F1 Entries keep the order in which they were pushed; no chunk is empty; numbers of chunks ascend.
 * F2 A chunk never changes. What is taken out or added makes a new chunk of the same number, also of a queue that is not the
 *    latest.
 */
export interface FifoEntry {
  readonly id: string;
}

export interface Chunk<E> {
  readonly number: number;
  readonly entries: readonly E[];
}

/**
 * What chunks of one number share: entries with an index, only ever appended to. A chunk that was there before sees none of
 * what came after it.
 */
class Piece<E extends FifoEntry> {
  readonly entries: E[] = [];
  readonly places = new Map<string, number>();

  constructor(entries: readonly E[]) {
    for (const entry of entries) this.append(entry);
  }

  append(entry: E): void {
    this.places.set(entry.id, this.entries.length);
    this.entries.push(entry);
  }
}

class SharedChunk<E extends FifoEntry> implements Chunk<E> {
  readonly number: number;
  readonly length: number;
  readonly #piece: Piece<E>;
  readonly #from: number;

  private constructor(number: number, piece: Piece<E>, from: number, length: number) {
    this.number = number;
    this.length = length;
    this.#piece = piece;
    this.#from = from;
  }

  static of<E extends FifoEntry>({ number, entries }: Chunk<E>): SharedChunk<E> {
    return new SharedChunk(number, new Piece(entries), 0, entries.length);
  }

  get entries(): readonly E[] {
    return this.#piece.entries.slice(this.#from, this.#from + this.length);
  }

  at(index: number): E {
    return this.#piece.entries[this.#from + index] as E;
  }

  find(id: string): E | undefined {
    const place = this.#piece.places.get(id);
    const isSeen = place !== undefined && place >= this.#from && place < this.#from + this.length;
    return isSeen ? this.#piece.entries[place] : undefined;
  }

  pushed(entry: E): SharedChunk<E> {
    const { places, entries } = this.#piece;
    // Of a chunk to which another was pushed before, and for an id that an older chunk finds here, it is copied.
    const isLatest = entries.length === this.#from + this.length && !places.has(entry.id);
    if (!isLatest) return SharedChunk.of({ number: this.number, entries: [...this.entries, entry] });
    this.#piece.append(entry);
    return new SharedChunk(this.number, this.#piece, this.#from, this.length + 1);
  }

  /** Fewer than it has. */
  dropped(count: number): SharedChunk<E> {
    return new SharedChunk(this.number, this.#piece, this.#from + count, this.length - count);
  }
}

interface Shape {
  readonly perChunk: number;
  readonly size: number;
  readonly ids: Set<string>;
}

export class Fifo<E extends FifoEntry> {
  readonly size: number;
  readonly chunks: readonly SharedChunk<E>[];
  readonly #perChunk: number;
  /** Every id of this queue, and ids of others it shares this with: most that are asked for were never here. */
  readonly #ids: Set<string>;

  private constructor(chunks: readonly SharedChunk<E>[], { perChunk, size, ids }: Shape) {
    this.chunks = chunks;
    this.size = size;
    this.#perChunk = perChunk;
    this.#ids = ids;
  }

  static empty<E extends FifoEntry>(perChunk: number): Fifo<E> {
    return new Fifo<E>([], { perChunk, size: 0, ids: new Set() });
  }

  /** The queue that had these chunks, which may come in any order. */
  withChunks(chunks: readonly Chunk<E>[]): Fifo<E> {
    const kept = chunks
      .filter(({ entries }) => entries.length > 0)
      .sort((a, b) => a.number - b.number)
      .map((chunk) => SharedChunk.of(chunk));
    const size = kept.reduce((sum, { length }) => sum + length, 0);
    const ids = new Set(kept.flatMap(({ entries }) => entries.map(({ id }) => id)));
    return new Fifo(kept, { perChunk: this.#perChunk, size, ids });
  }

  push(entry: E): Fifo<E> {
    const last = this.chunks.at(-1);
    const chunk =
      last === undefined || last.length >= this.#perChunk
        ? SharedChunk.of({ number: (last?.number ?? -1) + 1, entries: [entry] })
        : last.pushed(entry);
    const others = chunk.number === last?.number ? this.chunks.slice(0, -1) : this.chunks.slice();
    others.push(chunk);
    return new Fifo(others, { perChunk: this.#perChunk, size: this.size + 1, ids: this.#idsWith(entry.id) });
  }

  /** Without the entries at the start of which `isOver` is true. */
  dropWhile(isOver: (entry: E) => boolean): Fifo<E> {
    const over = this.countWhile(isOver);
    return over === 0 ? this : this.#drop(over);
  }

  /** Without whole chunks at the start, as long as at least `least` entries remain. */
  keepLatest(least: number): Fifo<E> {
    const first = this.chunks[0];
    if (first === undefined || this.size - first.length < least) return this;
    return this.#drop(first.length).keepLatest(least);
  }

  countWhile(isOver: (entry: E) => boolean): number {
    let over = 0;
    for (const chunk of this.chunks) {
      for (let index = 0; index < chunk.length; index++) if (!isOver(chunk.at(index))) return over + index;
      over += chunk.length;
    }
    return over;
  }

  /** Undefined beyond either end. */
  at(index: number): E | undefined {
    if (index < 0) return undefined;
    let before = 0;
    for (const chunk of this.chunks) {
      if (index < before + chunk.length) return chunk.at(index - before);
      before += chunk.length;
    }
    return undefined;
  }

  has(id: string): boolean {
    return this.find(id) !== undefined;
  }

  /** From the end: whoever asks again asks soon. */
  find(id: string): E | undefined {
    if (!this.#ids.has(id)) return undefined;
    for (let i = this.chunks.length - 1; i >= 0; i--) {
      const entry = (this.chunks[i] as SharedChunk<E>).find(id);
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  without(id: string): Fifo<E> {
    const found = this.chunks.find((chunk) => chunk.find(id) !== undefined);
    if (found === undefined) return this;
    const entries = found.entries.filter((entry) => entry.id !== id);
    const chunks = this.chunks.flatMap((chunk) => {
      if (chunk !== found) return [chunk];
      return entries.length === 0 ? [] : [SharedChunk.of({ number: chunk.number, entries })];
    });
    return this.#like(chunks, this.size - found.length + entries.length);
  }

  #like(chunks: readonly SharedChunk<E>[], size: number): Fifo<E> {
    return new Fifo(chunks, { perChunk: this.#perChunk, size, ids: this.#ids });
  }

  /** Made anew where most are of entries that are gone; the empty one is everybody's. */
  #idsWith(id: string): Set<string> {
    const isWorn = this.size === 0 || this.#ids.size > 2 * (this.size + this.#perChunk);
    const ids = isWorn ? new Set(this.chunks.flatMap(({ entries }) => entries.map((entry) => entry.id))) : this.#ids;
    return ids.add(id);
  }

  #drop(entries: number): Fifo<E> {
    const chunks: SharedChunk<E>[] = [];
    let left = entries;
    for (const chunk of this.chunks) {
      if (left >= chunk.length) left -= chunk.length;
      else {
        chunks.push(left === 0 ? chunk : chunk.dropped(left));
        left = 0;
      }
    }
    return this.#like(chunks, this.size - entries);
  }
}
