/**
 * Packed records on their way through KafkaJS: grouping by partition, and the Produce request that carries them.
 *
 * KafkaJS keeps what it is good at, finding leaders, connecting, retrying. Where it would handle each record as an
 * object it gets one message that stands for a whole batch (see quirks.ts for how it is brought to that).
 */
import type { Message, TopicMessages } from 'kafkajs';
import { choosePartition } from '../murmur2.ts';
import { crc32c } from './crc32c.ts';
import { FRAME_HEAD_BYTES, NOT_CHOSEN } from './packed.ts';
import { varintSize, writeVarint } from './varint.ts';
import { zstdCompressed } from './zstd.ts';

/** The records of one topic in a packed batch. */
export class PackedRecords {
  readonly bytes: Buffer;
  /** Where each frame starts. */
  readonly frames: number[] = [];
  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

/** As KafkaJS sees it: a message, whose value must not be undefined. */
interface PackedMessage {
  readonly value: Buffer;
  readonly packed: PackedRecords;
}

/** One message a topic. */
export function packedTopicMessages(bytes: Buffer, length: number): TopicMessages[] {
  const topics: { topic: string; packed: PackedRecords }[] = [];
  let at = 2;
  for (let left = bytes.readUInt16LE(0); left > 0; left--) {
    const end = at + 2 + bytes.readUInt16LE(at);
    topics.push({ topic: bytes.toString('utf8', at + 2, end), packed: new PackedRecords(bytes) });
    at = end;
  }
  while (at < length) {
    topics[bytes.readUInt16LE(at)]?.packed.frames.push(at);
    at += FRAME_HEAD_BYTES + bytes.readUInt32LE(at + 14);
  }
  return topics.map(({ topic, packed }) => ({ topic, messages: [{ value: bytes, packed } as Message] }));
}

export function packedOf(messages: readonly unknown[]): PackedRecords | undefined {
  return (messages[0] as PackedMessage | undefined)?.packed;
}

let turn = 0;

/** Frames by partition, order kept. A partition once chosen is written into its frame, so a repeated request keeps it. */
export function groupPacked(records: PackedRecords, partitions: number): Record<number, PackedMessage[]> {
  const groups: Record<number, PackedMessage[]> = {};
  const { bytes, frames } = records;
  for (const frame of frames) {
    let partition = bytes.readInt32LE(frame + 2);
    if (partition === NOT_CHOSEN) {
      partition = choosePartition(keyAt(bytes, frame + FRAME_HEAD_BYTES), partitions, turn++);
      bytes.writeInt32LE(partition, frame + 2);
    }
    let group = groups[partition];
    if (group === undefined) {
      group = [{ value: bytes, packed: new PackedRecords(bytes) }];
      groups[partition] = group;
    }
    (group[0] as PackedMessage).packed.frames.push(frame);
  }
  return groups;
}

function keyAt(bytes: Buffer, start: number): Buffer | null {
  let at = start;
  let zigzag = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++] as number;
    zigzag |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  const length = (zigzag >>> 1) ^ -(zigzag & 1);
  return length < 0 ? null : bytes.subarray(at, at + length);
}

export interface ProduceArguments {
  readonly acks: number;
  readonly timeout: number;
  readonly topicData: readonly {
    readonly topic: string;
    readonly partitions: readonly { readonly partition: number; readonly messages: readonly unknown[] }[];
  }[];
}

interface Encoded {
  readonly buf: Buffer;
  readonly buffer: Buffer;
  size(): number;
}

