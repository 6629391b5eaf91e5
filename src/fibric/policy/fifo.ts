/**
 * A queue with ids that is never changed but made anew, in chunks: what did not change is shared between the old and the
 * new one, and chunks are the pieces in which it is written to the log. Made for appending at the end, dropping at the
 * start and, now and then, taking one out.
 *
 * F1 Entries keep the order in which they were pushed; no chunk is empty; numbers of chunks ascend.
 * F2 A chunk never changes. What is taken out or added makes a new chunk of the same number.
 */
export interface FifoEntry {
  readonly id: string;
}

export interface Chunk<E> {
  readonly number: number;
  readonly entries: readonly E[];
}

class IndexedChunk<E extends FifoEntry> implements Chunk<E> {
  readonly number: number;
  readonly entries: readonly E[];
  /** Made when first asked for; a chunk never changes (F2). */
  #ids: ReadonlySet<string> | undefined;

  constructor(number: number, entries: readonly E[]) {
    this.number = number;
    this.entries = entries;
  }

  has(id: string): boolean {
    this.#ids ??= new Set(this.entries.map((entry) => entry.id));
    return this.#ids.has(id);
  }
}

export class Fifo<E extends FifoEntry> {
  readonly size: number;
  readonly chunks: readonly IndexedChunk<E>[];
  readonly #perChunk: number;

  private constructor(chunks: readonly IndexedChunk<E>[], perChunk: number, size: number) {
    this.chunks = chunks;
    this.size = size;
    this.#perChunk = perChunk;
  }

  static empty<E extends FifoEntry>(perChunk: number): Fifo<E> {
    return new Fifo<E>([], perChunk, 0);
  }

  /** The queue that had these chunks, which may come in any order. */
  withChunks(chunks: readonly Chunk<E>[]): Fifo<E> {
    const kept = chunks
      .filter(({ entries }) => entries.length > 0)
      .sort((a, b) => a.number - b.number)
      .map(({ number, entries }) => new IndexedChunk(number, entries));
    const size = kept.reduce((sum, { entries }) => sum + entries.length, 0);
    return new Fifo(kept, this.#perChunk, size);
  }

  push(entry: E): Fifo<E> {
    const last = this.chunks.at(-1);
    const chunk =
      last === undefined || last.entries.length >= this.#perChunk
        ? new IndexedChunk((last?.number ?? -1) + 1, [entry])
        : new IndexedChunk(last.number, [...last.entries, entry]);
    const others = chunk.number === last?.number ? this.chunks.slice(0, -1) : this.chunks.slice();
    others.push(chunk);
    return new Fifo(others, this.#perChunk, this.size + 1);
  }

  /** Without the entries at the start of which `isOver` is true. */
  dropWhile(isOver: (entry: E) => boolean): Fifo<E> {
    const over = this.countWhile(isOver);
    return over === 0 ? this : this.#drop(over);
  }

  /** Without whole chunks at the start, as long as at least `least` entries remain. */
  keepLatest(least: number): Fifo<E> {
    const first = this.chunks[0];
    if (first === undefined || this.size - first.entries.length < least) return this;
    return this.#drop(first.entries.length).keepLatest(least);
  }

  countWhile(isOver: (entry: E) => boolean): number {
    let over = 0;
    for (const { entries } of this.chunks) {
      const standing = entries.findIndex((entry) => !isOver(entry));
      if (standing !== -1) return over + standing;
      over += entries.length;
    }
    return over;
  }

  /** Undefined beyond either end. */
  at(index: number): E | undefined {
    let before = 0;
    for (const { entries } of this.chunks) {
      if (index < before + entries.length) return entries[index - before];
      before += entries.length;
    }
    return undefined;
  }

  has(id: string): boolean {
    return this.find(id) !== undefined;
  }

  find(id: string): E | undefined {
    const chunk = this.#chunkOf(id);
    return chunk?.entries.find((entry) => entry.id === id);
  }

  without(id: string): Fifo<E> {
    const found = this.#chunkOf(id);
    if (found === undefined) return this;
    const entries = found.entries.filter((entry) => entry.id !== id);
    const chunks = this.chunks.flatMap((chunk) => {
      if (chunk !== found) return [chunk];
      return entries.length === 0 ? [] : [new IndexedChunk(chunk.number, entries)];
    });
    return new Fifo(chunks, this.#perChunk, this.size - found.entries.length + entries.length);
  }

  /** From the end: whoever asks again asks soon. The last chunk is still growing and not worth an index. */
  #chunkOf(id: string): IndexedChunk<E> | undefined {
    const last = this.chunks.at(-1);
    if (last?.entries.some((entry) => entry.id === id)) return last;
    for (let i = this.chunks.length - 2; i >= 0; i--) {
      const chunk = this.chunks[i] as IndexedChunk<E>;
      if (chunk.has(id)) return chunk;
    }
    return undefined;
  }

  #drop(entries: number): Fifo<E> {
    const chunks: IndexedChunk<E>[] = [];
    let left = entries;
    for (const chunk of this.chunks) {
      if (left >= chunk.entries.length) left -= chunk.entries.length;
      else {
        chunks.push(left === 0 ? chunk : new IndexedChunk(chunk.number, chunk.entries.slice(left)));
        left = 0;
      }
    }
    return new Fifo(chunks, this.#perChunk, this.size - entries);
  }
}
