/** Wall-clock time. */
import type { Clock } from '../port.ts';

/** What a Node.js timer can hold; more would fire at once. */
const LONGEST_MS = 2 ** 31 - 1;

export const realClock: Clock = {
  nowMs: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, Math.min(Math.max(0, ms), LONGEST_MS));
      signal?.addEventListener('abort', done, { once: true });
    }),
};
