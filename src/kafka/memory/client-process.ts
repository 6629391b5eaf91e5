/** One process as the broker meets it: running, stopped by SIGSTOP, or killed. Everything a client does passes here. */
export class ClientProcess {
  #state: 'running' | 'frozen' | 'dead' = 'running';
  readonly #onThaw = new Set<() => void>();

  get running(): boolean {
    return this.#state === 'running';
  }

  freeze(): void {
    if (this.#state === 'running') this.#state = 'frozen';
  }

  thaw(): void {
    if (this.#state !== 'frozen') return;
    this.#state = 'running';
    for (const thawed of [...this.#onThaw]) thawed();
  }

  kill(): void {
    this.#state = 'dead';
  }

  onThaw(thawed: () => void): () => void {
    this.#onThaw.add(thawed);
    return () => this.#onThaw.delete(thawed);
  }

  /** Resolves at once in a running process, after the thaw in a frozen one, never in a dead one. */
  async pass(): Promise<void> {
    if (this.#state === 'running') return;
    await new Promise<void>((resolve) => {
      const forget = this.onThaw(() => {
        forget();
        resolve();
      });
    });
  }
}
