/** Varints and what is written with their help, as record batches of Kafka's v2 layout use them. */

/** Header names are few and come back with every record. */
const NAMES_KEPT = 1_000;
const names = new Map<string, Buffer>();

export function nameBytes(name: string): Buffer {
  const known = names.get(name);
  if (known !== undefined) return known;
  const bytes = Buffer.from(name);
  if (names.size < NAMES_KEPT) names.set(name, bytes);
  return bytes;
}

/** Zigzag as an unsigned number; exact up to 2^52, beyond any length, offset or timestamp difference. */
const zigzag = (value: number): number => (value < 0 ? -2 * value - 1 : 2 * value);

export function varintSize(value: number): number {
  let rest = zigzag(value);
  let size = 1;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) size += 1;
  return size;
}

export const sizedSize = (bytes: Buffer | null): number =>
  bytes === null ? 1 : varintSize(bytes.length) + bytes.length;

export function writeVarint(target: Buffer, at: number, value: number): number {
  let rest = zigzag(value);
  let end = at;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) target[end++] = (rest & 0x7f) | 0x80;
  target[end++] = rest;
  return end;
}

/** Below this, a loop copies faster than a call into the engine. */
const LOOP_BYTES = 48;

/** A length and that many bytes; null is the length -1. */
export function writeSized(target: Buffer, at: number, bytes: Buffer | null): number {
  if (bytes === null) return writeVarint(target, at, -1);
  const start = writeVarint(target, at, bytes.length);
  if (bytes.length > LOOP_BYTES) target.set(bytes, start);
  else for (let i = 0; i < bytes.length; i++) target[start + i] = bytes[i] as number;
  return start + bytes.length;
}
