/** How long a stream lives, and what it says while nothing comes (E3, E4 of stream.ts). */
import type { Clock } from '../../base/clock.ts';

export const KEEP_ALIVE_MS = 15_000;
/** How soon a revoked token's streams end. */
const LOOK_EVERY_MS = 1_000;

type Ending = 'stopping' | 'revoked' | 'over';

export interface WatchOptions {
  /** The service stops, or the client is gone. */
  readonly signal: AbortSignal;
  readonly isLive: () => boolean;
  readonly clock: Clock;
}

/** E3, E4: looks at the token while the stream lives, whether or not the client reads. */
export class Watch {
  readonly signal: AbortSignal;
  readonly #ended = new AbortController();
  readonly #clock: Clock;
  #ending: Ending | null = null;
  #here: AbortController | undefined;

  constructor({ signal, isLive, clock }: WatchOptions, over: AbortSignal) {
    this.#clock = clock;
    this.signal = this.#ended.signal;
    const end = (ending: Ending): void => {
      this.#ending ??= ending;
      this.#ended.abort();
      this.#here?.abort();
    };
    if (signal.aborted) end('stopping');
    signal.addEventListener('abort', () => end('stopping'), { once: true, signal: this.signal });
    over.addEventListener('abort', () => end('over'), { once: true, signal: this.signal });
    void this.#look(isLive, () => end('revoked'));
  }

  get ending(): Ending | null {
    return this.#ending;
  }

  pause(ms: number): Promise<void> {
    return this.#clock.sleep(ms, this.signal);
  }

  /** Aborts when it comes, or when the stream is over. Asked once for each wait: idle streams may wait for days. */
  wait(coming: Promise<void>): AbortSignal {
    const here = new AbortController();
    this.#here = here;
    if (this.#ending !== null) here.abort();
    void coming.then(() => here.abort());
    return here.signal;
  }

  /** True when it has not come for KEEP_ALIVE_MS. */
  async isQuiet(here: AbortSignal): Promise<boolean> {
    await this.#clock.sleep(KEEP_ALIVE_MS, here);
    return !here.aborted;
  }

  async #look(isLive: () => boolean, revoked: () => void): Promise<void> {
    while (this.#ending === null) {
      await this.#clock.sleep(LOOK_EVERY_MS, this.signal);
      if (this.#ending === null && !isLive()) revoked();
    }
  }
}
