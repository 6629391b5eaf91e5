/**
 * The commands of the bench: notes of 200 characters in the conversations of one organisation. Each text begins with its place
 * in the conversation, and with when it was sent where that is asked for, so that the stub can tell order, repeats and latency
 * apart whoever called it.
 *
 *   spread  20,000 over 1,000 conversations, rounds in shuffled order: the backlog that is drained
 *   hot     1,000 in one conversation
 *   mixed   20,000, half of them in ten conversations, the others over 1,000
 *   steady  each in a conversation of its own, sent at a rate
 */
import type { WireCommand } from '../../src/fibric/commands/command.ts';
import { composeCommand } from '../../src/fibric/commands/compose-command.ts';
import type { Append } from '../../src/kafka/port.ts';

export const TENANT = 't_bench';
export const CONNECTION = 'bench';
export const OPERATOR = 'op-bench';

export const WORKLOADS = { spread: 20_000, hot: 1_000, mixed: 20_000 } as const;
export type Workload = keyof typeof WORKLOADS;

export interface Note {
  readonly conversation: number;
  /** From 1. */
  readonly seq: number;
}

const CONVERSATIONS = 1000;
const HOT = 10;
const SEED = 20_261_122;
const TEXT = 'Note text. '.repeat(19);
const TEXT_LENGTH = 200;

/** In the order of the log. `share`: of the whole workload, for a short run. */
export function notesOf(workload: Workload, share = 1): readonly Note[] {
  const random = randomFrom(SEED);
  const total = WORKLOADS[workload] * share;
  const seqs = new Map<number, number>();
  const note = (conversation: number): Note => {
    const seq = (seqs.get(conversation) ?? 0) + 1;
    seqs.set(conversation, seq);
    return { conversation, seq };
  };
  const upTo = (most: number) => Math.floor(random() * most);
  switch (workload) {
    case 'hot':
      return Array.from({ length: total }, () => note(0));
    case 'mixed':
      return Array.from({ length: total }, (_, i) =>
        note(i % 2 === 0 ? upTo(CONVERSATIONS) : CONVERSATIONS + upTo(HOT)),
      );
    case 'spread': {
      const notes: Note[] = [];
      while (notes.length < total) for (const one of shuffled(CONVERSATIONS, upTo)) notes.push(note(one));
      return notes;
    }
  }
}

export function conversationId(conversation: number): string {
  return `5a8f1c2e${conversation.toString(16).padStart(16, '0')}`;
}

export function commandId({ conversation, seq }: Note): string {
  return `cmd-${conversation}-${seq}`;
}

/** As a record of `topic`. `sentAtUs`: the clock of `process.hrtime`, the same in all processes of a machine. */
export function commandRecord(
  note: Note,
  { topic, encode, sentAtUs = 0 }: { topic: string; encode: (wire: WireCommand) => Buffer; sentAtUs?: number },
): Append {
  const conversation = conversationId(note.conversation);
  const composed = composeCommand(
    {
      commandId: commandId(note),
      tenantId: TENANT,
      connection: CONNECTION,
      capability: 'conversation.note.write',
      args: { conversation_id: conversation, body: `#${note.seq} @${sentAtUs} ${TEXT}`.slice(0, TEXT_LENGTH).trim() },
      idempotencyKey: `${conversation}:${note.seq}`,
      operator: OPERATOR,
      correlationId: `corr-${note.conversation}-${note.seq}`,
      mode: 'live',
    },
    Date.now(),
  );
  if ('problems' in composed) throw new Error(JSON.stringify(composed.problems));
  return { topic, key: Buffer.from(composed.key), value: encode(composed.wire) };
}

export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

function shuffled(count: number, upTo: (most: number) => number): readonly number[] {
  const items = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = upTo(i + 1);
    [items[i], items[j]] = [items[j] as number, items[i] as number];
  }
  return items;
}

/** Mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
