/** The Fibric envelope: ten fields, always all present, in this order. What is missing is null, never left out. */
import { hash } from 'node:crypto';
import { NAMESPACE } from './avro-schema.ts';
import { EVENT_TYPES, type EventType, type Payload } from './events/index.ts';

export const SOURCE = 'kustomer';
export { NAMESPACE };

export interface Envelope {
  readonly event_id: string;
  readonly reseller_id: string | null;
  readonly tenant_id: string;
  readonly workspace_id: string | null;
  readonly source: string;
  readonly event_type: EventType;
  readonly correlation_id: string;
  /** One key, the full name of the payload record: how avsc names the branch of a union. */
  readonly payload: Readonly<Record<string, Payload>>;
  readonly agent_id: string | null;
  readonly session_id: string | null;
}

export interface EnvelopeInput {
  readonly tenantId: string;
  readonly connectionId: string;
  readonly resellerId: string | null;
  readonly workspaceId: string | null;
  readonly eventType: EventType;
  /** Of the change, not of the delivery: the same change always has the same. */
  readonly changeIdentity: string;
  /** Of `eventType`: the compiler cannot see it here, the encoder refuses any other. */
  readonly payload: Payload;
}

/** `agent_id` and `session_id` name a Fibric operator; what happens at Kustomer has none. */
export function makeEnvelope(input: EnvelopeInput): Envelope {
  const ids = changeIds(input.tenantId, input.connectionId, input.changeIdentity);
  return {
    event_id: ids.eventId,
    reseller_id: input.resellerId,
    tenant_id: input.tenantId,
    workspace_id: input.workspaceId,
    source: SOURCE,
    event_type: input.eventType,
    correlation_id: ids.correlationId,
    payload: { [branchName(input.eventType)]: input.payload },
    agent_id: null,
    session_id: null,
  };
}

const BRANCHES: ReadonlyMap<EventType, string> = new Map(EVENT_TYPES.map((d) => [d.type, `${NAMESPACE}.${d.record}`]));

/** Full Avro name of an event type's payload record. */
export function branchName(type: EventType): string {
  return BRANCHES.get(type) as string;
}

/**
 * The sixteen bytes of the UUID 66696272-6963-2e6b-7573-746f6d65722e, as text: being ASCII, a name can be appended to
 * it as a string and the digest is still that of RFC 9562, version 5, which others can recompute.
 */
const UUID_NAMESPACE = 'fibric.kustomer.';

/** Version 5 UUID and correlation id of a change. Both from one digest: hashing is a visible part of the hot path. */
export function changeIds(
  tenantId: string,
  connectionId: string,
  changeIdentity: string,
): { readonly eventId: string; readonly correlationId: string } {
  const hex = hash('sha1', `${UUID_NAMESPACE}${tenantId}/${connectionId}/${changeIdentity}`, 'hex');
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
  const eventId = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  return { eventId, correlationId: `co_${hex.slice(24)}` };
}
