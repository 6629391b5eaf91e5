/**
 * Kafka's default partitioning, as in the Java client: murmur2 of the key, sign bit cleared, modulo the partition count.
 * Every producer in any language must agree on it, or one resource's records end up in two partitions.
 */
const SEED = 0x9747b28c;
const M = 0x5bd1e995;
const R = 24;

/** murmur2 with Kafka's seed, as a signed 32-bit integer like `org.apache.kafka.common.utils.Utils.murmur2`. */
export function murmur2(key: Buffer): number {
  const length = key.length;
  const tail = length & ~3;
  let hash = SEED ^ length;
  for (let at = 0; at < tail; at += 4) {
    let k = Math.imul(key.readInt32LE(at), M);
    k ^= k >>> R;
    hash = Math.imul(hash, M) ^ Math.imul(k, M);
  }
  const rest = length & 3;
  if (rest === 3) hash ^= (key[tail + 2] as number) << 16;
  if (rest >= 2) hash ^= (key[tail + 1] as number) << 8;
  if (rest >= 1) hash = Math.imul(hash ^ (key[tail] as number), M);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, M);
  return (hash ^ (hash >>> 15)) | 0;
}

/** The partition a keyed record belongs to. */
export function partitionOfKey(key: Buffer, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}

/** The partition of any record: by key where there is one, else by `turn`, a counter the caller advances. */
export function choosePartition(key: Buffer | null, partitions: number, turn: number): number {
  return key === null ? turn % partitions : partitionOfKey(key, partitions);
}
