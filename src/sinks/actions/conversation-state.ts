/** What the actions look at in a conversation, read loosely: Kustomer says `{}` and `""` for nothing. */
import { parseInstant } from '../../fibric/commands/instant.ts';
import type { Resource } from '../../kustomer/client/documents.ts';
import { objectOrEmpty, textOrNull } from '../../kustomer/json.ts';
import type { Basis } from '../ledger/entry.ts';
import {
  CLOCK_SKEW_MS,
  type Finding,
  type PlanStep,
  type ReadBackContext,
  type Sights,
  type VendorRead,
} from './action.ts';

export const CONVERSATION_READ = 'org.permission.conversation.read';
export const CONVERSATION_UPDATE = 'org.permission.conversation.update';

export interface ConversationState {
  readonly id: string;
  readonly rev: number | null;
  readonly status: string | null;
  readonly snoozedUntilMs: number | null;
  readonly users: readonly string[];
  readonly teams: readonly string[];
  readonly mergedTarget: string | null;
  readonly updatedAtMs: number | null;
  /** When the attribute was last changed; null = never, undefined = Kustomer does not tell. */
  changedAtMs(attribute: Attribute): number | null | undefined;
}

type Attribute = 'status' | 'assignedUsers' | 'assignedTeams';

/** For a write of these attributes. */
export function basisOf(state: ConversationState, attributes: readonly Attribute[]): Basis {
  return { rev: state.rev, changedAtMs: lastChangeOf(state, attributes) };
}

/** 0 = never, null = Kustomer does not tell of each. */
function lastChangeOf(state: ConversationState, attributes: readonly Attribute[]): number | null {
  const times = attributes.map((attribute) => state.changedAtMs(attribute));
  return times.includes(undefined) ? null : Math.max(...times.map((atMs) => atMs ?? 0));
}

export function readConversation(id: string, name = 'conversation'): VendorRead {
  const request = {
    operation: 'conversation.get',
    method: 'GET',
    path: ['conversations', id],
    permission: CONVERSATION_READ,
  } as const;
  return { name, request, shape: 'one', mayBeAbsent: false };
}

/** Undefined when it was not read yet. */
export function conversationIn(seen: Sights, name = 'conversation'): ConversationState | undefined {
  const sight = seen.get(name);
  return sight?.kind === 'one' ? stateOf(sight.resource) : undefined;
}

function stateOf(resource: Resource): ConversationState {
  const attributes = objectOrEmpty(resource['attributes']);
  const snooze = objectOrEmpty(attributes['snooze']);
  const { rev } = attributes;
  const history = attributes['modificationHistory'];
  return {
    id: resource.id,
    rev: Number.isSafeInteger(rev) ? (rev as number) : null,
    status: textOrNull(attributes['status']),
    snoozedUntilMs: snooze['status'] === 'scheduled' ? msOf(snooze['time']) : null,
    users: textsOf(attributes['assignedUsers']),
    teams: textsOf(attributes['assignedTeams']),
    mergedTarget: textOrNull(attributes['mergedTarget']),
    updatedAtMs: msOf(attributes['updatedAt']),
    changedAtMs: (attribute) => {
      if (typeof history !== 'object' || history === null) return undefined;
      const at = objectOrEmpty(history)[`${attribute}At`];
      return at === undefined || at === null ? null : (msOf(at) ?? undefined);
    },
  };
}

/** Its notes and messages went elsewhere, and whoever wrote here meant them. */
export function refuseMerged({ id, mergedTarget }: ConversationState): PlanStep {
  const message = `conversation ${id} was merged into ${mergedTarget}`;
  return { do: 'refuse', code: 'conversation_merged', message };
}

/**
 * Whether a write that is bound to a revision has happened, when what it wanted does not stand there (any more).
 *
 * A conversation at the revision the write was bound to, or at the next one with another value, has never seen it: the next
 * revision would be its own. Further on the time of the last change of what it writes tells: it is still that which the write
 * was decided on, by Kustomer's own clock, or one that is long past by ours.
 */
export function notAsWritten(
  state: ConversationState,
  attributes: readonly Attribute[],
  { basis, sinceMs }: Pick<ReadBackContext, 'basis' | 'sinceMs'>,
): Finding {
  const { rev, changedAtMs } = basis ?? { rev: null, changedAtMs: null };
  if (rev !== null && state.rev !== null) {
    if (state.rev < rev) return { kind: 'unclear', why: 'an older copy was read' };
    if (state.rev <= rev + 1) return { kind: 'absent' };
  }
  if (changedAtMs !== null && lastChangeOf(state, attributes) === changedAtMs) return { kind: 'absent' };
  const beforeMs = sinceMs - CLOCK_SKEW_MS;
  const untouched = (atMs: number | null | undefined): boolean =>
    atMs === null || (atMs !== undefined && atMs < beforeMs);
  if (state.updatedAtMs !== null && state.updatedAtMs < beforeMs) return { kind: 'absent' };
  if (attributes.every((attribute) => untouched(state.changedAtMs(attribute)))) return { kind: 'absent' };
  return { kind: 'unclear', why: `${attributes.join(' and ')} changed meanwhile, to something else` };
}

function msOf(value: unknown): number | null {
  return typeof value === 'string' ? parseInstant(value) : null;
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
