/**
 * One at a time over all processes, for each tenant. What is changed in the log alone needs no claim (writer.ts); but making a
 * webhook is a step at Kustomer, and two processes that install the same connection would both make one.
 *
 * X1  Of several that ask in one moment one has the claim: it is taken on what the log says then. The others wait for their
 *     turn, and then find what the first has made.
 * X2  A claim ends CLAIM_MS after it was taken or renewed: who crashed holds up the others no longer than that. What it left
 *     behind at Kustomer is found by the next (webhook-commands.ts). Clocks that differ shorten or lengthen that by their difference.
 * X3  Before a step that cannot be taken back the claim is renewed; whoever has lost it stops there.
 * X4  Giving a claim back removes it only while it is one's own.
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../../base/clock.ts';
import { CodedError } from '../../base/errors.ts';
import type { ControlWriter } from './writer.ts';

export interface Claim {
  /** X3. Throws `connection_busy`. */
  renew(): Promise<void>;
}

export interface ClaimOptions {
  /** Whoever asked is gone. */
  readonly signal?: AbortSignal;
  /** Longest wait for others; then it throws `connection_busy`. */
  readonly waitMs?: number;
}

/** Longer than the calls to Kustomer that follow a renewal. */
export const CLAIM_MS = 120_000;
const WAIT_MS = 20_000;
const PREFIX = 'claim/';

interface Held {
  readonly holder: string;
  readonly untilMs: number;
}

const record = z.object({ version: z.literal(1), holder: z.string(), until_ms: z.number() });

export class Claims {
  readonly #clock: Clock;
  readonly #writer: ControlWriter;
  readonly #held = new Map<string, Held>();
  readonly #turns = new Map<string, Promise<unknown>>();
  #changed = Promise.withResolvers<void>();

  constructor(options: { readonly clock: Clock; readonly writer: ControlWriter }) {
    this.#clock = options.clock;
    this.#writer = options.writer;
  }

  /** To be told of each record of the control topic. */
  apply(key: string, value: Buffer | null): void {
    if (!key.startsWith(PREFIX)) return;
    const tenantId = key.slice(PREFIX.length);
    if (value === null) this.#held.delete(tenantId);
    else this.#held.set(tenantId, this.#parse(value));
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  async exclusively<T>(tenantId: string, work: (claim: Claim) => Promise<T>, options: ClaimOptions = {}): Promise<T> {
    // Those of this process first among themselves: they need no log for that.
    const before = this.#turns.get(tenantId) ?? Promise.resolve();
    const result = before.then(() => this.#claimed(tenantId, work, options));
    const over = result.catch(() => undefined);
    this.#turns.set(tenantId, over);
    void over.then(() => {
      if (this.#turns.get(tenantId) === over) this.#turns.delete(tenantId);
    });
    return result;
  }

  async #claimed<T>(tenantId: string, work: (claim: Claim) => Promise<T>, options: ClaimOptions): Promise<T> {
    const holder = randomUUID();
    await this.#take(tenantId, holder, options);
    try {
      return await work({ renew: () => this.#renew(tenantId, holder) });
    } finally {
      // Where it cannot be given back it ends by itself (X2); what the work came to counts.
      await this.#giveBack(tenantId, holder).catch(() => undefined);
    }
  }

  /** X1. */
  async #take(tenantId: string, holder: string, { signal, waitMs = WAIT_MS }: ClaimOptions): Promise<void> {
    const giveUpAtMs = this.#clock.nowMs() + waitMs;
    for (;;) {
      const changed = this.#changed.promise;
      // Asked without a look at the log first: a change would fence the one who works.
      let other = this.#other(tenantId);
      if (other === undefined) {
        await this.#writer.change(keyOf(tenantId), () => {
          other = this.#other(tenantId);
          return other === undefined ? this.#encode(holder) : undefined;
        });
      }
      if (other === undefined) return;
      if (signal?.aborted) throw new CodedError('shutting_down', 'nobody waits for it any more');
      const nowMs = this.#clock.nowMs();
      if (nowMs >= giveUpAtMs) throw busy(other.untilMs);
      const waited = new AbortController();
      const ended = AbortSignal.any([waited.signal, ...(signal === undefined ? [] : [signal])]);
      const untilMs = Math.min(other.untilMs, giveUpAtMs);
      await Promise.race([changed, this.#clock.sleep(Math.max(0, untilMs - nowMs), ended)]);
      waited.abort();
    }
  }

  async #renew(tenantId: string, holder: string): Promise<void> {
    let isMine = true;
    await this.#writer.change(keyOf(tenantId), () => {
      isMine = this.#held.get(tenantId)?.holder === holder;
      return isMine ? this.#encode(holder) : undefined;
    });
    if (!isMine) throw busy(this.#held.get(tenantId)?.untilMs ?? this.#clock.nowMs());
  }

  /** X4. */
  #giveBack(tenantId: string, holder: string): Promise<void> {
    return this.#writer.change(keyOf(tenantId), () => (this.#held.get(tenantId)?.holder === holder ? null : undefined));
  }

  /** X2. */
  #other(tenantId: string): Held | undefined {
    const held = this.#held.get(tenantId);
    return held !== undefined && held.untilMs > this.#clock.nowMs() ? held : undefined;
  }

  #encode(holder: string): Buffer {
    const claim = { version: 1, holder, until_ms: this.#clock.nowMs() + CLAIM_MS } satisfies z.input<typeof record>;
    return Buffer.from(JSON.stringify(claim));
  }

  /** What is damaged or of a newer version is somebody's: it ends when one of ours would. */
  #parse(value: Buffer): Held {
    try {
      const { holder, until_ms: untilMs } = record.parse(JSON.parse(value.toString('utf8')));
      return { holder, untilMs };
    } catch {
      return { holder: '', untilMs: this.#clock.nowMs() + CLAIM_MS };
    }
  }
}

function keyOf(tenantId: string): string {
  return `${PREFIX}${tenantId}`;
}

function busy(untilMs: number): CodedError {
  const message = `another process is changing the tenant's connections; at ${new Date(untilMs).toISOString()} it is over at the latest`;
  return new CodedError('connection_busy', message);
}
