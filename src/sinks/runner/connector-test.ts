/**
 * Commands of `connectors test`. Their operator has every capability of the connection without a grant, so its name alone
 * must not be enough: whoever may produce to the commands topic could take it. The API signs what it publishes under it.
 */
import { createHash } from 'node:crypto';
import type { Problem } from '../../fibric/commands/field-reader.ts';
import { CONNECTOR_TEST } from '../../fibric/policy/grants.ts';
import { HEADER } from '../../kafka/headers.ts';
import type { LogRecord } from '../../kafka/port.ts';
import type { AnswerMac } from '../answers/mac.ts';
import { type Admission, refuseWork } from './admit.ts';

/** Headers of a command; none for ordinary ones. `value`: as published, so that nothing of it can be changed. */
export function testHeaders(operator: string | null, value: Buffer, mac: AnswerMac): Readonly<Record<string, string>> {
  return operator === CONNECTOR_TEST ? { [HEADER.connectorTest]: mac.sign(textOf(value)) } : {};
}

/** Refuses a command under the reserved name that the API did not publish; all else is left as it is. */
export function refuseFalseTest(admission: Admission, record: LogRecord, mac: AnswerMac): Admission {
  if (admission.kind !== 'work' || admission.work.command.operator !== CONNECTOR_TEST) return admission;
  const claimed = record.headers[HEADER.connectorTest]?.toString() ?? '';
  if (record.value !== null && mac.verify(textOf(record.value), claimed)) return admission;
  return refuseWork(admission.work, RESERVED);
}

const RESERVED: Problem = {
  field: 'operator',
  code: 'malformed',
  message: `operator is ${CONNECTOR_TEST}, which is reserved`,
};

/** Not of the form of an answer, which is signed under the same key. */
function textOf(value: Buffer): string {
  return `connector test ${createHash('sha256').update(value).digest('hex')}`;
}
