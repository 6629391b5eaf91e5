/** What the write path asks of the limits: how much is used, and a place before each call. */
import type { QuotaNeed } from '../../fibric/policy/compile.ts';

export interface QuotaUsage {
  /** Granted in the window that ends now, the place of the attempt itself left out. */
  readonly used: number;
  /** From when on a place may be had, by the log's time; now or before when there is one. */
  readonly freeAtMs: number;
}

export interface ReserveRequest {
  /** All of them, or the call is not made. */
  readonly needs: readonly QuotaNeed[];
  /** Of the command record, whichever process tries and however often: it has one place in each rule, not one per attempt. */
  readonly attemptId: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** No call waits for it yet; `hurry` says when one does. */
  readonly isPatient: boolean;
}

export type ReserveAnswer =
  /** Nothing is sent on it after `untilMs`, by our own clock; who is later asks again. */
  | { readonly kind: 'granted'; readonly untilMs: number }
  | { readonly kind: 'limited'; readonly message: string }
  /** Not known, or not in time. Asking again with the same id takes nothing twice. */
  | { readonly kind: 'unavailable'; readonly message: string };

export interface SinkQuota {
  /** Null while it is not known. Only an estimate: the reservation decides. */
  usage(need: QuotaNeed, nowMs: number, attemptId?: string): QuotaUsage | null;
  /** Never rejects; settles by its deadline. */
  reserve(request: ReserveRequest): Promise<ReserveAnswer>;
  /** A call waits now for what was asked for patiently. */
  hurry(): void;
  /**
   * Gives the places back. Only once it is committed that the record has ended without a call: nobody will ask for them again,
   * while an owner that merely stops must leave them to the next.
   */
  release(needs: readonly QuotaNeed[], attemptId: string): void;
}

/** Where no rule has a limit: nothing is known, and no place is had. */
export const NO_QUOTA: SinkQuota = {
  usage: () => null,
  reserve: () => Promise.resolve({ kind: 'unavailable', message: 'places in limits are not given out here' }),
  hurry: () => undefined,
  release: () => undefined,
};
