/**
 * Values that are loaded once and kept. Callers that ask while a load is under way share it; a failed load is forgotten,
 * so the next caller tries again. Keys must come from a set that is bounded by itself (schema ids, subjects).
 */
export class OnceMap<K, V> {
  readonly #loaded = new Map<K, V>();
  readonly #loading = new Map<K, Promise<V>>();

  /** What has been loaded, without loading. */
  peek(key: K): V | undefined {
    return this.#loaded.get(key);
  }

  async get(key: K, load: () => Promise<V>): Promise<V> {
    const loaded = this.#loaded.get(key);
    if (loaded !== undefined) return loaded;
    let loading = this.#loading.get(key);
    if (loading === undefined) {
      loading = load()
        .then((value) => {
          this.#loaded.set(key, value);
          return value;
        })
        .finally(() => this.#loading.delete(key));
      this.#loading.set(key, loading);
    }
    return loading;
  }
}
