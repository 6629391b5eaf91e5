/**
 * Decodes one record of a v2 record batch. It replaces KafkaJS's own (see quirks.ts), which rebuilds the whole headers
 * object for each header and takes every offset and timestamp through 64-bit Long objects. What it returns is the same;
 * a test compares them.
 *
 *   attributes int8 | timestampDelta varlong | offsetDelta varint | key | value | headers
 *   key, value, header value: length varint (-1 = null), bytes      header name: length varint, UTF-8
 */

/** The cursor KafkaJS reads records with: bytes and a position. */
export interface Cursor {
  readonly buffer: Buffer;
  offset: number;
}

/** What KafkaJS knows of the batch a record stands in. Offsets and times are decimal text. */
export interface BatchContext {
  readonly firstOffset?: string;
  readonly firstTimestamp?: string;
  readonly maxTimestamp?: string;
  readonly magicByte?: number;
  readonly isControlBatch?: boolean;
  readonly timestampType?: number;
}

type HeaderValue = Buffer | null;

export interface DecodedRecord {
  readonly magicByte: number | undefined;
  readonly attributes: number;
  readonly timestamp: string;
  readonly offset: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, HeaderValue | readonly HeaderValue[]>>;
  readonly isControlRecord: boolean;
  readonly batchContext: BatchContext;
}

const LOG_APPEND_TIME = 1;

export function decodeRecord(cursor: Cursor, batchContext: BatchContext = {}): DecodedRecord {
  const attributes = cursor.buffer.readInt8(cursor.offset++);
  const timestampDelta = readVarint(cursor);
  const offsetDelta = readVarint(cursor);
  const { firstOffset, firstTimestamp, maxTimestamp, timestampType } = batchContext;
  const isAppendTime = timestampType === LOG_APPEND_TIME && maxTimestamp !== undefined && maxTimestamp !== '';
  return {
    magicByte: batchContext.magicByte,
    attributes,
    timestamp: isAppendTime ? maxTimestamp : String(Number(firstTimestamp) + timestampDelta),
    offset: String(Number(firstOffset) + offsetDelta),
    key: readBytes(cursor),
    value: readBytes(cursor),
    headers: readHeaders(cursor),
    isControlRecord: batchContext.isControlBatch ?? false,
    batchContext,
  };
}

/** Zigzag varint or varlong; exact up to 2^53, which offsets, lengths and times stay below. */
function readVarint(cursor: Cursor): number {
  const { buffer } = cursor;
  let byte = buffer[cursor.offset++] as number;
  if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1);
  let value = byte & 0x7f;
  let scale = 0x80;
  do {
    byte = buffer[cursor.offset++] as number;
    value += (byte & 0x7f) * scale;
    scale *= 0x80;
  } while (byte >= 0x80);
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

function readBytes(cursor: Cursor): Buffer | null {
  const length = readVarint(cursor);
  if (length < 0) return null;
  const start = cursor.offset;
  cursor.offset += length;
  return cursor.buffer.subarray(start, cursor.offset);
}

function readHeaders(cursor: Cursor): DecodedRecord['headers'] {
  const count = readVarint(cursor);
  const headers: Record<string, HeaderValue | readonly HeaderValue[]> = {};
  for (let i = 0; i < count; i++) {
    const name = readName(cursor, i);
    const value = readBytes(cursor);
    const earlier = headers[name];
    // The second half only for a name that also stands on every object, such as `constructor`.
    if (earlier === undefined || !Object.hasOwn(headers, name)) headers[name] = value;
    else headers[name] = Array.isArray(earlier) ? [...earlier, value] : [earlier as HeaderValue, value];
  }
  return headers;
}

/**
 * Records of one topic carry the same header names in the same places, so the name last seen at a place is compared
 * byte for byte before new text is made of it.
 */
const PLACES_KEPT = 32;
const lastNames: { bytes: Buffer; text: string }[] = [];

function readName(cursor: Cursor, place: number): string {
  const length = readVarint(cursor);
  const start = cursor.offset;
  cursor.offset += length;
  const last = lastNames[place];
  if (last !== undefined && isAt(cursor.buffer, start, length, last.bytes)) return last.text;
  const bytes = cursor.buffer.subarray(start, start + length);
  const text = bytes.toString();
  if (place < PLACES_KEPT) lastNames[place] = { bytes: Buffer.from(bytes), text };
  return text;
}

function isAt(buffer: Buffer, start: number, length: number, bytes: Buffer): boolean {
  if (length !== bytes.length) return false;
  for (let i = 0; i < length; i++) if (buffer[start + i] !== bytes[i]) return false;
  return true;
}
