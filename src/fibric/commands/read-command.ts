/**
 * From what was decoded to a checked command, or to everything that is wrong with it. Pure, and never throws for data.
 *
 * R1 A command is taken only when every field has a value of its kind: nothing is filled in, cut or corrected.
 * R2 What names a command, a tenant and a connection is attributable: it is refused with a receipt. What does not, is
 *    not: nobody could be told, and nobody is guessed.
 * R3 All problems are told at once, none with the value that caused it.
 * R4 The same record read again comes to the same: the time it is measured by is its own in the log, not the reader's.
 */
import type { z } from 'zod';
import { NAMESPACE } from '../avro-schema.ts';
import { type Attribution, type CommandFacts, DEFAULT_MODE, MODES, type Mode, type WriteCommand } from './command.ts';
import { FieldReader, type Problem, type ProblemCode } from './field-reader.ts';
import type { CommandArgs } from './index.ts';
import { type Capability, commandType, commandTypeOf } from './index.ts';

export type CommandReading =
  | { readonly kind: 'command'; readonly command: WriteCommand }
  | { readonly kind: 'invalid'; readonly facts: CommandFacts; readonly problems: readonly Problem[] }
  | { readonly kind: 'unattributable'; readonly problems: readonly Problem[] };

export interface RecordFacts {
  /** When the record was appended: a deadline must have lain ahead of that. Ms since the epoch. */
  readonly appendedAtMs: number;
  /** Key of the record as text; null without one. */
  readonly key: string | null;
}

/** Becomes part of a topic's name: the same form as everywhere in the house. */
const TENANT_ID = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,99}$/;
const ID = /^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}$/;
/** A connection's name takes 100 characters. */
const CONNECTION = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const KEY = /^[^\u0000-\u001f\u007f]{1,255}$/;
const OPERATOR = /^[A-Za-z0-9][A-Za-z0-9._:@/ -]{0,99}$/;

/** A decoded value; `undefined` and worse included. */
export function readCommand(value: unknown, record: RecordFacts): CommandReading {
  const reader = new FieldReader(value);
  const commandId = reader.text('command_id', ID);
  const tenantId = reader.text('tenant_id', TENANT_ID);
  const connection = reader.text('connection', CONNECTION);
  const attributes = {
    agentId: reader.optional('agent_id', ID),
    planId: reader.optional('plan_id', ID),
    actionId: reader.optional('action_id', ID),
    eventId: reader.optional('event_id', ID),
    operator: reader.text('operator', OPERATOR),
    correlationId: reader.text('correlation_id', ID),
    idempotencyKey: reader.text('idempotency_key', KEY),
    requestedAtMs: reader.instant('requested_at'),
    mode: reader.oneOf<Mode>('mode', MODES, DEFAULT_MODE),
  };
  const amount = reader.number('value');
  const deadlineMs = reader.optionalInstant('deadline');
  if (deadlineMs !== null && deadlineMs <= record.appendedAtMs) {
    reader.complain('deadline', 'deadline_passed', 'had passed when the command arrived');
  }
  const entityKey = reader.text('entity_key', KEY);
  const capability = readCapability(reader);
  const args = capability === null ? null : readArgs(reader, capability);
  const laneKey = args === null ? null : checkKeys(reader, { ...args, entityKey, recordKey: record.key });

  if (commandId === null || tenantId === null || connection === null) {
    return { kind: 'unattributable', problems: reader.problems };
  }
  const facts = { commandId, tenantId, connection, ...attributes, capability, entityKey };
  if (reader.problems.length > 0 || args === null) return { kind: 'invalid', facts, problems: reader.problems };
  // No problems: everything that must be there, is.
  const command = { ...facts, args: args.args, value: amount, deadlineMs, laneKey } as WriteCommand;
  return { kind: 'command', command };
}

/** What the headers of a record say, where its value says nothing. */
export interface ClaimedOrigin {
  readonly commandId: string | null;
  readonly tenantId: string | null;
  readonly connection: string | null;
}

/** A record whose value could not be decoded. `reason` is told: it must not quote the value. */
export function readUndecodable(claimed: ClaimedOrigin, reason: string): CommandReading {
  const problems: readonly Problem[] = [{ field: 'value', code: 'undecodable', message: `value ${reason}` }];
  const { commandId, tenantId, connection } = claimed;
  const isWhole = matches(ID, commandId) && matches(TENANT_ID, tenantId) && matches(CONNECTION, connection);
  if (!isWhole) return { kind: 'unattributable', problems };
  const attribution = { commandId, tenantId, connection } as Attribution;
  return { kind: 'invalid', facts: { ...NOTHING_KNOWN, ...attribution }, problems };
}

const NOTHING_KNOWN = {
  capability: null,
  entityKey: null,
  idempotencyKey: null,
  operator: null,
  agentId: null,
  planId: null,
  actionId: null,
  eventId: null,
  correlationId: null,
  requestedAtMs: null,
  mode: DEFAULT_MODE,
} as const;

function matches(pattern: RegExp, text: string | null): boolean {
  return text !== null && pattern.test(text);
}

function readCapability(reader: FieldReader): Capability | null {
  const name = reader.text('capability', ID);
  if (name === null) return null;
  const type = commandType(name);
  if (type === undefined) reader.complain('capability', 'unknown', 'is none that can be done here');
  return type?.capability ?? null;
}

interface CheckedArgs {
  readonly capability: Capability;
  readonly args: CommandArgs;
}

function readArgs(reader: FieldReader, capability: Capability): CheckedArgs | null {
  const type = commandType(capability) as NonNullable<ReturnType<typeof commandType>>;
  const branches = reader.value('args');
  const [branch, ...more] = Object.keys(Object(branches));
  if (branch !== `${NAMESPACE}.${type.record}` || more.length > 0) {
    reader.complain('args', 'mismatch', `are not those of ${capability}`);
    return null;
  }
  const sent = (branches as Record<string, unknown>)[branch];
  // A copy: records that avsc has decoded bring methods along, which would count as fields.
  const plain = typeof sent === 'object' && sent !== null && !Array.isArray(sent) ? { ...sent } : sent;
  const parsed = (type.schema as z.ZodType<CommandArgs>).safeParse(plain);
  if (parsed.success) return { capability, args: parsed.data };
  for (const issue of parsed.error.issues) {
    const at = ['args', ...issue.path].join('.');
    if (issue.code === 'unrecognized_keys') reader.complain(at, 'unknown', 'have a field that is not known');
    else reader.complain(at, codeOf(issue), issue.code === 'invalid_type' ? 'has no value of its kind' : issue.message);
  }
  return null;
}

function codeOf(issue: z.core.$ZodIssue): ProblemCode {
  if (issue.code === 'too_big') return 'too_long';
  if (issue.code === 'too_small' || issue.code === 'invalid_type') return 'missing';
  return 'malformed';
}

/** A wrong entity would be deduplicated with strangers, and a wrong key would run in a lane that is not its own. */
function checkKeys(
  reader: FieldReader,
  { capability, args, entityKey, recordKey }: CheckedArgs & { entityKey: string | null; recordKey: string | null },
): string {
  const type = commandTypeOf(capability);
  if (entityKey !== null && entityKey !== type.entityKey(args)) {
    reader.complain('entity_key', 'mismatch', 'is not that of the arguments (conversation:<id>, or call:<id>)');
  }
  const laneKey = type.laneKey(args);
  if (recordKey !== laneKey) {
    reader.complain(
      'key',
      'mismatch',
      'of the record is not the lane of the arguments (conversation id, or call:<id>)',
    );
  }
  return laneKey;
}
