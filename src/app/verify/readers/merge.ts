/** Several sources as one, in the order things come; the first to fail fails all; all are closed when it ends. */
export async function* merge<T>(sources: readonly AsyncIterable<T>[]): AsyncGenerator<T> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]());
  const next = (index: number) => (iterators[index] as AsyncIterator<T>).next().then((result) => ({ index, result }));
  const waiting = new Map(iterators.map((_, index) => [index, next(index)]));
  try {
    while (waiting.size > 0) {
      const { index, result } = await Promise.race(waiting.values());
      if (result.done === true) {
        waiting.delete(index);
        continue;
      }
      // Re-inserted at the end of the map: a source that always has something does not starve the others.
      waiting.delete(index);
      waiting.set(index, next(index));
      yield result.value;
    }
  } finally {
    for (const pending of waiting.values()) pending.catch(() => undefined);
  }
}
