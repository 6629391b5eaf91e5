/** One waiter, told that something may have changed. What happens while nobody waits is not forgotten. */
export class Wakeup {
  #woken = false;
  #resolve: (() => void) | undefined;
  /** Listened to once, not at every wait: there are thousands a second. */
  #heard: AbortSignal | undefined;
  readonly #tell = (): void => this.#resolve?.();

  wake(): void {
    this.#woken = true;
    this.#tell();
  }

  /** Resolves once it was woken since the last wait, or the signal has aborted. */
  async wait(signal: AbortSignal): Promise<void> {
    if (!this.#woken && !signal.aborted) {
      this.#listen(signal);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#resolve = resolve;
      await promise;
      this.#resolve = undefined;
    }
    this.#woken = false;
  }

  #listen(signal: AbortSignal): void {
    if (signal === this.#heard) return;
    this.#heard?.removeEventListener('abort', this.#tell);
    this.#heard = signal;
    signal.addEventListener('abort', this.#tell, { once: true });
  }
}
