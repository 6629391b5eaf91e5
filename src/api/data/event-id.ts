/**
 * The id of an event in the API: where its record stands, and enough of a hash to know it again. The same for as long as the
 * topic is kept. It is read in the topic of whoever asks: what another tenant has at that place is another event, and the
 * hash says so. Pure.
 */
import { hash } from 'node:crypto';

export interface EventPlace {
  readonly partition: number;
  readonly offset: number;
  /** Of tenant and event. */
  readonly check: string;
}

const PARTITION_BYTES = 2;
const OFFSET_BYTES = 6;
const CHECK_BYTES = 7;
const TEXT = /^ev_([A-Za-z0-9_-]{20})$/;

export function eventIdOf(
  tenantId: string,
  eventId: string,
  at: { readonly partition: number; readonly offset: number },
) {
  const bytes = Buffer.alloc(PARTITION_BYTES + OFFSET_BYTES + CHECK_BYTES);
  bytes.writeUIntBE(at.partition, 0, PARTITION_BYTES);
  bytes.writeUIntBE(at.offset, PARTITION_BYTES, OFFSET_BYTES);
  Buffer.from(checkOf(tenantId, eventId), 'hex').copy(bytes, PARTITION_BYTES + OFFSET_BYTES);
  return `ev_${bytes.toString('base64url')}`;
}

/** Null for what no event can have. */
export function readEventId(text: string): EventPlace | null {
  const packed = TEXT.exec(text)?.[1];
  if (packed === undefined) return null;
  const bytes = Buffer.from(packed, 'base64url');
  return {
    partition: bytes.readUIntBE(0, PARTITION_BYTES),
    offset: bytes.readUIntBE(PARTITION_BYTES, OFFSET_BYTES),
    check: bytes.subarray(PARTITION_BYTES + OFFSET_BYTES).toString('hex'),
  };
}

export function checkOf(tenantId: string, eventId: string): string {
  return hash('sha256', `${tenantId}\n${eventId}`, 'hex').slice(0, 2 * CHECK_BYTES);
}
