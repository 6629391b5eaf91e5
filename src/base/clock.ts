/** Time as every room needs it: passed in where something waits, so that tests bring their own. */
export interface Clock {
  nowMs(): number;
  /** For spans: goes on from anywhere, and nobody sets it. Absent = `nowMs` is not set either. */
  steadyMs?(): number;
  /** Resolves after `ms`, or at once when the signal aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** What a Node.js timer can hold; more would fire at once. */
const LONGEST_MS = 2 ** 31 - 1;

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(Math.max(0, ms), LONGEST_MS));
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** Wall-clock time. */
export const realClock: Clock = { nowMs: () => Date.now(), steadyMs: () => performance.now(), sleep };

/** Milliseconds since the epoch that never step back when the machine's clock is set. */
export const steadyClock: Clock = { nowMs: () => performance.timeOrigin + performance.now(), sleep };
