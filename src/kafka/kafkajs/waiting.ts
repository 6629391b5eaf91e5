/** Deadlines and retries around KafkaJS promises, which know neither. */
import { withDeadline as bounded } from '../../base/deadline.ts';
import { CodedError } from '../../base/errors.ts';
import { isHopeless, messageOf } from './failures.ts';

/** Rejects with `log_unavailable` when `work` has not settled after `timeoutMs`; `work` itself cannot be stopped. */
export function withDeadline<T>(work: Promise<T>, timeoutMs: number, doing: string): Promise<T> {
  return bounded(work, timeoutMs, () => {
    throw new CodedError('log_unavailable', `${doing}: no answer within ${timeoutMs} ms`, { timeoutMs });
  });
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export interface RetryPolicy {
  readonly doing: string;
  readonly timeoutMs: number;
  readonly firstPauseMs: number;
  readonly maxPauseMs: number;
  /** Which errors are worth another try; absent = all but hopeless ones. */
  readonly worthRetrying?: (error: unknown) => boolean;
}

/** Repeats `attempt` until it succeeds, an error is not worth retrying, or the deadline has passed. */
export async function retrying<T>(attempt: (remainingMs: number) => Promise<T>, policy: RetryPolicy): Promise<T> {
  const deadlineMs = Date.now() + policy.timeoutMs;
  const worthRetrying = policy.worthRetrying ?? ((error) => !isHopeless(error));
  let pauseMs = policy.firstPauseMs;
  for (;;) {
    try {
      const remainingMs = Math.max(1, deadlineMs - Date.now());
      return await withDeadline(attempt(remainingMs), remainingMs, policy.doing);
    } catch (error) {
      if (!worthRetrying(error) || Date.now() + pauseMs >= deadlineMs) throw error;
    }
    await pause(pauseMs);
    pauseMs = Math.min(pauseMs * 2, policy.maxPauseMs);
  }
}

/** Runs every closer, then reports what failed in one error. */
export async function closeAll(closers: readonly (() => Promise<void>)[]): Promise<void> {
  const results = await Promise.allSettled(closers.map((close) => close()));
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
  if (errors.length === 0) return;
  throw new CodedError(
    'log_unavailable',
    `Closing: ${errors.map(messageOf).join('; ')}`,
    { failures: errors.length },
    {
      cause: errors.length === 1 ? errors[0] : new AggregateError(errors),
    },
  );
}
