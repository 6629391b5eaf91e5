/** Wakes everybody who waits whenever something has changed. */
export class Wake {
  #next = Promise.withResolvers<void>();

  wake(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers<void>();
  }

  /** What is resolved by the next `wake`: take it before looking, so that nothing between looking and waiting is missed. */
  get next(): Promise<void> {
    return this.#next.promise;
  }
}
