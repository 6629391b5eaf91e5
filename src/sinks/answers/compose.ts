/** What the control API appends when a person has decided. Pure. */
import { CodedError } from '../../base/errors.ts';
import type { WireCommand } from '../../fibric/commands/command.ts';
import { instantText, parseInstant } from '../../fibric/commands/instant.ts';
import { HEADER } from '../../kafka/headers.ts';
import type { Append } from '../../kafka/port.ts';
import { testHeaders } from '../runner/connector-test.ts';
import { type AnswerKind, composeAnswerRecord, HELD_ANSWERS, PARKED_ANSWERS } from './answer.ts';
import type { AnswerMac } from './mac.ts';
import type { Waiting } from './waiting-table.ts';

export interface Decision {
  readonly answer: AnswerKind;
  readonly by: string;
  /** At most MAX_ANSWER_NOTE_LENGTH characters. */
  readonly note: string | null;
  readonly nowMs: number;
  /** With `applied`, where the person knows it. */
  readonly vendorId?: string | null;
}

/** What of `approve`, `reject`, `applied` and `not_applied` can be said to it. */
export function answersTo({ kind }: Pick<Waiting, 'kind'>): readonly AnswerKind[] {
  return kind === 'held' ? HELD_ANSWERS : PARKED_ANSWERS;
}

/** For the commands topic. Throws a RangeError for an answer that is none to this, or that is too long. */
export function composeAnswer(
  waiting: Waiting,
  { answer, by, note, nowMs, vendorId = null }: Decision,
  { topic, mac }: { readonly topic: string; readonly mac: AnswerMac },
): Append {
  if (!answersTo(waiting).includes(answer)) throw new RangeError(`${answer} is no answer to what is ${waiting.kind}`);
  const { identity, receiptId, subject, partition } = waiting;
  const said = { tenantId: subject.tenantId, identity, receiptId, answer, by, note, vendorId, atMs: nowMs };
  return composeAnswerRecord(said, { topic, partition, key: recordOf(waiting).key }, mac);
}

export interface Resend {
  /** Of the new command. */
  readonly commandId: string;
  readonly nowMs: number;
}

export interface ResendOptions {
  readonly topic: string;
  readonly encode: (command: WireCommand) => Buffer;
  readonly mac: AnswerMac;
}

/**
 * The command once more, to be appended behind `not_applied` in the same call: a new command under the same key, which goes
 * through everything again. A deadline that has passed is left out. Throws `message_undecodable` where there is nothing to send.
 */
export function composeResend(
  waiting: Waiting,
  { commandId, nowMs }: Resend,
  { topic, encode, mac }: ResendOptions,
): Append {
  const { command, partition } = waiting;
  if (command === null) throw new CodedError('message_undecodable', 'The command that waits cannot be read');
  const deadlineMs = command.deadline === null ? null : parseInstant(command.deadline);
  const isAhead = deadlineMs !== null && deadlineMs > nowMs;
  const again: WireCommand = {
    ...command,
    command_id: commandId,
    requested_at: instantText(nowMs),
    deadline: isAhead ? command.deadline : null,
  };
  const value = encode(again);
  const headers = {
    [HEADER.tenant]: command.tenant_id,
    [HEADER.connection]: command.connection,
    [HEADER.commandId]: commandId,
    ...testHeaders(command.operator, value, mac),
  };
  return { topic, partition, key: Buffer.from(recordOf(waiting).key), value, headers };
}

/** As JSON has them: on the wire they are under the name of their record. */
export function argsOf({ args }: WireCommand): Readonly<Record<string, unknown>> {
  const [sent] = Object.values(args);
  return typeof sent === 'object' && sent !== null ? { ...sent } : {};
}

function recordOf({ record }: Waiting): NonNullable<Waiting['record']> {
  if (record === null) throw new CodedError('message_undecodable', 'The command that waits was not kept with it');
  return record;
}
