/** A write command: what producers append to the commands topic, and what we know of it once it is checked. */
import { double, type Field, field, nullable, record, text } from '../events/define.ts';
import type { Capability, CommandArgs } from './index.ts';
import { COMMAND_TYPES } from './index.ts';

export const MODES = ['dry_run', 'live'] as const;
export type Mode = (typeof MODES)[number];

/** Nothing is written unless somebody says so. */
export const DEFAULT_MODE: Mode = 'dry_run';

const argsRecords = COMMAND_TYPES.map((type) =>
  record(type.record, `${type.capability}: ${type.doc}`, type.fields as readonly Field[]),
);

/** In Avro order. Only ever append, with a nullable type. */
export const COMMAND_FIELDS: readonly Field[] = [
  field('command_id', text, "The producer's id of this command."),
  field('tenant_id', text, 'Whose command it is.'),
  field('connection', text, 'Id or name of the connection it goes through; one of the tenant.'),
  field('capability', text, 'What is to be done; decides the branch of args.'),
  field('args', { avro: argsRecords.map(({ avro }) => avro) }, 'One record per capability.'),
  field('entity_key', text, 'What it touches: conversation:<id>, or call:<id>. It must be what args say.'),
  field('idempotency_key', text, 'The one logical side effect, 1 to 255 characters: it takes effect at most once.'),
  field('operator', text, 'Name of the operator that asks; its grants and policies decide.'),
  field('agent_id', nullable(text), "Id of the operator's agent."),
  field('plan_id', nullable(text), 'Plan the action belongs to.'),
  field('action_id', nullable(text), 'The action in that plan.'),
  field('event_id', nullable(text), 'Envelope that caused it; null where none did.'),
  field('correlation_id', text, 'Threads envelope, plan, action and receipt.'),
  field('value', nullable(double), "What a policy's max_value is compared with."),
  field('requested_at', text, 'When it was asked for, RFC 3339.'),
  field('deadline', nullable(text), 'After this it is not begun any more, RFC 3339; null = no deadline.'),
  field('mode', text, 'dry_run or live.'),
];

/** As it is on the wire, decoded. `args` has one key, the full name of the record: how avsc names a branch. */
export interface WireCommand {
  readonly command_id: string;
  readonly tenant_id: string;
  readonly connection: string;
  readonly capability: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly entity_key: string;
  readonly idempotency_key: string;
  readonly operator: string;
  readonly agent_id: string | null;
  readonly plan_id: string | null;
  readonly action_id: string | null;
  readonly event_id: string | null;
  readonly correlation_id: string;
  readonly value: number | null;
  readonly requested_at: string;
  readonly deadline: string | null;
  readonly mode: string;
}

/** Who may be told what became of a command: without these three there is nobody. */
export interface Attribution {
  readonly commandId: string;
  readonly tenantId: string;
  /** Id or name. */
  readonly connection: string;
}

/** What a receipt says of a command, refused ones included: what is not well-formed in one is null. No arguments. */
export interface CommandFacts extends Attribution {
  readonly capability: string | null;
  readonly entityKey: string | null;
  readonly idempotencyKey: string | null;
  readonly operator: string | null;
  readonly agentId: string | null;
  readonly planId: string | null;
  readonly actionId: string | null;
  readonly eventId: string | null;
  readonly correlationId: string | null;
  readonly requestedAtMs: number | null;
  readonly mode: Mode;
}

interface Checked<C extends Capability> extends CommandFacts {
  readonly capability: C;
  readonly args: CommandArgs<C>;
  readonly entityKey: string;
  readonly idempotencyKey: string;
  readonly operator: string;
  readonly correlationId: string;
  readonly value: number | null;
  readonly requestedAtMs: number;
  readonly deadlineMs: number | null;
  /** Key of its record, and of its lane within the tenant. */
  readonly laneKey: string;
}

/** A command that has passed every check of its form and values; told apart by its capability. */
export type WriteCommand = { readonly [C in Capability]: Checked<C> }[Capability];

/** True once it may not be begun any more. What has been begun is finished all the same. */
export function hasExpired({ deadlineMs }: Pick<WriteCommand, 'deadlineMs'>, nowMs: number): boolean {
  return deadlineMs !== null && nowMs >= deadlineMs;
}