/** The body of a Produce request, version 3 to 7 alike, without a transaction; undefined unless all of it is packed. */
export function encodePacked({ acks, timeout, topicData }: ProduceArguments): Encoded | undefined {
  const parts: Buffer[] = [];
  const head = Buffer.allocUnsafe(12);
  head.writeInt16BE(-1, 0); // no transactional.id
  head.writeInt16BE(acks, 2);
  head.writeInt32BE(timeout, 4);
  head.writeInt32BE(topicData.length, 8);
  parts.push(head);
  for (const { topic, partitions } of topicData) {
    const name = Buffer.from(topic);
    const topicHead = Buffer.allocUnsafe(6);
    topicHead.writeInt16BE(name.length, 0);
    topicHead.writeInt32BE(partitions.length, 2);
    parts.push(topicHead.subarray(0, 2), name, topicHead.subarray(2));
    for (const { partition, messages } of partitions) {
      const packed = packedOf(messages);
      if (packed === undefined) return undefined;
      const batch = recordBatch(packed);
      const partitionHead = Buffer.allocUnsafe(8);
      partitionHead.writeInt32BE(partition, 0);
      partitionHead.writeInt32BE(batch.length, 4);
      parts.push(partitionHead, batch);
    }
  }
  const buf = Buffer.concat(parts);
  return { buf, buffer: buf, size: () => buf.length };
}

const BATCH_HEAD_BYTES = 61;
const MAGIC = 2;
const ZSTD = 4;
const UNCOMPRESSED = 0;
/** Below this a context for compressing costs more than it saves. */
const MIN_COMPRESSED_BYTES = 2048;
/** What the CRC covers starts at the attributes. */
const CRC_FROM = 21;
/** Of the fields before a frame's tail: length, attributes, and two deltas. */
const MAX_RECORD_HEAD_BYTES = 5 + 1 + 10 + 5;

/** Uncompressed records; used again for every batch, since compressing is synchronous. */
let scratch = Buffer.allocUnsafeSlow(1 << 18);

/** The frames as one record batch of the v2 layout, zstd. */
export function recordBatch({ bytes, frames }: PackedRecords): Buffer {
  const firstMs = bytes.readDoubleLE((frames[0] as number) + 6);
  let maxMs = firstMs;
  let at = 0;
  for (let i = 0; i < frames.length; i++) {
    const frame = frames[i] as number;
    const timestampMs = bytes.readDoubleLE(frame + 6);
    const tailBytes = bytes.readUInt32LE(frame + 14);
    if (timestampMs > maxMs) maxMs = timestampMs;
    if (at + tailBytes + MAX_RECORD_HEAD_BYTES > scratch.length) {
      const larger = Buffer.allocUnsafeSlow(2 * scratch.length + tailBytes);
      larger.set(scratch.subarray(0, at));
      scratch = larger;
    }
    const delta = timestampMs - firstMs;
    at = writeVarint(scratch, at, 1 + varintSize(delta) + varintSize(i) + tailBytes);
    scratch[at++] = 0; // attributes: none are defined
    at = writeVarint(scratch, at, delta);
    at = writeVarint(scratch, at, i);
    const tail = frame + FRAME_HEAD_BYTES;
    bytes.copy(scratch, at, tail, tail + tailBytes);
    at += tailBytes;
  }
  const isSmall = at < MIN_COMPRESSED_BYTES;
  const records = isSmall ? scratch.subarray(0, at) : zstdCompressed(scratch.subarray(0, at));

  const batch = Buffer.allocUnsafe(BATCH_HEAD_BYTES + records.length);
  batch.writeBigInt64BE(0n, 0); // base offset: the broker's to give
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt32BE(0, 12); // partition leader epoch
  batch.writeInt8(MAGIC, 16);
  batch.writeInt16BE(isSmall ? UNCOMPRESSED : ZSTD, CRC_FROM);
  batch.writeInt32BE(frames.length - 1, 23);
  batch.writeBigInt64BE(BigInt(firstMs), 27);
  batch.writeBigInt64BE(BigInt(maxMs), 35);
  batch.writeBigInt64BE(-1n, 43); // producer id: none
  batch.writeInt16BE(0, 51);
  batch.writeInt32BE(0, 53);
  batch.writeInt32BE(frames.length, 57);
  batch.set(records, BATCH_HEAD_BYTES);
  batch.writeUInt32BE(crc32c(batch, CRC_FROM, batch.length), 17);
  return batch;
}
