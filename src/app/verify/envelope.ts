/** What verify looks at in a decoded envelope. Checks its shape from the contract, not from the code that writes it. */
import { isDeepStrictEqual } from 'node:util';

/** One record of an envelope topic, decoded. */
export interface Observed {
  /** The tenant whose topic it stands on. */
  readonly topicTenant: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly timestampMs: number;
  /** When it became visible to the reader; null when that moment was not watched (reading a backlog). */
  readonly arrivalMs: number | null;
  /** What was accepted before the reader had caught up may have waited for it; absent = it was always there. */
  readonly watchedSinceMs?: number;
  readonly envelope: unknown;
  /** Avro record the payload was written as; null when unknown. */
  readonly payloadRecord: string | null;
}

const KEYS: readonly string[] = [
  'agent_id',
  'correlation_id',
  'event_id',
  'event_type',
  'payload',
  'reseller_id',
  'session_id',
  'source',
  'tenant_id',
  'workspace_id',
];

export interface EnvelopeFacts {
  readonly eventId: string | null;
  readonly eventType: string;
  readonly tenantId: unknown;
  readonly payload: Readonly<Record<string, unknown>>;
  /** Null when the payload does not say which change it is about. */
  readonly change: { readonly resourceType: string; readonly resourceId: string; readonly rev: number } | null;
  readonly connectionId: string | null;
  readonly late: boolean;
  /** What is wrong with its shape, whatever the change was. */
  readonly problems: readonly string[];
}

/** Total: any value gives facts, what is wrong is among them. */
export function envelopeFacts(observed: Observed): EnvelopeFacts {
  const problems: string[] = [];
  const envelope = asObject(observed.envelope);
  const payload = asObject(envelope['payload']);
  const keys = Object.keys(envelope).sort();
  if (!isDeepStrictEqual(keys, KEYS)) problems.push(`its keys are ${keys.join(', ') || 'none'}`);
  if (envelope['source'] !== 'kustomer') problems.push(`source is ${show(envelope['source'])}`);
  const eventId = nonEmpty(envelope['event_id']);
  if (eventId === null) problems.push('event_id is empty');
  if (nonEmpty(envelope['correlation_id']) === null) problems.push('correlation_id is empty');
  const entity = entityKey(payload['entity']);
  if (entity === null || entity !== observed.key)
    problems.push(`payload.entity is ${show(payload['entity'])}, the record key ${show(observed.key)}`);
  const resourceType = nonEmpty(payload['resource_type']);
  const resourceId = nonEmpty(payload['resource_id']);
  const rev = payload['revision'];
  const change =
    resourceType !== null && resourceId !== null && typeof rev === 'number' ? { resourceType, resourceId, rev } : null;
  if (typeof payload['late'] !== 'boolean') problems.push(`payload.late is ${show(payload['late'])}`);
  const eventType = nonEmpty(envelope['event_type']) ?? '';
  // ConversationStatusChanged for conversation.status.changed, by the rule of the schema.
  if (observed.payloadRecord !== null && observed.payloadRecord.toLowerCase() !== eventType.replaceAll('.', ''))
    problems.push(`the payload is a ${observed.payloadRecord}`);
  return {
    eventId,
    eventType,
    tenantId: envelope['tenant_id'],
    payload,
    change,
    connectionId: nonEmpty(payload['connection_id']),
    late: payload['late'] === true,
    problems,
  };
}

/** How `payload` differs from the fields a change expects; empty = it does not. */
export function fieldProblems(
  payload: Readonly<Record<string, unknown>>,
  fields: Readonly<Record<string, unknown>>,
): string[] {
  return Object.entries(fields)
    .filter(([name, wanted]) => !isDeepStrictEqual(payload[name], wanted))
    .map(([name, wanted]) => `payload.${name} is ${show(payload[name])}, expected ${show(wanted)}`);
}

/** The entity as the record key writes it: `conversation:<id>`, from that text or from a {type, id} record. */
function entityKey(entity: unknown): string | null {
  if (typeof entity === 'string') return nonEmpty(entity);
  const { type, id } = asObject(entity);
  return typeof type === 'string' && typeof id === 'string' ? `${type}:${id}` : null;
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function nonEmpty(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function show(value: unknown): string {
  const text = value === undefined ? 'absent' : JSON.stringify(value);
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}
