/**
 * Who a conversation is assigned to. Kustomer replaces whole lists, so adding and removing is merging what was read, bound to
 * the revision it was read at: without that, an assignment somebody made meanwhile would be lost.
 */
import { MAX_ASSIGNEES } from '../../fibric/commands/assignment-write.ts';
import type { CommandArgs } from '../../fibric/commands/index.ts';
import { type Action, tell } from './action.ts';
import {
  basisOf,
  CONVERSATION_READ,
  CONVERSATION_UPDATE,
  type ConversationState,
  conversationIn,
  notAsWritten,
  readConversation,
  refuseMerged,
} from './conversation-state.ts';

export const conversationAssignmentWrite: Action<'conversation.assignment.write'> = {
  capability: 'conversation.assignment.write',
  vendorType: 'conversation',
  idempotentByNature: true,
  permissions: { plan: [CONVERSATION_READ, CONVERSATION_UPDATE], readBack: [CONVERSATION_READ] },
  hasBasis: true,
  answers: 'conversation',
  plan: (args, { seen }) => {
    const state = conversationIn(seen);
    if (state === undefined) return { do: 'read', read: readConversation(args.conversation_id) };
    if (state.mergedTarget !== null) return refuseMerged(state);
    const changes = listsOf(args, state).filter(({ before, after }) => !sameMembers(before, after));
    if (changes.length === 0) return { do: 'nothing', vendorId: state.id };
    const tooMany = changes.find(({ after }) => after.length > MAX_ASSIGNEES);
    if (tooMany !== undefined) {
      const message = `${tooMany.attribute} would have ${tooMany.after.length} entries, Kustomer takes ${MAX_ASSIGNEES}`;
      return { do: 'refuse', code: 'assignment_full', message };
    }
    const lists = Object.fromEntries(changes.map(({ attribute, after }) => [attribute, after]));
    return {
      do: 'write',
      request: {
        operation: 'conversation.assignment.update',
        method: 'PATCH',
        path: ['conversations', args.conversation_id],
        body: { ...lists, ...(state.rev === null ? {} : { rev: state.rev }) },
        permission: CONVERSATION_UPDATE,
      },
      basis: basisOf(state, attributesOf(listsOf(args, state))),
    };
  },
  /** It stands as asked for when doing it again would change nothing. */
  readBack: (args, context) => {
    const state = conversationIn(context.seen);
    if (state === undefined) return { do: 'read', read: readConversation(args.conversation_id) };
    const lists = listsOf(args, state);
    const missing = lists.filter(({ before, after }) => !sameMembers(before, after));
    if (missing.length === 0) return tell({ kind: 'found', vendorId: state.id });
    return tell(notAsWritten(state, attributesOf(lists), context));
  },
};

type Args = CommandArgs<'conversation.assignment.write'>;

interface ListChange {
  readonly attribute: 'assignedUsers' | 'assignedTeams';
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** One for each list the command speaks of. */
function listsOf({ users, teams, mode }: Args, state: ConversationState): readonly ListChange[] {
  const change = (attribute: ListChange['attribute'], before: readonly string[], named: readonly string[] | null) =>
    named === null ? [] : [{ attribute, before, after: mergeMembers(before, named, mode) }];
  return [...change('assignedUsers', state.users, users), ...change('assignedTeams', state.teams, teams)];
}

function attributesOf(lists: readonly ListChange[]): readonly ListChange['attribute'][] {
  return lists.map(({ attribute }) => attribute);
}

/** Those who are there keep their places. */
export function mergeMembers(
  before: readonly string[],
  named: readonly string[],
  mode: Args['mode'],
): readonly string[] {
  if (mode === 'set') return [...named];
  if (mode === 'remove') return before.filter((id) => !named.includes(id));
  return [...before, ...named.filter((id) => !before.includes(id))];
}

function sameMembers(a: readonly string[], b: readonly string[]): boolean {
  return new Set(a).size === new Set(b).size && a.every((id) => b.includes(id));
}
