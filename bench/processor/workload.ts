/**
 * The workload of the processor bench: 40,000 conversations with 8 revisions each, in random order between conversations
 * and ascending within one, and a fifth of them once more, byte for byte, somewhere later: 400,000 records, 320,000
 * changes. All from one seed, so a duplicate need not be kept to be written again.
 */
import { HEADER } from '../../src/kafka/headers.ts';
import type { Append } from '../../src/kafka/port.ts';
import { conversationUpdate } from '../lib/conversation-update.ts';
import { CONNECTION, ORG, TENANT } from '../lib/service.ts';

export interface Workload {
  readonly records: number;
  readonly changes: number;
  /** In the order they are to be written. */
  appends(topic: string): Generator<Append>;
}

export interface WorkloadSize {
  readonly conversations: number;
  readonly revisions: number;
  readonly duplicates: number;
  readonly seed: number;
}

export function workload({ conversations, revisions, duplicates, seed }: WorkloadSize): Workload {
  const changes = conversations * revisions;
  const random = xorshift(seed);
  // Which conversation each place belongs to; its revision is how often that conversation has come up before.
  const conversationAt = shuffled(
    Uint32Array.from({ length: changes }, (_, i) => i % conversations),
    random,
  );
  const revisionAt = new Uint8Array(changes);
  const seen = new Uint8Array(conversations);
  for (let place = 0; place < changes; place += 1) {
    const conversation = conversationAt[place] as number;
    seen[conversation] = (seen[conversation] as number) + 1;
    revisionAt[place] = seen[conversation] as number;
  }
  const again = shuffled(
    Uint32Array.from({ length: changes }, (_, i) => i),
    random,
  ).subarray(0, duplicates);
  const laterCopies = new Map<number, number[]>();
  for (const place of again) {
    const after = place + Math.floor((random() / 2 ** 32) * (changes - place));
    laterCopies.set(after, [...(laterCopies.get(after) ?? []), place]);
  }
  return {
    records: changes + duplicates,
    changes,
    *appends(topic) {
      const append = (place: number) =>
        rawAppend(topic, seed, conversationAt[place] as number, revisionAt[place] as number);
      for (let place = 0; place < changes; place += 1) {
        yield append(place);
        for (const copy of laterCopies.get(place) ?? []) yield append(copy);
      }
    },
  };
}

function rawAppend(topic: string, seed: number, conversation: number, rev: number): Append {
  const id = hexId(xorshift(seed + 1 + conversation * 7919));
  const random = xorshift(Math.imul(conversation + 1, 31) + rev + seed);
  const eventId = hexId(random);
  const headers = {
    [HEADER.tenant]: TENANT,
    [HEADER.connection]: CONNECTION,
    [HEADER.channel]: 'webhook',
    [HEADER.receivedAt]: String(CLOCK_MS),
    [HEADER.resourceType]: 'conversation',
    [HEADER.eventName]: 'kustomer.conversation.update',
    [HEADER.rev]: String(rev),
    [HEADER.deliveryId]: eventId,
  };
  return { topic, key: Buffer.from(id), value: Buffer.from(body(id, eventId, rev, random)), headers };
}

const CLOCK_MS = Date.parse('2026-11-01T00:00:00.000Z');
const MINUTE_MS = 60_000;

function body(conversationId: string, eventId: string, rev: number, random: () => number): string {
  const at = new Date(CLOCK_MS + rev * MINUTE_MS + (random() % MINUTE_MS)).toISOString();
  return conversationUpdate({ conversationId, eventId, org: ORG, rev, at, newId: () => hexId(random) });
}

/** xorshift32; the seed is stirred first, since neighbouring seeds would give neighbouring numbers. */
function xorshift(seed: number): () => number {
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

function hexId(random: () => number): string {
  return [random(), random(), random()].map((word) => word.toString(16).padStart(8, '0')).join('');
}

function shuffled(array: Uint32Array, random: () => number): Uint32Array {
  for (let i = array.length - 1; i > 0; i -= 1) {
    const j = random() % (i + 1);
    const kept = array[i] as number;
    array[i] = array[j] as number;
    array[j] = kept;
  }
  return array;
}
