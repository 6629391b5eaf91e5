/** The catalogue of what can be done at Kustomer: one file per action, one line here. */
import type { WriteCommand } from '../../fibric/commands/command.ts';
import type { Capability } from '../../fibric/commands/index.ts';
import type { Action, PlanContext, PlanStep, ReadBackContext, ReadBackStep } from './action.ts';
import { callStatusWrite } from './call-status-write.ts';
import { conversationAssignmentWrite } from './conversation-assignment-write.ts';
import { conversationNoteWrite } from './conversation-note-write.ts';
import { conversationStatusWrite } from './conversation-status-write.ts';

export const ACTIONS: { readonly [C in Capability]: Action<C> } = {
  'conversation.note.write': conversationNoteWrite,
  'conversation.status.write': conversationStatusWrite,
  'conversation.assignment.write': conversationAssignmentWrite,
  'call.status.write': callStatusWrite,
};

/** A checked command has the arguments of its capability: that is what makes it safe not to look which they are. */
function actionOf({ capability }: Pick<WriteCommand, 'capability'>): Action {
  return ACTIONS[capability] as unknown as Action;
}

/** What to ask Kustomer next for this command. */
export function planAction(command: Pick<WriteCommand, 'capability' | 'args'>, context: PlanContext): PlanStep {
  return actionOf(command).plan(command.args, context);
}

/** What to ask Kustomer next to know whether this command's write has happened, or what is known by now. */
export function readBackAction(
  command: Pick<WriteCommand, 'capability' | 'args'>,
  context: ReadBackContext,
): ReadBackStep {
  return actionOf(command).readBack(command.args, context);
}
