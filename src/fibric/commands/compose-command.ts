/** What a producer in this house knows of a command, made into a record that its readers take. Pure. */
import { NAMESPACE } from '../avro-schema.ts';
import type { Mode, WireCommand, WriteCommand } from './command.ts';
import type { Problem } from './field-reader.ts';
import { commandType, commandTypeOf } from './index.ts';
import { instantText } from './instant.ts';
import { readCommand } from './read-command.ts';

export interface CommandInput {
  readonly commandId: string;
  readonly tenantId: string;
  readonly connection: string;
  readonly capability: string;
  /** As JSON has it; what may be null may be left out. */
  readonly args: unknown;
  readonly idempotencyKey: string;
  readonly operator: string;
  readonly correlationId: string;
  readonly mode: Mode;
  readonly agentId?: string | null;
  readonly planId?: string | null;
  readonly actionId?: string | null;
  readonly eventId?: string | null;
  readonly value?: number | null;
  readonly deadlineMs?: number | null;
}

export type Composed =
  | { readonly wire: WireCommand; readonly key: string; readonly command: WriteCommand }
  | { readonly problems: readonly Problem[] };

/** Checked as it will be checked when it arrives, so that whoever asks hears at once what is wrong. */
export function composeCommand(input: CommandInput, nowMs: number): Composed {
  const type = commandType(input.capability);
  if (type === undefined) {
    return {
      problems: [{ field: 'capability', code: 'unknown', message: 'capability is none that can be done here' }],
    };
  }
  const parsed = type.schema.safeParse(input.args);
  const { entityKey, laneKey } = commandTypeOf(type.capability);
  const key = parsed.success ? laneKey(parsed.data) : '';
  const { agentId = null, planId = null, actionId = null, eventId = null, value = null, deadlineMs = null } = input;
  const wire: WireCommand = {
    command_id: input.commandId,
    tenant_id: input.tenantId,
    connection: input.connection,
    capability: type.capability,
    args: { [`${NAMESPACE}.${type.record}`]: parsed.success ? parsed.data : input.args },
    // Of arguments that are wrong nobody knows what they touch; a stand-in keeps the complaints to what is wrong.
    entity_key: parsed.success ? entityKey(parsed.data) : 'unknown',
    idempotency_key: input.idempotencyKey,
    operator: input.operator,
    agent_id: agentId,
    plan_id: planId,
    action_id: actionId,
    event_id: eventId,
    correlation_id: input.correlationId,
    value,
    requested_at: instantText(nowMs),
    deadline: deadlineMs === null ? null : instantText(deadlineMs),
    mode: input.mode,
  };
  const reading = readCommand(wire, { appendedAtMs: nowMs, key });
  return reading.kind === 'command' ? { wire, key, command: reading.command } : { problems: reading.problems };
}
