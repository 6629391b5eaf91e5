/**
 * An answer is a record in the lane of its command; it has taken effect when the command does not wait any more. That is
 * waited for, for a moment: whoever answers hears what came of it, and two who answer at once do not both hear that it was
 * their answer.
 */
import { z } from 'zod';
import { byLine, type TenantCaller } from '../caller.ts';
import { ApiError, notFound } from '../errors.ts';
import type { Answered, DataPorts, WaitingCommand } from './ports.ts';
import { byReceiptId, findReceipt, type ReceiptRow, type ReceiptShelf, receiptRow } from './receipts.ts';

/** For the owner of the partition to read the answer and commit what comes of it. */
const EFFECT_MS = 10_000;
/** The receipt of a refusal is in the same commit as its effect; that of an approval comes with the call's end. */
const RECEIPT_MS = 10_000;
const LOOK_EVERY_MS = 200;
/** Longest time of an answer's route. */
export const ANSWER_MS = EFFECT_MS + RECEIPT_MS + 15_000;

export const answeredRow = z.strictObject({
  object: z.enum(['approval', 'parked']),
  id: z.string(),
  state: z
    .enum(['approved', 'rejected', 'expired', 'applied', 'not_applied', 'answered'])
    .describe('`answered`: published; it takes effect when its turn in the lane comes.'),
  receipt_id: z.string(),
  receipt: receiptRow.nullable().describe('Null while there is none yet.'),
  command_id: z.string().nullable().describe('Of the command that was sent again, with `resend`.'),
});
type AnsweredRow = z.input<typeof answeredRow>;

export interface AnsweringOptions extends Pick<DataPorts, 'log' | 'waiting'> {
  readonly receipts: ReceiptShelf;
}

interface Answering {
  readonly caller: TenantCaller;
  readonly one: WaitingCommand;
  readonly said: Omit<Answered, 'by' | 'nowMs'>;
  readonly signal: AbortSignal;
}

const DONE = { approve: 'approved', reject: 'rejected', applied: 'applied', not_applied: 'not_applied' } as const;

export async function answered(options: AnsweringOptions, { caller, one, said, signal }: Answering) {
  const { waiting, log, receipts } = options;
  const { tenantId } = caller;
  const gone = whenGone(options, tenantId, one, signal);
  try {
    await waiting.answer(tenantId, one.id, { ...said, by: byLine(caller), nowMs: log.clock.nowMs() });
    const isGone = await gone.within(EFFECT_MS);
    const receipt = isGone ? await receiptOf(receipts, log, { tenantId, one, signal }) : null;
    const body: AnsweredRow = {
      object: one.kind === 'held' ? 'approval' : 'parked',
      id: one.id,
      state: isGone ? stateOf(said.answer, receipt) : 'answered',
      receipt_id: one.receiptId,
      receipt,
      command_id: said.resendAs,
    };
    return { status: isGone ? 200 : 202, body };
  } finally {
    gone.stop();
  }
}

/** Of one that does not wait (any more): what was said to it, where that is known. */
export async function throwDecided(
  { receipts }: AnsweringOptions,
  { tenantId }: TenantCaller,
  { id, signal }: { readonly id: string; readonly signal: AbortSignal },
): Promise<never> {
  // The digits of an approval are those of its receipt.
  const receiptId = id.replace(/^apr_/, 'rc_');
  const receipt = receiptId === id ? null : await findReceipt(receipts, tenantId, receiptId, signal).catch(toMissing);
  if (receipt === null || !wasHeld(receipt)) throw notFound('approval');
  const said = stateOf('approve', receipt);
  throw new ApiError('state_conflict', `the approval was ${said} already; its receipt is ${receipt.id}`);
}

function toMissing(error: unknown): null {
  if (error instanceof ApiError && error.code === 'not_found') return null;
  throw error;
}

/** Only what was held has an id of an approval. */
function wasHeld({ verdict, approver, error }: ReceiptRow): boolean {
  return verdict.decision === 'ALERT' || approver !== null || error?.code.startsWith('confirmation_') === true;
}

/** Somebody else may have been quicker, or the time have run out: the receipt knows. */
function stateOf(answer: Answered['answer'], receipt: ReceiptRow | null): AnsweredRow['state'] {
  const code = receipt?.error?.code;
  if (code === 'confirmation_expired') return 'expired';
  if (code === 'confirmation_rejected') return 'rejected';
  if (answer === 'reject' && receipt !== null) return 'approved';
  return DONE[answer];
}

function whenGone({ waiting, log }: AnsweringOptions, tenantId: string, { id }: WaitingCommand, signal: AbortSignal) {
  const gone = Promise.withResolvers<true>();
  const stop = waiting.onChange((changed) => {
    if (changed === tenantId && waiting.get(tenantId, id) === undefined) gone.resolve(true);
  });
  return {
    stop,
    async within(ms: number): Promise<boolean> {
      if (waiting.get(tenantId, id) === undefined) return true;
      const over = new AbortController();
      const late = log.clock.sleep(ms, AbortSignal.any([over.signal, signal])).then(() => false);
      return Promise.race([gone.promise, late]).finally(() => over.abort());
    },
  };
}

interface Looking {
  readonly tenantId: string;
  readonly one: WaitingCommand;
  readonly signal: AbortSignal;
}

/** What is approved is carried out then; its receipt comes with the end of the call. */
async function receiptOf(shelf: ReceiptShelf, log: DataPorts['log'], { tenantId, one, signal }: Looking) {
  const untilMs = log.clock.nowMs() + RECEIPT_MS;
  const filter = byReceiptId(one.receiptId);
  while (!signal.aborted) {
    const since = { tenantId, limit: 1, cursor: undefined, sinceMs: one.sinceMs, filter, filters: {}, signal };
    const [receipt] = (await shelf.list(since)).data;
    if (receipt !== undefined) return receipt;
    if (log.clock.nowMs() >= untilMs) return null;
    await log.clock.sleep(LOOK_EVERY_MS, signal);
  }
  return null;
}
