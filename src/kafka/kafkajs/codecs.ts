/**
 * Compression for every KafkaJS client of this process; KafkaJS keeps one global table of codecs.
 *
 * We write zstd level 1, synchronously: compressing costs less than KafkaJS's JavaScript CRC-32C over the uncompressed
 * bytes would, and a hop to the thread pool costs more than it saves. We read zstd and gzip.
 */
import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import kafkajs from 'kafkajs'; // these names are not visible to Node as named exports of the CommonJS module

const { CompressionCodecs, CompressionTypes } = kafkajs;

const ZSTD_OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

interface Encoder {
  readonly buffer: Buffer;
}

const zstd = {
  compress: async ({ buffer }: Encoder): Promise<Buffer> => zstdCompressSync(buffer, ZSTD_OPTIONS),
  decompress: async (buffer: Buffer): Promise<Buffer> => zstdDecompressSync(buffer),
};

const gzip = {
  compress: async ({ buffer }: Encoder): Promise<Buffer> => gzipSync(buffer),
  decompress: async (buffer: Buffer): Promise<Buffer> => gunzipSync(buffer),
};

/** Registers the codecs; calling it again changes nothing. */
export function registerCodecs(): void {
  CompressionCodecs[CompressionTypes.ZSTD] = () => zstd;
  CompressionCodecs[CompressionTypes.GZIP] = () => gzip;
}
