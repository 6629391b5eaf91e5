/**
 * Compression for every KafkaJS client of this process; KafkaJS keeps one global table of codecs.
 *
 * We write zstd or nothing, and read zstd and gzip.
 */
import { gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib';
import kafkajs from 'kafkajs'; // these names are not visible to Node as named exports of the CommonJS module
import { zstdCompressed } from './zstd.ts';

const { CompressionCodecs, CompressionTypes } = kafkajs;

/**
 * Less than this, in all of a request, goes uncompressed. Each compression makes a context of up to a megabyte, one for each
 * partition of the request, and the garbage collector runs for it: a third of the time of a small transaction.
 */
const MIN_COMPRESSED_BYTES = 16_384;

/** For keys and values of so many bytes, in one request. */
export function compressionFor(bytes: number): kafkajs.CompressionTypes {
  return bytes < MIN_COMPRESSED_BYTES ? CompressionTypes.None : CompressionTypes.ZSTD;
}

interface Encoder {
  readonly buffer: Buffer;
}

const zstd = {
  compress: async ({ buffer }: Encoder): Promise<Buffer> => zstdCompressed(buffer),
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
