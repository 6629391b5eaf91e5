/**
 * A batch of records packed into one piece of memory, which another thread can read where it is.
 *
 *   batch  topicCount u16, per topic: length u16, UTF-8      then the frames
 *   frame  topic u16 | partition i32 (-1 = not chosen) | timestamp f64 | tail length u32 | tail
 *
 * The tail is a record of Kafka's v2 layout from its key onwards (key, value, headers), byte for byte as the broker gets
 * it. What stands before it, offset and timestamp deltas, depends on the partition and is added by produce-request.ts.
 */
import { refuseMarkerKey } from '../marker-key.ts';
import type { Append } from '../port.ts';
import { nameBytes, writeSized, writeVarint } from './varint.ts';

export const FRAME_HEAD_BYTES = 18;
export const NOT_CHOSEN = -1;
/** UTF-8 takes at most three bytes for each UTF-16 unit. */
const MAX_UTF8_PER_UNIT = 3;
const MAX_VARINT_BYTES = 5;
const FIRST_BYTES = 1 << 18;

/** `bytes` is the memory it lies in, of which the next batch may have more or less than this one. */
export interface PackedBatch {
  readonly bytes: Buffer;
  readonly length: number;
}

/** Packs into `scratch` where it is large enough, else into new memory. Throws RangeError on the one key not allowed. */
export function packBatch(appends: readonly Append[], nowMs: number, scratch: Buffer): PackedBatch {
  const topics: string[] = [];
  const topicOf = new Int32Array(appends.length);
  let bound = 2;
  let lastTopic: string | undefined;
  let lastIndex = -1;
  for (let i = 0; i < appends.length; i++) {
    const append = appends[i] as Append;
    refuseMarkerKey(append);
    if (append.topic !== lastTopic) {
      lastTopic = append.topic;
      lastIndex = topics.indexOf(lastTopic);
      if (lastIndex === -1) {
        lastIndex = topics.push(lastTopic) - 1;
        bound += 2 + MAX_UTF8_PER_UNIT * lastTopic.length;
      }
    }
    topicOf[i] = lastIndex;
    bound += frameBound(append);
  }
  const target = scratch.length >= bound ? scratch : Buffer.allocUnsafeSlow(roomFor(bound));
  let at = target.writeUInt16LE(topics.length, 0);
  for (const topic of topics) {
    const length = target.write(topic, at + 2);
    at = target.writeUInt16LE(length, at) + length;
  }
  for (let i = 0; i < appends.length; i++) {
    at = writeFrame(target, at, topicOf[i] as number, appends[i] as Append, nowMs);
  }
  return { bytes: target, length: at };
}

/** At least so many bytes. Powers of two, so that batches of about the same size do not each need new memory. */
export function roomFor(bytes: number): number {
  return Math.max(FIRST_BYTES, 2 ** Math.ceil(Math.log2(bytes)));
}

function frameBound({ key, value, headers }: Append): number {
  let bound = FRAME_HEAD_BYTES + 3 * MAX_VARINT_BYTES + (key?.length ?? 0) + (value?.length ?? 0);
  for (const name in headers) {
    bound += 2 * MAX_VARINT_BYTES + MAX_UTF8_PER_UNIT * (name.length + (headers[name] as Buffer | string).length);
  }
  return bound;
}

function writeFrame(target: Buffer, start: number, topic: number, append: Append, nowMs: number): number {
  const tail = start + FRAME_HEAD_BYTES;
  let at = writeSized(target, tail, append.key);
  at = writeSized(target, at, append.value);
  const { headers } = append;
  let count = 0;
  for (const _ in headers) count += 1;
  at = writeVarint(target, at, count);
  for (const name in headers) {
    at = writeSized(target, at, nameBytes(name));
    const value = headers[name] as Buffer | string;
    at = typeof value === 'string' ? writeText(target, at, value) : writeSized(target, at, value);
  }
  target.writeUInt16LE(topic, start);
  target.writeInt32LE(append.partition ?? NOT_CHOSEN, start + 2);
  target.writeDoubleLE(append.timestampMs ?? nowMs, start + 6);
  target.writeUInt32LE(at - tail, start + 14);
  return at;
}

/** Header texts are short and nearly always ASCII: then one byte a character, written without calling out of JavaScript. */
function writeText(target: Buffer, at: number, text: string): number {
  let end = writeVarint(target, at, text.length);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return writeSized(target, at, Buffer.from(text));
    target[end++] = unit;
  }
  return end;
}
