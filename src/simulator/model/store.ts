/** Objects of one type by id, in order of creation, listable and pickable in O(1). */
import type { Random } from './random.ts';
import type { Resource } from './resource.ts';

export class Store {
  readonly #byId = new Map<string, Resource>();
  /** A ring once `maxObjects` is reached: the next one replaces the oldest. */
  readonly #ids: string[] = [];
  readonly #maxObjects: number;
  readonly #forgotten: (id: string) => void;
  #oldest = 0;

  /** `forgotten` hears of every object that had to make room. */
  constructor(maxObjects: number = Number.POSITIVE_INFINITY, forgotten: (id: string) => void = () => {}) {
    this.#maxObjects = maxObjects;
    this.#forgotten = forgotten;
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): Resource | undefined {
    return this.#byId.get(id);
  }

  add(resource: Resource): void {
    if (this.#byId.has(resource.id)) throw new Error(`duplicate ${resource.type} id ${resource.id}`);
    if (this.#ids.length < this.#maxObjects) this.#ids.push(resource.id);
    else {
      const oldest = this.#ids[this.#oldest] as string;
      this.#byId.delete(oldest);
      this.#forgotten(oldest);
      this.#ids[this.#oldest] = resource.id;
      this.#oldest = (this.#oldest + 1) % this.#maxObjects;
    }
    this.#byId.set(resource.id, resource);
  }

  replace(resource: Resource): void {
    this.#byId.set(resource.id, resource);
  }

  /** In order of creation. */
  values(): IterableIterator<Resource> {
    return this.#byId.values();
  }

  /** Any object; undefined when there is none. */
  pick(random: Random): Resource | undefined {
    return this.#ids.length === 0 ? undefined : this.#byId.get(random.pick(this.#ids));
  }
}
