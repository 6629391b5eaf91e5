/** After a call whose outcome nobody knows: reading back, until it is found, proved absent, or parked. */
import type { InFlight } from '../ledger/entry.ts';
import { decide, exhausted } from './gates.ts';
import {
  abandon,
  asking,
  type Context,
  decisionOf,
  finish,
  finishApplied,
  type Life,
  type Step,
  type Trace,
} from './life.ts';
import type { ReadResult } from './outcome.ts';

/**
 * C5: another owner's call. It is over when its owner must have closed it, even by a clock that is `guardMs` behind ours.
 * C14: or it was never sent, nor will it be: its owner cannot write down any more that it may, or that what it waits for has ended.
 */
export function reconcile(life: Life, entry: InFlight, context: Context & { readonly isUnsent: boolean }): Step {
  const { receiptId, startedAtMs, attempt } = entry;
  const command = life.command.approvedBy === null ? life.command : { ...life.command, receiptId };
  const adopted = { ...life, command, entry, proof: 'none' as const, startedAtMs, attempts: attempt };
  if (!entry.sendable || context.isUnsent)
    return decide({ ...adopted, attempts: attempt - 1, proof: 'absent' }, context);
  return settle(adopted, Math.max(entry.deadlineMs + context.config.guardMs, context.at.nowMs), context);
}

/** `openMs`: nothing of the call is on the wire from then on. */
export function settle(life: Life, openMs: number, context: Context): Step {
  const proofFromMs = openMs + context.config.visibilityMs;
  return waitToRead(life, { openMs, proofFromMs, reads: 0, absents: 0, lastAbsentMs: null }, context, null);
}

function waitToRead(life: Life, trace: Trace, { at, config }: Context, retryAtMs: number | null): Step {
  if (life.stopping) return abandon(life);
  const earlyMs = trace.openMs + (config.earlyReadsMs[trace.reads] ?? Infinity);
  const dueMs =
    earlyMs < trace.proofFromMs
      ? Math.max(earlyMs, at.nowMs)
      : Math.max(trace.proofFromMs, at.nowMs + (trace.reads > 0 ? config.readSpacingMs : 0));
  // The lane waits with it: not for as long as a server may ask.
  const untilMs = Math.max(dueMs, Math.min(retryAtMs ?? 0, at.nowMs + config.backoffMaxMs));
  return asking(life, { kind: 'settling', trace }, (ask) => ({ kind: 'wait', ask, untilMs, why: 'read_back' }));
}

export function readBack(life: Life, trace: Trace): Step {
  return asking(life, { kind: 'reading', trace }, (ask) => ({ kind: 'read_back', ask }));
}

export function onRead(life: Life, before: Trace, result: ReadResult, context: Context): Step {
  const trace = { ...before, reads: before.reads + 1 };
  switch (result.kind) {
    case 'found':
      return finishApplied(life, context, { vendorId: result.vendorId, reconciled: true });
    case 'unreadable':
      return park(life, trace, context, result.message);
    case 'unclear':
      return again(life, trace, context, result.retryAtMs);
    case 'absent':
      return onAbsent(life, trace, result.startedAtMs, context);
  }
}

/** C2: reads that begin too early, or too close to the last, prove nothing. */
function onAbsent(life: Life, trace: Trace, startedAtMs: number, context: Context): Step {
  const { absentReads, readSpacingMs, maxResends } = context.config;
  const isTooEarly = startedAtMs < trace.proofFromMs;
  const isTooClose = trace.lastAbsentMs !== null && startedAtMs < trace.lastAbsentMs + readSpacingMs;
  if (isTooEarly || isTooClose) return again(life, trace, context, null);
  const absents = trace.absents + 1;
  if (absents < absentReads) return again(life, { ...trace, absents, lastAbsentMs: startedAtMs }, context, null);
  const proved = { ...life, proof: 'absent' as const, resends: life.resends + 1 };
  if (life.stopping) return abandon(proved);
  if (proved.resends > maxResends) return exhausted(proved, context, 'the call was lost each time');
  return decide(proved, context);
}

function again(life: Life, trace: Trace, context: Context, retryAtMs: number | null): Step {
  if (trace.reads >= context.config.maxReads) return park(life, trace, context, 'no read gave an answer');
  return waitToRead(life, trace, context, retryAtMs);
}

/** C5: the lane goes on behind a parked command, so not before the call is over. */
export function park(life: Life, trace: Trace, context: Context, why: string): Step {
  const { at } = context;
  if (life.stopping) return abandon(life);
  if (at.nowMs < trace.proofFromMs) {
    const untilMs = trace.proofFromMs;
    return asking(life, { kind: 'parking', trace, why }, (ask) => ({ kind: 'wait', ask, untilMs, why: 'settle' }));
  }
  const message = `it is not known whether the write happened: ${why}`;
  const { subject, record } = life.command;
  const move = { kind: 'park', atMs: at.nowMs, subject, record } as const;
  return finish(life, context, move, {
    decision: decisionOf(life),
    outcome: 'failed',
    code: 'outcome_unknown',
    message,
  });
}
