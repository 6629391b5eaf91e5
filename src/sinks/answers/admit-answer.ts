/** From a record that says it is an answer to work for the lane of its command, or a dead letter. Pure. */
import type { LogRecord } from '../../kafka/port.ts';
import type { Admission } from '../runner/admit.ts';
import type { LookUp } from '../runner/disconnected.ts';
import type { SinkConnections } from '../runner/ports.ts';
import { type Answer, readAnswer } from './answer.ts';
import type { AnswerMac } from './mac.ts';

export interface AnswerWork {
  readonly kind: 'answer';
  readonly record: LogRecord;
  readonly answer: Answer;
  readonly key: string;
  /** That of its command. */
  readonly lane: string;
}

export interface AnswerGate {
  readonly mac: AnswerMac;
  readonly connections: Pick<SinkConnections, 'knows' | 'canBeTold'>;
  readonly lookUp: LookUp;
}

export type AnswerAdmission =
  | { readonly kind: 'answer'; readonly work: AnswerWork }
  | Extract<Admission, { readonly kind: 'dead' }>;

export function admitAnswer(record: LogRecord, { mac, connections, lookUp }: AnswerGate): AnswerAdmission {
  const reading = readAnswer(record, mac);
  if (!reading.ok) return { kind: 'dead', code: reading.code, message: reading.message };
  const { answer, key } = reading;
  // What waits is the tenant's own, also when it has lost its last connection since.
  const waits = () => lookUp(answer.identity)?.receiptId === answer.receiptId;
  if (!connections.knows(answer.tenantId) && !(connections.canBeTold(answer.tenantId) && waits())) {
    return { kind: 'dead', code: 'answer_foreign', message: 'the answer names a tenant that is not known here' };
  }
  return { kind: 'answer', work: { kind: 'answer', record, answer, key, lane: `${answer.tenantId}/${key}` } };
}
