/**
 * The search index: a copy of the objects that is a little behind. Every revision becomes visible at a time of its own.
 *
 * Invariants (test/unit/simulator/search-index.test.ts cites them):
 * N1 A revision is never visible before its lag is over and always once it is, unless a newer one of the object is.
 * N2 The visible copy of an object never goes back in rev (short of `stale`, which shows the copy before).
 * N3 In a standing index, unless `stale`, the pages of a search hold every match exactly once.
 * N4 Standard search finds nothing older than the horizon, archive search nothing younger.
 */
import { Heap } from '../heap.ts';
import type { Random } from '../model/random.ts';
import type { Resource, ResourceType } from '../model/resource.ts';
import { type Context, contextOf, klassOf } from './fields.ts';
import { type Query, type SortKey, valuesOf } from './query.ts';
import type { SearchSettings } from './settings.ts';
import { compare, Shelf } from './shelf.ts';

export interface Asked {
  readonly nowMs: number;
  readonly archive: boolean;
  /** From 1. */
  readonly page: number;
  readonly pageSize: number;
}

export interface Found {
  readonly total: number;
  readonly items: readonly Resource[];
}

export class SearchIndex {
  #settings: SearchSettings;
  readonly #random: Random;
  readonly #waiting = new Heap<Resource>();
  readonly #shelves: Readonly<Record<Context, Shelf>> = {
    customer: new Shelf(),
    conversation: new Shelf(),
    message: new Shelf(),
    note: new Shelf(),
    kobject: new Shelf(),
  };
  /** The copies before the visible ones, while `stale` wants them. */
  readonly #previous = new Map<string, Resource>();

  constructor(settings: SearchSettings, random: Random) {
    this.#settings = settings;
    this.#random = random;
  }

  get settings(): SearchSettings {
    return this.#settings;
  }

  /** The lag of revisions already on their way stays what it was. */
  configure(settings: SearchSettings): void {
    this.#settings = settings;
    if (settings.stale === 0) this.#previous.clear();
  }

  /** Revisions on their way. */
  get waiting(): number {
    return this.#waiting.size;
  }

  add(resource: Resource): void {
    if (shelfOf(resource.type) === null) return;
    const lagMs = this.#lagMs();
    if (lagMs === 0) this.#show(resource);
    else this.#waiting.push(resource.updatedAtMs + lagMs, resource);
  }

  forget(context: Context, id: string): void {
    this.#shelves[context].remove(id);
    this.#previous.delete(id);
  }

  /** Shows what has become visible by `nowMs`. */
  advance(nowMs: number): void {
    for (let key = this.#waiting.peekKey(); key !== undefined && key <= nowMs; key = this.#waiting.peekKey()) {
      this.#show(this.#waiting.pop() as Resource);
    }
  }

  search(query: Query, { nowMs, archive, page, pageSize }: Asked): Found {
    this.advance(nowMs);
    const shelf = this.#shelves[contextOf(query.queryContext) as Context];
    const horizonMs = nowMs - this.#settings.horizonMs;
    const fromMs = archive ? query.fromMs : Math.max(query.fromMs, horizonMs);
    const toMs = archive ? Math.min(query.toMs, horizonMs - 1) : query.toMs;
    const sort = this.#settings.sorting === 'ignored' ? query.sort.filter(isCustomers) : query.sort;
    const byUpdate = sort.length === 1 && sort[0]?.name.endsWith('_updated_at') === true && !sort[0].descending;
    const all = this.#candidates(shelf, query, fromMs, toMs);
    const first = (page - 1) * pageSize;
    if (all === null && byUpdate && this.#settings.ties === 'stable') {
      const [low, high] = shelf.range(fromMs, toMs);
      return { total: high - low, items: shelf.slice(low + first, Math.min(high, low + first + pageSize)) };
    }
    const matching = [...(all ?? shelf.slice(...shelf.range(fromMs, toMs)))];
    // The candidates come in order of update.
    if (!byUpdate || this.#settings.ties === 'shuffled') this.#order(matching, sort);
    return { total: matching.length, items: matching.slice(first, first + pageSize) };
  }

  /** What matches, in order of update; null when it is just everything in the bounds. */
  #candidates(shelf: Shelf, query: Query, fromMs: number, toMs: number): readonly Resource[] | null {
    const stale = this.#settings.stale > 0;
    const hidesDeleted = !query.includeDeleted && (stale || shelf.deleted > 0);
    const klass = klassOf(query.queryContext);
    if (!stale && !hidesDeleted && klass === null && query.matches === null) return null;
    const wanted = (resource: Resource): boolean =>
      !(hidesDeleted && resource.attributes['deleted'] === true) &&
      (klass === null || resource.type === `kobject.${klass}`) &&
      (query.matches === null || query.matches(resource));
    if (!stale) return shelf.slice(...shelf.range(fromMs, toMs)).filter(wanted);
    return [...shelf.values()]
      .map((resource) => this.#copyShown(resource))
      .filter(({ updatedAtMs }) => updatedAtMs >= fromMs && updatedAtMs <= toMs)
      .filter(wanted)
      .sort(compare);
  }

  #copyShown(resource: Resource): Resource {
    const previous = this.#previous.get(resource.id);
    return previous !== undefined && this.#random.chance(this.#settings.stale) ? previous : resource;
  }

  /** In place. Without a sort the newest come first: the vendor promises no order, and nobody should rely on one. */
  #order(matching: Resource[], sort: readonly SortKey[]): void {
    if (this.#settings.ties === 'shuffled') shuffle(matching, this.#random);
    if (sort.length === 0) {
      matching.sort((a, b) => compare(b, a));
      return;
    }
    matching.sort((a, b) => {
      for (const { field, descending } of sort) {
        const order = compareValues(valuesOf(field, a)[0], valuesOf(field, b)[0]);
        if (order !== 0) return descending ? -order : order;
      }
      return 0;
    });
  }

  #show(resource: Resource): void {
    const shelf = this.#shelves[shelfOf(resource.type) as Context];
    const visible = shelf.get(resource.id);
    if (visible !== undefined && visible.rev >= resource.rev) return;
    if (visible !== undefined && this.#settings.stale > 0) this.#previous.set(resource.id, visible);
    shelf.put(resource);
  }

  #lagMs(): number {
    const { lagMs, stragglers } = this.#settings;
    // Drawn for every revision, so that the same seed gives the same lags whatever is configured meanwhile.
    const draws = [this.#random.next(), this.#random.next()] as const;
    const late = stragglers !== null && draws[1] < stragglers.fraction ? stragglers.lagMs : 0;
    return Math.round(lagMs.min + draws[0] * (lagMs.max - lagMs.min)) + late;
  }
}

const isCustomers = ({ name }: SortKey): boolean => name.startsWith('customer_');

function shelfOf(type: ResourceType): Context | null {
  if (type.startsWith('kobject.')) return 'kobject';
  return type === 'user' || type === 'team' || type === 'tag' ? null : (type as Context);
}

function compareValues(a: string | number | boolean | undefined, b: typeof a): number {
  // What is not set goes last, as search engines do.
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? 1 : -1;
  return a < b ? -1 : a > b ? 1 : 0;
}

function shuffle(items: unknown[], random: Random): void {
  for (let at = items.length - 1; at > 0; at -= 1) {
    const other = random.int(at + 1);
    [items[at], items[other]] = [items[other], items[at]];
  }
}
