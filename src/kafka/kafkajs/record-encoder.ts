/**
 * Encodes one record of a v2 record batch. It replaces KafkaJS's own (see quirks.ts), which zero-fills a new 512-byte
 * buffer for the record, for each header and for each growth, and takes every varint through an array and another
 * buffer; that was a third of the cost of producing. Bytes are the same; a test compares them.
 *
 *   length varint | attributes int8 | timestampDelta varlong | offsetDelta varint | key | value | headers
 *   key, value, header value: length varint (-1 = null), bytes      header name: length varint, UTF-8
 */
import { nameBytes, sizedSize, varintSize, writeSized, writeVarint } from './varint.ts';

export interface EncodableRecord {
  readonly offsetDelta?: number;
  readonly timestampDelta?: number;
  readonly key?: Buffer | string | null;
  readonly value?: Buffer | string | null;
  readonly headers?: Readonly<Record<string, Buffer | string | readonly (Buffer | string)[]>>;
}

/** What KafkaJS's encoders take over from another: the bytes, and how many of them. */
export interface EncodedRecord {
  readonly buf: Buffer;
  readonly buffer: Buffer;
  readonly offset: number;
  size(): number;
}

class Encoded implements EncodedRecord {
  readonly buf: Buffer;
  constructor(buf: Buffer) {
    this.buf = buf;
  }
  get buffer(): Buffer {
    return this.buf;
  }
  get offset(): number {
    return this.buf.length;
  }
  size(): number {
    return this.buf.length;
  }
}

const bytesOf = (value: Buffer | string): Buffer => (Buffer.isBuffer(value) ? value : Buffer.from(String(value)));
const nullableBytesOf = (value: Buffer | string | null | undefined): Buffer | null =>
  value === null || value === undefined ? null : bytesOf(value);

/** Names and values, one after the other. */
function flatHeaders(headers: NonNullable<EncodableRecord['headers']>): Buffer[] {
  const flat: Buffer[] = [];
  for (const name of Object.keys(headers)) {
    const value = headers[name] as Buffer | string | readonly (Buffer | string)[];
    if (Array.isArray(value)) for (const one of value) flat.push(nameBytes(name), bytesOf(one));
    else flat.push(nameBytes(name), bytesOf(value as Buffer | string));
  }
  return flat;
}

const NO_HEADERS: readonly Buffer[] = [];

export function encodeRecord(record: EncodableRecord): EncodedRecord {
  const { offsetDelta = 0, timestampDelta = 0 } = record;
  const key = nullableBytesOf(record.key);
  const value = nullableBytesOf(record.value);
  const headers = record.headers === undefined ? NO_HEADERS : flatHeaders(record.headers);
  let bodySize = 1 + varintSize(timestampDelta) + varintSize(offsetDelta) + sizedSize(key) + sizedSize(value);
  bodySize += varintSize(headers.length / 2);
  for (const part of headers) bodySize += sizedSize(part);

  const target = Buffer.allocUnsafe(varintSize(bodySize) + bodySize);
  let at = writeVarint(target, 0, bodySize);
  target[at++] = 0; // attributes: none are defined
  at = writeVarint(target, at, timestampDelta);
  at = writeVarint(target, at, offsetDelta);
  at = writeSized(target, at, key);
  at = writeSized(target, at, value);
  at = writeVarint(target, at, headers.length / 2);
  for (const part of headers) at = writeSized(target, at, part);
  return new Encoded(target);
}
