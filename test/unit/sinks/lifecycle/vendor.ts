/**
 * A Kustomer that takes whatever it is sent, as often as it is sent, and keeps the truth. It loses replies, answers 500 after
 * it has done it, does it late. What it promises is what `visibilityMs` says: that long after a request's end it has been
 * done and can be read, or never will be.
 */
import type { CallOutcome, ReadResult } from '../../../../src/sinks/lifecycle/outcome.ts';

export type Random = () => number;

/** mulberry32. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How likely each is, of 1; the rest goes well. */
export interface VendorFaults {
  readonly lostAfter: number;
  readonly lostBefore: number;
  readonly failedAfter: number;
  readonly limited: number;
  readonly conflict: number;
  readonly refused: number;
  readonly notSent: number;
  /** Reads without an answer. */
  readonly unclearReads: number;
}

export interface Call {
  readonly identity: string;
  readonly lane: string;
  /** Of the record that is being carried out. */
  readonly offset: number;
  readonly receiptId: string;
}

export interface Applied extends Call {
  readonly atMs: number;
  readonly vendorId: string;
}

export interface Reply {
  readonly afterMs: number;
  readonly outcome: CallOutcome;
}

const message = 'as the model has it';

export class Vendor {
  readonly applied: Applied[] = [];
  readonly violations: string[] = [];
  calls = 0;
  readonly #faults: VendorFaults;
  readonly #random: Random;
  readonly #visibilityMs: number;
  readonly #visible: { readonly identity: string; readonly fromMs: number; readonly vendorId: string }[] = [];
  /** Until when it is busy with a lane's last call. */
  readonly #busy = new Map<string, number>();
  healthy = false;

  constructor(faults: VendorFaults, random: Random, visibilityMs: number) {
    this.#faults = faults;
    this.#random = random;
    this.#visibilityMs = visibilityMs;
  }

  /** `closesInMs`: when the client gives up. Null: no reply. */
  receive(call: Call, nowMs: number, closesInMs: number): Reply | null {
    this.calls++;
    if ((this.#busy.get(call.lane) ?? 0) > nowMs) this.violations.push(`two in flight in ${call.lane} at ${nowMs}`);
    const quickMs = this.#upTo(Math.min(20, closesInMs));
    const fate = this.#fate();
    if (fate === 'lostAfter') {
      this.#apply(call, nowMs, this.#upTo(closesInMs + this.#visibilityMs));
      return null;
    }
    if (fate === 'lostBefore') return null;
    if (fate === 'failedAfter') {
      this.#apply(call, nowMs, quickMs + this.#upTo(this.#visibilityMs));
      return { afterMs: quickMs, outcome: { kind: 'ambiguous', code: 'kustomer_ambiguous', message } };
    }
    if (fate === 'well') {
      const vendorId = this.#apply(call, nowMs, this.#upTo(quickMs));
      return { afterMs: quickMs, outcome: { kind: 'applied', vendorId, unchanged: false } };
    }
    this.#busy.set(call.lane, nowMs + quickMs);
    if (fate === 'limited') {
      const retryAtMs = nowMs + this.#upTo(50);
      return { afterMs: quickMs, outcome: { kind: 'retry_later', code: 'kustomer_rate_limited', message, retryAtMs } };
    }
    if (fate === 'conflict')
      return { afterMs: quickMs, outcome: { kind: 'conflict', code: 'kustomer_conflict', message } };
    return { afterMs: quickMs, outcome: { kind: 'failed_final', code: 'kustomer_refused', message } };
  }

  /** The connection was refused: no byte left. */
  get isUnreachable(): boolean {
    return !this.healthy && this.#random() < this.#faults.notSent;
  }

  read(identity: string, nowMs: number, startedAtMs: number): ReadResult {
    if (!this.healthy && this.#random() < this.#faults.unclearReads) return { kind: 'unclear', retryAtMs: null };
    const found = this.#visible.find((each) => each.identity === identity && each.fromMs <= nowMs);
    return found === undefined ? { kind: 'absent', startedAtMs } : { kind: 'found', vendorId: found.vendorId };
  }

  #apply(call: Call, nowMs: number, afterMs: number): string {
    const vendorId = `v${this.applied.length}`;
    const atMs = nowMs + this.#upTo(afterMs);
    this.applied.push({ ...call, atMs, vendorId });
    this.#visible.push({ identity: call.identity, fromMs: nowMs + afterMs, vendorId });
    this.#busy.set(call.lane, nowMs + afterMs);
    return vendorId;
  }

  #fate(): keyof VendorFaults | 'well' {
    if (this.healthy) return 'well';
    let left = this.#random();
    for (const fate of ['lostAfter', 'lostBefore', 'failedAfter', 'limited', 'conflict', 'refused'] as const) {
      left -= this.#faults[fate];
      if (left < 0) return fate;
    }
    return 'well';
  }

  /** Whole milliseconds from 0 to `ms`, both included. */
  #upTo(ms: number): number {
    return Math.floor(this.#random() * (ms + 1));
  }
}
