/** The visible copies of one kind of object, ordered by the time of their last update, then by id. */
import type { Resource } from '../model/resource.ts';

export class Shelf {
  readonly #byId = new Map<string, Resource>();
  #ordered: Resource[] = [];
  #deleted = 0;

  get deleted(): number {
    return this.#deleted;
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
    if (resource.attributes['deleted'] === true) this.#deleted += 1;
    const last = this.#ordered.at(-1);
    // The usual case: what changed last goes last.
    if (last === undefined || compare(last, resource) < 0) this.#ordered.push(resource);
    else this.#ordered.splice(this.#position(resource.updatedAtMs, resource.id), 0, resource);
  }

  remove(id: string): void {
    const old = this.#byId.get(id);
    if (old === undefined) return;
    this.#byId.delete(id);
    if (old.attributes['deleted'] === true) this.#deleted -= 1;
    this.#ordered.splice(this.#position(old.updatedAtMs, id), 1);
  }

  /** Positions of what was last updated from `fromMs` to `toMs`, both included: [first, beyond the last). */
  range(fromMs: number, toMs: number): readonly [number, number] {
    const first = this.#position(fromMs, '');
    return [first, Math.max(first, this.#position(toMs, BEYOND_EVERY_ID))];
  }

  slice(first: number, beyond: number): readonly Resource[] {
    return this.#ordered.slice(first, beyond);
  }

  /** Where (time, id) is, or would be. */
  #position(updatedAtMs: number, id: string): number {
    let low = 0;
    let high = this.#ordered.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const there = this.#ordered[middle] as Resource;
      if (there.updatedAtMs < updatedAtMs || (there.updatedAtMs === updatedAtMs && there.id < id)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const BEYOND_EVERY_ID = '~';

export function compare(a: Resource, b: Resource): number {
  return a.updatedAtMs - b.updatedAtMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}
