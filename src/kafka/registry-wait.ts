/** Waiting for a schema registry at start. */
import { hasCode } from '../base/errors.ts';
import type { Clock } from './port.ts';
import type { SchemaRegistryPort } from './registry.ts';

export interface RegistryWaitOptions {
  readonly registry: Pick<SchemaRegistryPort, 'ping' | 'url'>;
  readonly clock: Clock;
  /** Longest wait in all; one request under way may end after it. */
  readonly deadlineMs: number;
  /** Called after each failed attempt that will be followed by another, to tell whoever watches. */
  readonly report: (message: string, facts: RegistryWaitFacts) => void;
  readonly signal?: AbortSignal;
  readonly firstBackoffMs?: number;
  readonly maxBackoffMs?: number;
}

export interface RegistryWaitFacts {
  readonly registry: string;
  readonly attempt: number;
  readonly waitedMs: number;
  readonly nextAttemptInMs: number;
  readonly reason: string;
}

/**
 * Resolves when the registry answers. Rejects with its last `registry_unavailable` at the deadline or when the signal
 * aborts, and at once with anything that waiting will not mend (`config_invalid`).
 */
export async function waitForRegistry(options: RegistryWaitOptions): Promise<void> {
  const { registry, clock, deadlineMs, report, signal, firstBackoffMs = 250, maxBackoffMs = 5_000 } = options;
  const startedAtMs = clock.nowMs();
  const isAborted = (): boolean => signal?.aborted === true;
  let backoffMs = firstBackoffMs;
  for (let attempt = 1; ; attempt++) {
    try {
      return await registry.ping();
    } catch (error) {
      if (!hasCode(error, 'registry_unavailable')) throw error;
      const waitedMs = clock.nowMs() - startedAtMs;
      const nextAttemptInMs = Math.min(backoffMs, deadlineMs - waitedMs);
      if (nextAttemptInMs <= 0 || isAborted()) throw error;
      const facts = { registry: registry.url, attempt, waitedMs, nextAttemptInMs, reason: error.message };
      report('The schema registry does not answer yet, trying again…', facts);
      await clock.sleep(nextAttemptInMs, signal);
      if (isAborted()) throw error;
      backoffMs = Math.min(backoffMs * 2, maxBackoffMs);
    }
  }
}
