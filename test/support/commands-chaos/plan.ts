/** The commands of a chaos run, each of which changes something: a pure function of the seed. */
import type { CommandInput } from '../../../src/fibric/commands/compose-command.ts';
import { instantText } from '../../../src/fibric/commands/instant.ts';
import { createRandom, type Random } from '../../../src/simulator/model/random.ts';

export interface Place {
  readonly conversationId: string;
  readonly customerId: string;
  readonly status: string;
  readonly users: readonly string[];
}

export interface Planned extends Pick<CommandInput, 'commandId' | 'capability' | 'args' | 'idempotencyKey'> {
  readonly conversationId: string;
  /** What its write looks like in the truth; null for a copy of the command before it, which writes nothing. */
  readonly token: string | null;
}

const COPIES = 0.05;
const CALL_STATES = ['ringing', 'in_progress', 'completed'] as const;
const SNOOZE_FROM_MS = Date.UTC(2035, 0, 1);

/** Of each conversation in the order in which they are to be carried out. */
export function planCommands(
  seed: string,
  {
    places,
    agents,
    each,
  }: { readonly places: readonly Place[]; readonly agents: readonly string[]; readonly each: number },
): readonly (readonly Planned[])[] {
  return places.map((place) => planOf(createRandom(`commands:${seed}:${place.conversationId}`), place, agents, each));
}

function planOf(random: Random, place: Place, agents: readonly string[], each: number): readonly Planned[] {
  const { conversationId } = place;
  const next = generator(random, place, agents);
  const planned: Planned[] = [];
  for (let at = 0; at < each; at += 1) {
    const before = planned.at(-1);
    const commandId = `cmd-${conversationId}-${at}`;
    if (before !== undefined && random.chance(COPIES)) planned.push({ ...before, commandId, token: null });
    else planned.push({ ...next(at), commandId, conversationId, idempotencyKey: `key-${at}` });
  }
  return planned;
}

/** Each is different from what stands there after the one before. */
function generator(random: Random, { conversationId, customerId, ...initial }: Place, agents: readonly string[]) {
  let { status, users } = initial;
  let call: { readonly id: string; readonly state: number } = { id: '', state: CALL_STATES.length };
  const at = { conversation_id: conversationId };

  const note = (number: number) => {
    const body = `Note ${number} of ${conversationId}.`;
    return { capability: 'conversation.note.write', args: { ...at, body }, token: noteToken(body) };
  };
  const statusOf = (number: number) => {
    const wanted = random.pick(['open', 'done', 'snoozed'].filter((other) => other === 'snoozed' || other !== status));
    status = wanted;
    const until = wanted === 'snoozed' ? instantText(SNOOZE_FROM_MS + number * 60_000) : null;
    const args = { ...at, status: wanted, snooze_until: until };
    return { capability: 'conversation.status.write', args, token: statusToken(wanted, until) };
  };
  const assignment = () => {
    const others = agents.filter((agent) => !users.includes(agent));
    users = [random.pick(others)];
    const args = { ...at, users, mode: 'set' };
    return { capability: 'conversation.assignment.write', args, token: usersToken(users) };
  };
  const callStatus = (number: number) => {
    call =
      call.state < CALL_STATES.length - 1
        ? { ...call, state: call.state + 1 }
        : { id: `CA-${conversationId}-${number}`, state: 0 };
    const state = CALL_STATES[call.state] as string;
    const args = { ...at, call_id: call.id, customer_id: customerId, state, direction: 'out' };
    return { capability: 'call.status.write', args, token: callToken(call.id, state) };
  };
  return (number: number) => {
    const kind = random.next();
    if (kind < 0.5) return note(number);
    if (kind < 0.7) return statusOf(number);
    return kind < 0.85 ? assignment() : callStatus(number);
  };
}

export const noteToken = (body: unknown): string => `note ${body}`;
export const statusToken = (status: unknown, until: unknown): string => `status ${status} ${until ?? '-'}`;
export const usersToken = (users: readonly unknown[]): string => `users ${users.toSorted().join()}`;
export const callToken = (callId: unknown, state: unknown): string => `call ${callId} ${state}`;
