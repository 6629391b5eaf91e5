/**
 * The visible copies of one kind of object, ordered by the time of their last update, then by id. In chunks: with hundreds
 * of thousands of objects one array would spend its time moving the rest up and down.
 *
 * Invariants (test/unit/simulator/shelf.test.ts cites them):
 * H1 Every object is there once, in its latest copy, and the chunks one after another are in order.
 * H2 No chunk is empty, none longer than `maxChunk`.
 */
import type { Resource } from '../model/resource.ts';

const MAX_CHUNK = 512;

export class Shelf {
  readonly #byId = new Map<string, Resource>();
  readonly #chunks: Resource[][] = [];
  readonly #maxChunk: number;
  #deleted = 0;

  constructor(maxChunk: number = MAX_CHUNK) {
    this.#maxChunk = maxChunk;
  }

  get deleted(): number {
    return this.#deleted;
  }

  get chunkSizes(): readonly number[] {
    return this.#chunks.map((chunk) => chunk.length);
  }

  get(id: string): Resource | undefined {
    return this.#byId.get(id);
  }

  values(): IterableIterator<Resource> {
    return this.#byId.values();
  }

  put(resource: Resource): void {
    this.remove(resource.id);
    this.#byId.set(resource.id, resource);
    if (isDeleted(resource)) this.#deleted += 1;
    const [at, position] = this.#find(resource.updatedAtMs, resource.id);
    // What changed last goes last, at the end of the last chunk.
    const into = Math.min(at, this.#chunks.length - 1);
    const chunk = this.#chunks[into];
    if (chunk === undefined) this.#chunks.push([resource]);
    else {
      chunk.splice(into === at ? position : chunk.length, 0, resource);
      if (chunk.length > this.#maxChunk) {
        // A chunk that grows at its end is left full; another is cut in half.
        const cut = chunk.at(-1) === resource ? chunk.length - 1 : chunk.length >> 1;
        this.#chunks.splice(into + 1, 0, chunk.splice(cut));
      }
    }
  }

  remove(id: string): void {
    const old = this.#byId.get(id);
    if (old === undefined) return;
    this.#byId.delete(id);
    if (isDeleted(old)) this.#deleted -= 1;
    const [at, position] = this.#find(old.updatedAtMs, id);
    const chunk = this.#chunks[at] as Resource[];
    chunk.splice(position, 1);
    if (chunk.length === 0) this.#chunks.splice(at, 1);
  }

  /** Positions of what was last updated from `fromMs` to `toMs`, both included: [first, beyond the last). */
  range(fromMs: number, toMs: number): readonly [number, number] {
    const first = this.#positionOf(fromMs, '');
    return [first, Math.max(first, this.#positionOf(toMs, BEYOND_EVERY_ID))];
  }

  slice(first: number, beyond: number): readonly Resource[] {
    const found: Resource[] = [];
    let start = 0;
    for (const chunk of this.#chunks) {
      if (start >= beyond) break;
      if (start + chunk.length > first) {
        const part = chunk.slice(Math.max(0, first - start), beyond - start);
        for (const resource of part) found.push(resource);
      }
      start += chunk.length;
    }
    return found;
  }

  #positionOf(updatedAtMs: number, id: string): number {
    const [at, position] = this.#find(updatedAtMs, id);
    let before = 0;
    for (let chunk = 0; chunk < at; chunk += 1) before += (this.#chunks[chunk] as Resource[]).length;
    return before + position;
  }

  /** The chunk where (time, id) is or would be, and the place in it; beyond the last chunk when it comes after everything. */
  #find(updatedAtMs: number, id: string): readonly [number, number] {
    const isBefore = (there: Resource): boolean =>
      there.updatedAtMs < updatedAtMs || (there.updatedAtMs === updatedAtMs && there.id < id);
    const at = firstNot(this.#chunks, (chunk) => isBefore(chunk.at(-1) as Resource));
    return [at, firstNot(this.#chunks[at] ?? [], isBefore)];
  }
}

const BEYOND_EVERY_ID = '~';

/** Index of the first item of which `holds` is false, where it holds of all before. */
function firstNot<T>(items: readonly T[], holds: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(items[middle] as T)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isDeleted(resource: Resource): boolean {
  return resource.attributes['deleted'] === true;
}

export function compare(a: Resource, b: Resource): number {
  return a.updatedAtMs - b.updatedAtMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}
