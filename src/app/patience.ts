/** Tells whoever watches that something is still being waited for: a start that is silent for long looks dead. */
import type { Clock } from '../kafka/port.ts';

export interface PatienceOptions {
  readonly clock: Clock;
  readonly everyMs?: number;
  /** Called every `everyMs` for as long as the work takes. */
  readonly tell: (waitedMs: number) => void;
  /** Ends the telling; the work goes on. */
  readonly signal?: AbortSignal;
}

const EVERY_MS = 2_000;

/** The outcome of `work`. */
export async function tellingMeanwhile<T>(work: Promise<T>, options: PatienceOptions): Promise<T> {
  const { clock, tell, everyMs = EVERY_MS } = options;
  const over = new AbortController();
  const signal = options.signal === undefined ? over.signal : AbortSignal.any([over.signal, options.signal]);
  void (async () => {
    const startedAtMs = clock.nowMs();
    for (;;) {
      await clock.sleep(everyMs, signal);
      if (signal.aborted) return;
      tell(clock.nowMs() - startedAtMs);
    }
  })();
  try {
    return await work;
  } finally {
    over.abort();
  }
}
