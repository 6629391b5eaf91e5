/** From a record to what it asks for; what passes, such as a registry that is away, is waited for where we stand. */
import { CodedError } from '../../base/errors.ts';
import type { LogRecord } from '../../kafka/port.ts';
import { type AnswerAdmission, admitAnswer } from '../answers/admit-answer.ts';
import { isAnswer } from '../answers/answer.ts';
import { type Admission, admit, type Decoded, refuseMisplaced } from './admit.ts';
import { refuseFalseTest } from './connector-test.ts';
import type { Partition } from './partition.ts';

/** What has been taken in goes on meanwhile. */
const RETRY_MS = 1000;

export async function admitted(partition: Partition, record: LogRecord): Promise<Admission | AnswerAdmission> {
  const { answers, connections, newest } = partition.shared;
  const lookUp = (identity: string) => partition.ledger.get(identity, partition.nowMs);
  if (isAnswer(record)) return admitAnswer(record, { mac: answers, connections, lookUp });
  const what = await decoded(partition, record);
  let admission = admit(record, what, connections, lookUp);
  // Its tenant or connection may have come with a record of the control topic that is on its way here.
  if (isStrange(admission) && (await newest?.()) === true) admission = admit(record, what, connections, lookUp);
  const placed = refuseMisplaced(admission, record, (key) => partition.owned.partitionOf(key));
  return refuseFalseTest(placed, record, answers);
}

function isStrange(admission: Admission): boolean {
  if (admission.kind === 'dead') return admission.stranger === true;
  return admission.kind === 'refused' && admission.refusal.code === 'connection_unknown';
}

/** Means nothing once the partition is ending. */
export async function decoded(partition: Partition, { value }: LogRecord): Promise<Decoded> {
  const { decoder } = partition.shared;
  if (value === null) return { ok: false, reason: 'is empty' };
  for (;;) {
    try {
      await decoder.prepare(value);
      return { ok: true, value: decoder.decode(value) };
    } catch (error) {
      const isCoded = error instanceof CodedError;
      if (isCoded && (error.code === 'message_undecodable' || error.code === 'schema_unknown')) {
        return { ok: false, reason: `cannot be decoded: ${error.message}` };
      }
      await partition.pauseAfter(error, RETRY_MS);
      if (partition.ending.aborted) return { ok: false, reason: 'was not read: we are stopping' };
    }
  }
}

export async function ensureReceipts(partition: Partition, tenantId: string): Promise<void> {
  for (;;) {
    try {
      return await partition.shared.ensureReceipts(tenantId);
    } catch (error) {
      await partition.pauseAfter(error, RETRY_MS);
      if (partition.ending.aborted) return;
    }
  }
}

/** Whose receipts may come of it. */
export function tenantOf(admission: Admission | AnswerAdmission): string | undefined {
  switch (admission.kind) {
    case 'work':
      return admission.work.command.tenantId;
    case 'answer':
      return admission.work.answer.tenantId;
    case 'refused':
      return admission.refusal.facts.tenantId;
    case 'dead':
      return undefined;
  }
}
