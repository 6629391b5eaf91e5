/**
 * How we compress. Without KafkaJS, for whoever must not load it yet (quirks.ts).
 *
 * Level 1, synchronously: compressing costs less than KafkaJS's JavaScript CRC-32C over the uncompressed bytes would, and a
 * hop to the thread pool costs more than it saves.
 */
import { constants, zstdCompressSync } from 'node:zlib';

const PARAMS = { [constants.ZSTD_c_compressionLevel]: 1 };

/** Told its length, zstd takes no more memory than that needs, here and at every reader. */
export function zstdCompressed(bytes: Buffer): Buffer {
  return zstdCompressSync(bytes, { pledgedSrcSize: bytes.length, params: PARAMS });
}
