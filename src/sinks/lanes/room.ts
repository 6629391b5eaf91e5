/** The room of one partition: how much of it is taken, by whom, and whether more may come (N6, N10 of lanes.ts). */
import { isWithinShare } from '../../base/fair-shares.ts';

/** Bounds of each partition: what one is full of does not stop the others. */
export interface RoomLimits {
  /** Lanes with work. */
  readonly maxLanes: number;
  readonly maxQueued: number;
  /** A single record that is larger by itself passes. */
  readonly maxQueuedBytes: number;
  /** How far the newest record may lie before the oldest unfinished one: as much is read again after a crash. */
  readonly maxSpan: number;
  /** Part of each bound below which a full partition goes on, and of its share below which a tenant's passed-over ones do. */
  readonly lowWater: number;
  /** How much of what is left of the room a tenant may hold. */
  readonly roomGreed: number;
}

/** What a tenant has of it. */
interface Held {
  queued: number;
  bytes: number;
}

const NOTHING: Readonly<Held> = { queued: 0, bytes: 0 };

export class Room {
  readonly #limits: RoomLimits;
  /** Of those that have something queued. */
  readonly #tenants = new Map<string, Held>();
  #queued = 0;
  #bytes = 0;
  /** The record that found no room. It is the next one to be taken, or it would be lost. */
  #refused: number | null = null;
  #isPaused = false;

  constructor(limits: RoomLimits) {
    this.#limits = limits;
  }

  get queued(): number {
    return this.#queued;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Said that it is full, and has not drained since. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  take(tenantId: string, bytes: number): void {
    this.#change(tenantId, 1, bytes);
  }

  /** What is left in how many lanes, and how far apart the records lie: it goes on when it has drained. */
  give(tenantId: string, bytes: number, left: { readonly lanes: number; readonly span: number }): void {
    this.#change(tenantId, -1, -bytes);
    this.#isPaused &&= !this.#isDrained(left);
  }

  /** For one record more of the tenant, with as many lanes in all as it would make. Where nothing is queued, always. */
  isThere(tenantId: string, bytes: number, lanes: number): boolean {
    const { maxQueued, maxQueuedBytes, maxLanes, roomGreed: greed } = this.#limits;
    if (this.#queued === 0) return true;
    const held = this.#tenants.get(tenantId) ?? NOTHING;
    return (
      isWithinShare({ held: held.queued, inAll: this.#queued, max: maxQueued, amount: 1, greed }) &&
      isWithinShare({ held: held.bytes, inAll: this.#bytes, max: maxQueuedBytes, amount: bytes, greed }) &&
      lanes <= maxLanes
    );
  }

  /** Whether the record is taken. One that is not is the next to be taken, when the room has drained. */
  admits(offset: number, hasRoom: boolean): boolean {
    if (this.#isPaused || (this.#refused !== null && offset > this.#refused)) return false;
    this.#isPaused = !hasRoom;
    this.#refused = hasRoom ? null : offset;
    return hasRoom;
  }

  /** The reading goes on elsewhere, or what had found no room is not waited for any more. */
  reopen(): void {
    this.#isPaused = false;
    this.#refused = null;
  }

  /** So far below its share that it is worth going back for what is the tenant's. */
  isDrainedOf(tenantId: string): boolean {
    const { maxQueued, maxQueuedBytes, lowWater, roomGreed } = this.#limits;
    const held = this.#tenants.get(tenantId);
    if (held === undefined) return this.#queued < maxQueued;
    const most = lowWater * roomGreed;
    return held.queued <= most * (maxQueued - this.#queued) && held.bytes <= most * (maxQueuedBytes - this.#bytes);
  }

  #isDrained({ lanes, span }: { readonly lanes: number; readonly span: number }): boolean {
    const { maxQueued, maxQueuedBytes, maxLanes, maxSpan, lowWater } = this.#limits;
    if (this.#queued === 0) return true;
    return (
      this.#queued <= maxQueued * lowWater &&
      this.#bytes <= maxQueuedBytes * lowWater &&
      lanes <= maxLanes * lowWater &&
      span <= maxSpan * lowWater
    );
  }

  #change(tenantId: string, queued: number, bytes: number): void {
    this.#queued += queued;
    this.#bytes += bytes;
    let held = this.#tenants.get(tenantId);
    if (held === undefined) {
      held = { queued: 0, bytes: 0 };
      this.#tenants.set(tenantId, held);
    }
    held.queued += queued;
    held.bytes += bytes;
    if (held.queued === 0) this.#tenants.delete(tenantId);
  }
}
