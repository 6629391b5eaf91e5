/** From a change that is to be emitted to the record that carries it. Pure. */
import { ENVELOPE_SCHEMA_NAME, ENVELOPE_SCHEMA_VERSION } from '../fibric/avro.ts';
import { type Envelope, makeEnvelope, SOURCE } from '../fibric/envelope.ts';
import { HEADER } from '../kafka/headers.ts';
import type { KustomerEvent } from '../kustomer/event.ts';
import type { Observer } from './change.ts';
import type { Emission } from './dedupe.ts';
import { entityOf } from './payload/common.ts';
import { payloadOf } from './payload/index.ts';

/** Whose event it is. Tenancy comes from the raw record, the rest from the connection where it is still known. */
export interface Attribution {
  readonly tenantId: string;
  readonly connectionId: string;
  readonly resellerId: string | null;
  readonly workspaceId: string | null;
}

export interface EnvelopeRecord {
  /** The entity key: all that concerns one entity is in one partition. */
  readonly key: string;
  readonly envelope: Envelope;
  readonly headers: Readonly<Record<string, string>>;
}

const SCHEMA = `${ENVELOPE_SCHEMA_NAME}/${ENVELOPE_SCHEMA_VERSION}`;

export function envelopeRecord(
  { candidate, identity, late, known }: Emission,
  event: KustomerEvent,
  observer: Observer,
  attribution: Attribution,
): EnvelopeRecord {
  const payload = payloadOf({ event, candidate, observation: { ...observer, late, known } });
  return {
    key: entityOf(event),
    envelope: makeEnvelope({ ...attribution, eventType: candidate.eventType, changeIdentity: identity, payload }),
    headers: {
      [HEADER.changeId]: `${SOURCE}:${identity}`,
      [HEADER.eventType]: candidate.eventType,
      [HEADER.schema]: SCHEMA,
    },
  };
}
