/** How many requests and streams are under way, and of whom (H4 of server.ts). */
import { ApiError } from './errors.ts';

export interface RoomSettings {
  readonly maxOpen: number;
  /** Below maxOpen, or one tenant that waits for a long time would keep the others out. */
  readonly maxOpenPerTenant: number;
  readonly maxStreamsPerTenant: number;
}

export class Room {
  readonly #settings: RoomSettings;
  readonly #ofTenant = new Map<string, number>();
  readonly #streams = new Map<string, number>();
  #open = 0;

  constructor(settings: RoomSettings) {
    this.#settings = settings;
  }

  get open(): number {
    return this.#open;
  }

  get streams(): number {
    return [...this.#streams.values()].reduce((sum, n) => sum + n, 0);
  }

  /** Throws where there is no room. Returns how to leave, to be called once. */
  enter(tenant: string, isStream: boolean): () => void {
    const { maxOpen, maxOpenPerTenant, maxStreamsPerTenant } = this.#settings;
    if (this.#open >= maxOpen) throw new ApiError('unavailable', 'too many requests are under way', { retryAfterS: 1 });
    if ((this.#ofTenant.get(tenant) ?? 0) >= maxOpenPerTenant) {
      const message = `more than ${maxOpenPerTenant} requests of the tenant are under way`;
      throw new ApiError('rate_limited', message, { retryAfterS: 1 });
    }
    if (isStream && (this.#streams.get(tenant) ?? 0) >= maxStreamsPerTenant) {
      throw new ApiError('rate_limited', `more than ${maxStreamsPerTenant} streams`, { retryAfterS: 10 });
    }
    this.#count(tenant, isStream, 1);
    return () => this.#count(tenant, isStream, -1);
  }

  #count(tenant: string, isStream: boolean, by: 1 | -1): void {
    this.#open += by;
    countOf(this.#ofTenant, tenant, by);
    if (isStream) countOf(this.#streams, tenant, by);
  }
}

function countOf(counts: Map<string, number>, tenant: string, by: 1 | -1): void {
  const now = (counts.get(tenant) ?? 0) + by;
  if (now > 0) counts.set(tenant, now);
  else counts.delete(tenant);
}
