/**
 * Carries out at Kustomer what an action asks for: its reads, then its one write; or the reads that tell whether a write
 * has happened. Never rejects for what Kustomer does.
 */
import type { ErrorCode } from '../../base/errors.ts';
import type { WriteCommand } from '../../fibric/commands/command.ts';
import type { KustomerClient } from '../../kustomer/client/client.ts';
import type { Failure, Outcome } from '../../kustomer/client/outcome.ts';
import type { ReadBackContext } from '../actions/action.ts';
import { vendorIdOf } from '../actions/sights.ts';
import type { Basis } from '../ledger/entry.ts';
import type { CallOutcome, ReadResult } from '../lifecycle/outcome.ts';
import { type ConnectionFault, judge } from '../outcome.ts';
import {
  type Ask,
  hear,
  type Inquiry,
  newInquiry,
  planNext,
  readBackFailed,
  readBackNext,
} from '../reconcile/inquiry.ts';

export interface Asking {
  readonly client: KustomerClient;
  readonly nowMs: () => number;
  /** Longest wait for the budget. */
  readonly waitMs: () => number;
  /** Asked right before the first byte of each request. */
  readonly maySend: () => boolean;
  /** Closes the connection. */
  readonly signal: AbortSignal;
  /** Told each answer with a body. */
  readonly heard?: (body: unknown) => void;
  /** Told what is wrong with the connection as a whole, whichever request it was that learned it. */
  readonly faulted: (fault: ConnectionFault, message: string) => void;
}

/** `wrote`: the write itself was handed over, with what it was decided on. */
export interface Called {
  readonly outcome: CallOutcome;
  readonly wrote: { readonly basis: Basis | null; readonly atMs: number; readonly creates: boolean } | null;
  /** Of the write something may have reached Kustomer. */
  readonly left: boolean;
}

type Command = Pick<WriteCommand, 'capability' | 'args'>;

/** `decided` is waited for before the write: what it was decided on may have to be written down. */
export async function carryOut(
  command: Command,
  externalId: string,
  asking: Asking & { readonly decided?: (basis: Basis) => Promise<void> },
): Promise<Called> {
  const next = (inquiry: Inquiry) => planNext(command, inquiry, { externalId, nowMs: asking.nowMs() });
  const step = await inquire(next, asking);
  if ('kind' in step) return { outcome: outcomeOf(step), wrote: null, left: false };
  if (step.do === 'nothing') {
    return { outcome: { kind: 'applied', vendorId: step.vendorId, unchanged: true }, wrote: null, left: false };
  }
  if (step.do === 'refuse') {
    return { outcome: { kind: 'refused', code: step.code, message: step.message }, wrote: null, left: false };
  }
  if (step.basis !== null) await asking.decided?.(step.basis);
  const wrote = { basis: step.basis, atMs: asking.nowMs(), creates: step.request.method === 'POST' };
  const answer = await request(step, asking);
  return { outcome: outcomeOf(answer), wrote, left: answer.kind !== 'not_sent' };
}

export async function lookBack(
  command: Command,
  context: Omit<ReadBackContext, 'seen'>,
  asking: Asking,
): Promise<ReadResult> {
  const told = await inquire((inquiry) => readBackNext(command, inquiry, context), asking);
  return ('kind' in told ? readBackFailed(told) : told).result;
}

/** All the reads that `next` asks for, until it has something else to say or one has failed. */
async function inquire<T extends { readonly do: string }>(
  next: (inquiry: Inquiry) => Ask | T,
  asking: Asking,
): Promise<Exclude<T, Ask> | Failure> {
  let inquiry = newInquiry(asking.nowMs());
  let move = next(inquiry);
  while (isAsk(move)) {
    const heard = hear(inquiry, move, await request(move, asking));
    if (heard.kind === 'failure') return heard.failure;
    if (heard.kind === 'ask') move = heard.ask;
    else {
      inquiry = heard.inquiry;
      move = next(inquiry);
    }
  }
  return move as Exclude<T, Ask>;
}

function isAsk(move: { readonly do: string }): move is Ask {
  return move.do === 'ask';
}

async function request(
  { request, link = null }: Pick<Ask, 'request'> & { readonly link?: string | null },
  { client, waitMs, maySend, signal, heard, faulted }: Asking,
): Promise<Outcome<unknown>> {
  const { path, query, ...rest } = request;
  const target = link === null ? { path, ...(query === undefined ? {} : { query }) } : { path: { link } };
  const outcome = await client.call({ ...rest, ...target, lane: 'writes', waitMs: waitMs(), maySend, signal });
  const { connectionFault, message } = judge(outcome);
  if (outcome.kind === 'ok') heard?.(outcome.body);
  if (connectionFault !== null) faulted(connectionFault, message);
  return outcome;
}

/** What the table says of an answer, as the life of the command goes on from it. */
export function outcomeOf(outcome: Outcome<unknown>): CallOutcome {
  const { becomes, code, message, retryAtMs } = judge(outcome);
  if (becomes === 'applied') {
    return { kind: 'applied', vendorId: outcome.kind === 'ok' ? vendorIdOf(outcome.body) : null, unchanged: false };
  }
  const why = { code: code as ErrorCode, message };
  return becomes === 'retry_later' ? { kind: becomes, ...why, retryAtMs } : { kind: becomes, ...why };
}
