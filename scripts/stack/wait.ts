/** Waiting for a condition, never longer than a deadline. */

export interface WaitOptions {
  /** What is waited for, as it stands in progress lines and in the error: "Kafka on 127.0.0.1:9092". */
  readonly what: string;
  readonly deadlineMs: number;
  readonly everyMs?: number;
  /** Given a line every few seconds while waiting. */
  readonly progress?: (line: string) => void;
  /** Ends the wait at once, with its message: the process behind the condition is gone, say. */
  readonly hopeless?: () => string | null;
}

const PROGRESS_EVERY_MS = 5_000;

/** Resolves when `check` gives true; a rejection of `check` counts as not yet and is named when the deadline passes. */
export async function waitUntil(check: () => Promise<boolean>, options: WaitOptions): Promise<void> {
  const startMs = performance.now();
  let nextProgressMs = PROGRESS_EVERY_MS;
  let last = 'not ready';
  for (;;) {
    try {
      if (await check()) return;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    const end = options.hopeless?.() ?? null;
    if (end !== null) throw new Error(`${options.what}: ${end}`);
    const waitedMs = performance.now() - startMs;
    if (waitedMs > options.deadlineMs) {
      throw new Error(`${options.what} did not answer within ${options.deadlineMs / 1000} s (last: ${last})`);
    }
    if (waitedMs > nextProgressMs) {
      nextProgressMs += PROGRESS_EVERY_MS;
      options.progress?.(`still waiting for ${options.what} (${Math.round(waitedMs / 1000)} s)`);
    }
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? 100));
  }
}
