import { type EventFields, eventFields } from './fields.ts';
import { parseObject } from './json.ts';
import { scanFields } from './scan.ts';

/** What the receiver reads of a body: enough to route it, nothing to judge it by. */
export interface Peek extends EventFields {
  /** Not a JSON object. The other fields are null then. */
  readonly malformed: boolean;
}

/** Never throws. The scanner answers for ordinary bodies, JSON.parse for the rest; both answer alike. */
export function peek(bytes: Buffer): Peek {
  const fields = scanFields(bytes) ?? peekByParsing(bytes);
  return fields === undefined ? MALFORMED : { malformed: false, ...fields };
}

/** The reference the scanner is tested against. */
export function peekByParsing(bytes: Buffer): EventFields | undefined {
  const body = parseObject(bytes);
  return body === undefined ? undefined : eventFields(body);
}

const MALFORMED: Peek = Object.freeze({
  malformed: true,
  eventId: null,
  name: null,
  org: null,
  resourceType: null,
  resourceId: null,
  rev: null,
});
