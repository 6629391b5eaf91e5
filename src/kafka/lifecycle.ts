/**
 * The life of something a group member owns: it is opened, runs, and is opened again after whatever went wrong, until it
 * is let go.
 *
 *        ┌─────────── error, disposition retry: after a backoff ───────────┐
 *        ▼                                                                 │
 *    opening ──────────► running ──── error, fenced ────► suspended ───────┤ a heartbeat sent later was accepted
 *        │ fatal            │ fatal                                        │
 *        └───────► failed ◄─┘               a stop from any state → stopped
 *
 * L1 what was fenced is opened again (and so fences back) only when a heartbeat sent after the fencing was accepted: a
 *    zombie, whose heartbeat fails, can therefore not throw out the rightful owner twice
 * L2 a fatal error ends it, is reported, and leaves the log as it is
 * L3 it is not `running` from the moment a failure is known
 * L4 the backoff grows until something was committed: what opens well but cannot commit must not restore all its state in
 *    a hot loop
 */
import { type CodedError, hasCode } from '../base/errors.ts';
import type { Clock } from './port.ts';

export type Phase = 'opening' | 'running' | 'suspended' | 'failed' | 'stopped';
export type NextMove = 'reopen' | 'suspend' | 'stop';

export interface LifecycleOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** Must return at once. */
  readonly failed: (error: CodedError, next: NextMove) => void;
}

export class Lifecycle {
  phase: Phase = 'opening';
  lastError: string | null = null;
  readonly #options: LifecycleOptions;
  #reopened = 0;
  #failures = 0;
  #acceptedHeartbeatAtMs = Number.NEGATIVE_INFINITY;
  #beat: (() => void) | undefined;

  constructor(options: LifecycleOptions) {
    this.#options = options;
  }

  get reopened(): number {
    return this.#reopened;
  }

  /** The group accepted a heartbeat that was sent at `atMs`. */
  heartbeat(atMs: number): void {
    this.#acceptedHeartbeatAtMs = Math.max(this.#acceptedHeartbeatAtMs, atMs);
    this.#beat?.();
  }

  /** Something was committed. */
  succeeded(): void {
    this.#failures = 0;
  }

  /** `attempt` opens, runs and closes once; it resolves to what ended it, undefined after the signal. Its errors go up. */
  async run(attempt: () => Promise<CodedError | undefined>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.phase = 'opening';
      const error = await attempt();
      if (error === undefined || signal.aborted) break;
      this.lastError = `${error.code}: ${error.message}`;
      if (error.disposition === 'fatal') {
        this.phase = 'failed';
        this.#options.failed(error, 'stop');
        return;
      }
      this.#reopened++;
      const isFenced = hasCode(error, 'fenced');
      this.phase = isFenced ? 'suspended' : 'opening';
      this.#options.failed(error, isFenced ? 'suspend' : 'reopen');
      if (isFenced) await this.#acceptedSince(this.#options.clock.nowMs(), signal);
      await this.#backoff(signal);
    }
    this.phase = 'stopped';
  }

  async #backoff(signal: AbortSignal): Promise<void> {
    const { clock, random, retryMinMs, retryMaxMs } = this.#options;
    const ceilingMs = Math.min(retryMaxMs, retryMinMs * 2 ** this.#failures++);
    await clock.sleep(ceilingMs * (0.5 + random() / 2), signal);
  }

  /** L1. */
  async #acceptedSince(sinceMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#acceptedHeartbeatAtMs < sinceMs) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = () => resolve();
      this.#beat = wake;
      signal.addEventListener('abort', wake, { once: true });
      await promise;
      signal.removeEventListener('abort', wake);
    }
    this.#beat = undefined;
  }
}
