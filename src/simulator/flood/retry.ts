/**
 * When a send is tried again. As Kustomer would (anything that is not an answer, and 5xx), only faster, so that in the end
 * every change is either accepted or reported. A 4xx says the request itself is wrong: trying again would not heal it.
 */
export interface RetryRules {
  readonly maxAttempts: number;
  readonly baseMs: number;
  readonly maxMs: number;
}

export const RETRY_RULES = { baseMs: 50, maxMs: 2000 } as const;

/** `status` 0 = no answer. */
export function isRetryable(status: number): boolean {
  return status === 0 || status === 408 || status === 429 || status >= 500;
}

/**
 * Delay before the next attempt, or null when there is none. `Retry-After` (seconds or a date) is honoured up to
 * `maxMs`. `jitter` in [0, 1) spreads sends that failed together over half the delay.
 */
export function retryDelayMs(
  outcome: { readonly status: number; readonly attempts: number; readonly retryAfter: string | null },
  rules: RetryRules,
  nowMs: number,
  jitter: number,
): number | null {
  if (!isRetryable(outcome.status) || outcome.attempts >= rules.maxAttempts) return null;
  const asked = retryAfterMs(outcome.retryAfter, nowMs);
  const backoffMs = rules.baseMs * 2 ** Math.min(outcome.attempts - 1, 20);
  const delayMs = Math.min(asked ?? backoffMs, rules.maxMs);
  return delayMs * (1 + jitter / 2);
}

function retryAfterMs(header: string | null, nowMs: number): number | null {
  if (header === null || header === '') return null;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const dateMs = Date.parse(header);
  return Number.isNaN(dateMs) ? null : Math.max(0, dateMs - nowMs);
}
