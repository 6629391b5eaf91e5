/**
 * From a record of the commands topic to what becomes of it: work for its lane, a refusal with a receipt, or a dead letter
 * when nobody could be told. Pure but for asking who is known here, and what the ledger knows.
 */
import type { ErrorCode } from '../../base/errors.ts';
import type { CommandFacts, WriteCommand } from '../../fibric/commands/command.ts';
import type { Problem } from '../../fibric/commands/field-reader.ts';
import { type CommandReading, readCommand, readUndecodable } from '../../fibric/commands/read-command.ts';
import type { Connection } from '../../fibric/connection.ts';
import { HEADER } from '../../kafka/headers.ts';
import type { LogRecord } from '../../kafka/port.ts';
import { ACTIONS } from '../actions/index.ts';
import { MAX_RECORD_BYTES } from '../ledger/codec.ts';
import type { CommandRecord } from '../ledger/entry.ts';
import { externalIdOf, fingerprintOf, identityOf, receiptIdOf } from '../ledger/identity.ts';
import type { LiveCommand } from '../lifecycle/events.ts';
import { callOf, disconnected, isDoubted, type LookUp, removedConnection } from './disconnected.ts';
import type { SinkConnections } from './ports.ts';

/** Where a command stands in the log. */
export interface CommandPlace {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly appendedAtMs: number;
}

export interface CommandWork {
  readonly place: CommandPlace;
  readonly command: WriteCommand;
  readonly connection: Connection;
  readonly live: LiveCommand;
  readonly externalId: string;
  /** Across tenants. */
  readonly lane: string;
}

export interface Refusal {
  readonly place: CommandPlace;
  readonly facts: CommandFacts;
  readonly connection: Connection | null;
  readonly receiptId: string;
  readonly code: ErrorCode;
  readonly message: string;
  readonly problems: readonly Problem[];
}

export type Admission =
  | { readonly kind: 'work'; readonly work: CommandWork }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** `stranger`: nobody knows its tenant here, or not yet. */
  | { readonly kind: 'dead'; readonly code: ErrorCode; readonly message: string; readonly stranger?: true };

export type Decoded = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly reason: string };

/** `lookUp` absent = it is not about to be taken up: what the ledger knows of it is looked at elsewhere. */
export function admit(
  record: LogRecord,
  decoded: Decoded,
  connections: Pick<SinkConnections, 'knows' | 'canBeTold' | 'find'>,
  lookUp: LookUp = () => null,
): Admission {
  const reading = readingOf(record, decoded);
  if (reading.kind === 'unattributable') {
    const message = reading.problems.map((problem) => problem.message).join('; ');
    return { kind: 'dead', code: 'record_unattributed', message };
  }
  const facts = reading.kind === 'command' ? reading.command : reading.facts;
  const { tenantId, commandId } = facts;
  const { topic, partition, offset, timestampMs } = record;
  const place = { topic, partition, offset, appendedAtMs: timestampMs };
  const receiptId = receiptIdOf({ topic, partition, offset, commandId });
  const connection = connections.find(tenantId, facts.connection);
  const found = () => (reading.kind === 'command' ? lookUp(identityOf(reading.command)) : null);
  // Of a tenant that has lost its last connection something may still be in flight.
  if (!connections.knows(tenantId) && !(connections.canBeTold(tenantId) && callOf(found(), receiptId) !== null)) {
    const message = 'the command names a tenant that is not known here';
    return { kind: 'dead', code: 'record_unattributed', message, stranger: true };
  }
  const refuse = (code: ErrorCode, message: string, problems: readonly Problem[] = []): Admission => {
    const refusal = { place, facts, connection: connection ?? null, receiptId, code, message, problems };
    return { kind: 'refused', refusal };
  };
  if (reading.kind === 'invalid') return refuse('command_invalid', 'the command does not validate', reading.problems);
  const { command } = reading;
  const kept = { key: command.laneKey, value: record.value ?? Buffer.alloc(0), offset, appendedAtMs: timestampMs };
  if (kept.value.length > MAX_RECORD_BYTES) {
    return refuse('command_invalid', 'the command does not validate', [TOO_LARGE]);
  }
  const work = workOf(command, connection ?? removedConnection(command), { place, record: kept, receiptId });
  const entry = lookUp(work.live.identity);
  const call = callOf(entry, receiptId);
  if (connection === undefined && call === null) {
    return isDoubted(entry)
      ? refuse('outcome_unknown', 'it is not known whether the command it repeats was carried out')
      : refuse('connection_unknown', 'the tenant has no such connection');
  }
  const isThere = call === null || call.fingerprint === work.live.fingerprint;
  return { kind: 'work', work: isThere ? work : disconnected(work, call) };
}

/**
 * Each partition has lanes and a ledger of its own: a command that lies in another than its key belongs to, by a producer that
 * places keys otherwise, would run beside its lane, and its copies would be done once in each.
 */
export function refuseMisplaced(
  admission: Admission,
  { partition }: Pick<LogRecord, 'partition'>,
  partitionOf: (key: string) => number,
): Admission {
  if (admission.kind !== 'work' || partitionOf(admission.work.command.laneKey) === partition) return admission;
  return refuseWork(admission.work, MISPLACED);
}

/** It would have been carried out, but for that. */
export function refuseWork({ place, command, connection, live }: CommandWork, problem: Problem): Admission {
  const why = { code: 'command_invalid', message: 'the command does not validate', problems: [problem] } as const;
  return { kind: 'refused', refusal: { place, facts: command, connection, receiptId: live.receiptId, ...why } };
}

const MISPLACED: Problem = {
  field: 'key',
  code: 'mismatch',
  message: 'key belongs in another partition: producers must place keys as Kafka does by default (murmur2)',
};

/** What is known of it fits; then so does everything but fields that a later schema knows and we do not. */
const TOO_LARGE: Problem = {
  field: 'value',
  code: 'too_long',
  message: `value is larger than ${MAX_RECORD_BYTES / 1024} KiB`,
};

interface Standing {
  readonly place: CommandPlace;
  readonly record: CommandRecord;
  readonly receiptId: string;
}

function workOf(command: WriteCommand, connection: Connection, { place, record, receiptId }: Standing): CommandWork {
  const { tenantId, commandId, capability, args, entityKey, idempotencyKey, mode, deadlineMs, laneKey } = command;
  const { connectionId } = connection;
  const identity = identityOf({ tenantId, entityKey, idempotencyKey });
  return {
    place,
    command,
    connection,
    live: {
      identity,
      fingerprint: fingerprintOf({ connectionId, capability, args }),
      receiptId,
      subject: { tenantId, connectionId, capability, entityKey, idempotencyKey, commandId },
      record,
      mode,
      readsFirst: ACTIONS[capability].hasBasis,
      deadlineMs,
      approvedBy: null,
    },
    externalId: externalIdOf(identity),
    lane: `${tenantId}/${laneKey}`,
  };
}

function readingOf(record: LogRecord, decoded: Decoded): CommandReading {
  if (decoded.ok) {
    return readCommand(decoded.value, { appendedAtMs: record.timestampMs, key: record.key?.toString() ?? null });
  }
  const claimed = (name: string): string | null => record.headers[name]?.toString() ?? null;
  const origin = {
    commandId: claimed(HEADER.commandId),
    tenantId: claimed(HEADER.tenant),
    connection: claimed(HEADER.connection),
  };
  return readUndecodable(origin, decoded.reason);
}
