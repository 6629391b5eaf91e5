/** The command of an entry of the ledger, as it was admitted when it came: from the record that was kept with it. Pure. */
import type { CommandFacts } from '../../fibric/commands/command.ts';
import type { LogRecord } from '../../kafka/port.ts';
import type { CommandRecord, LedgerEntry, Subject } from '../ledger/entry.ts';
import { type Admission, admit, type CommandWork, type Decoded, type Refusal } from '../runner/admit.ts';
import type { SinkConnections } from '../runner/ports.ts';

/** Where it stood. */
export interface RecallPlace {
  readonly topic: string;
  readonly partition: number;
}

export function recordOf({ key, value, offset, appendedAtMs }: CommandRecord, place: RecallPlace): LogRecord {
  return { ...place, offset, key: Buffer.from(key), value, headers: {}, timestampMs: appendedAtMs };
}

export type Recalled =
  | { readonly kind: 'work'; readonly work: CommandWork }
  /** It could not be carried out any more, whoever says yes. */
  | {
      readonly kind: 'refused';
      readonly refusal: Pick<Refusal, 'facts' | 'connection' | 'code' | 'message' | 'problems'>;
    }
  | { readonly kind: 'unreadable' };

export function recall(
  record: LogRecord,
  decoded: Decoded,
  { fingerprint }: Pick<LedgerEntry, 'fingerprint'>,
  connections: SinkConnections,
): Recalled {
  if (!decoded.ok) return { kind: 'unreadable' };
  // What the ledger holds is of a tenant that was known when it came, whatever connections are left of it.
  const admission: Admission = admit(record, decoded, {
    knows: () => true,
    canBeTold: () => true,
    find: (tenantId, idOrName) => connections.find(tenantId, idOrName),
  });
  if (admission.kind === 'dead') return { kind: 'unreadable' };
  if (admission.kind === 'refused') return admission;
  const { work } = admission;
  if (work.live.fingerprint === fingerprint) return admission;
  const message = 'the connection it was meant for is gone; another has its name';
  const refusal = { facts: work.command, connection: null, code: 'connection_unknown', message, problems: [] } as const;
  return { kind: 'refused', refusal };
}

/** What the ledger knows without the record. */
export function factsOf(subject: Subject): CommandFacts {
  const { tenantId, connectionId, capability, entityKey, idempotencyKey, commandId } = subject;
  return {
    commandId,
    tenantId,
    connection: connectionId,
    capability,
    entityKey,
    idempotencyKey,
    operator: null,
    agentId: null,
    planId: null,
    actionId: null,
    eventId: null,
    correlationId: null,
    requestedAtMs: null,
    // Nothing else is held.
    mode: 'live',
  };
}
