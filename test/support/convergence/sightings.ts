/** What polls were shown: every copy in every search answer that arrived whole. */
import type { Org } from '../../../src/simulator/org.ts';

const SEARCHES = ['/v1/customers/search', '/v1/customers/archive/search'];

interface Sighting {
  readonly rev: number;
  readonly atMs: number;
}

export class Sightings {
  readonly #byResource = new Map<string, Sighting[]>();
  #searches = 0;
  #refused = 0;
  #spoiled = 0;

  /** Whole answers so far. */
  get searches(): number {
    return this.#searches;
  }

  /** 429s. */
  get refused(): number {
    return this.#refused;
  }

  /** Answers that were cut, or errors of the server. */
  get spoiled(): number {
    return this.#spoiled;
  }

  watch(org: Org): void {
    org.observeAnswers(({ path, query, status, body, arrived, atMs }) => {
      if (status === 429) this.#refused += 1;
      if (!arrived || status >= 500) this.#spoiled += 1;
      if (!arrived || status !== 200 || !SEARCHES.includes(path)) return;
      // One row alone is asked for to learn what the time is, not what has changed.
      if (query['pageSize'] === '1') return;
      this.#searches += 1;
      const { data } = body as { data: readonly { type: string; id: string; attributes?: { rev?: number } }[] };
      for (const { type, id, attributes } of data) {
        if (attributes?.rev !== undefined) this.#add(`${type}:${id}`, { rev: attributes.rev, atMs });
      }
    });
  }

  /** Whether a copy from `fromRev` to before `untilRev` was shown, at a time that counts. */
  sighted(resource: string, fromRev: number, untilRev: number | null, counts: (atMs: number) => boolean): boolean {
    return (this.#byResource.get(resource) ?? []).some(
      ({ rev, atMs }) => rev >= fromRev && (untilRev === null || rev < untilRev) && counts(atMs),
    );
  }

  #add(resource: string, sighting: Sighting): void {
    const sightings = this.#byResource.get(resource);
    if (sightings === undefined) this.#byResource.set(resource, [sighting]);
    else sightings.push(sighting);
  }
}
