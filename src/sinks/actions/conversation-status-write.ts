/** The status of a conversation: an absolute value, bound to the revision it was decided on. */
import type { CommandArgs } from '../../fibric/commands/index.ts';
import { instantText, parseInstant } from '../../fibric/commands/instant.ts';
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

export const conversationStatusWrite: Action<'conversation.status.write'> = {
  capability: 'conversation.status.write',
  vendorType: 'conversation',
  idempotentByNature: true,
  permissions: { plan: [CONVERSATION_READ, CONVERSATION_UPDATE], readBack: [CONVERSATION_READ] },
  hasBasis: true,
  answers: 'conversation',
  plan: (args, { nowMs, seen }) => {
    const state = conversationIn(seen);
    if (state === undefined) return { do: 'read', read: readConversation(args.conversation_id) };
    if (state.mergedTarget !== null) return refuseMerged(state);
    if (isAsAsked(args, state)) return { do: 'nothing', vendorId: state.id };
    const untilMs = snoozeMs(args);
    if (untilMs !== null && untilMs <= nowMs) {
      return { do: 'refuse', code: 'command_invalid', message: 'args.snooze_until has passed meanwhile' };
    }
    const snooze = untilMs === null ? {} : { snooze: { time: instantText(untilMs), status: 'scheduled' } };
    const rev = state.rev === null ? {} : { rev: state.rev };
    return {
      do: 'write',
      request: {
        operation: 'conversation.status.update',
        method: 'PATCH',
        path: ['conversations', args.conversation_id],
        body: { status: args.status, ...snooze, ...rev },
        permission: CONVERSATION_UPDATE,
      },
      basis: basisOf(state, ['status']),
    };
  },
  readBack: (args, context) => {
    const state = conversationIn(context.seen);
    if (state === undefined) return { do: 'read', read: readConversation(args.conversation_id) };
    if (isAsAsked(args, state)) return tell({ kind: 'found', vendorId: state.id });
    return tell(notAsWritten(state, ['status'], context));
  },
};

type Args = CommandArgs<'conversation.status.write'>;

function isAsAsked(args: Args, { status, snoozedUntilMs }: ConversationState): boolean {
  return status === args.status && (args.status !== 'snoozed' || snoozedUntilMs === snoozeMs(args));
}

function snoozeMs({ snooze_until }: Args): number | null {
  return snooze_until === null ? null : parseInstant(snooze_until);
}
