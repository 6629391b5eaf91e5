/**
 * The catalogue of what can be done. A new kind of command is one file and one line here (append it: the order is the
 * order of the branches in the Avro union), and one file in `src/sinks/actions` that says how.
 */
import { assignmentWrite } from './assignment-write.ts';
import { callStatusWrite } from './call-status-write.ts';
import type { ArgsOf } from './define.ts';
import { noteWrite } from './note-write.ts';
import { statusWrite } from './status-write.ts';

export const COMMAND_TYPES = [noteWrite, statusWrite, assignmentWrite, callStatusWrite] as const;

export { assignmentWrite, callStatusWrite, noteWrite, statusWrite };

type Definition = (typeof COMMAND_TYPES)[number];

/** `conversation.note.write`, …: also the only values of a metric's capability label. */
export type Capability = Definition['capability'];

export type CommandArgs<C extends Capability = Capability> = {
  readonly [D in Definition as D['capability']]: ArgsOf<D>;
}[C];

const BY_CAPABILITY: ReadonlyMap<string, Definition> = new Map(COMMAND_TYPES.map((d) => [d.capability, d]));

/** Undefined for a name that is not in the catalogue. */
export function commandType(capability: string): Definition | undefined {
  return BY_CAPABILITY.get(capability);
}

/** The same types as anything that treats them all alike sees them. */
export interface AnyCommandType {
  readonly capability: Capability;
  readonly record: string;
  readonly entityKey: (args: CommandArgs) => string;
  readonly laneKey: (args: CommandArgs) => string;
}

/** The caller vouches that the arguments are the capability's own, as they are in every checked command. */
export function commandTypeOf(capability: Capability): AnyCommandType {
  return BY_CAPABILITY.get(capability) as unknown as AnyCommandType;
}
