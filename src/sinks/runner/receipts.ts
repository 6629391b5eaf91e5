/** The receipts of what is refused at once and of what has come to its end. Pure. */
import type { ErrorCode } from '../../base/errors.ts';
import { type Disposed, makeReceipt, type ReceiptConnection, type Verdict } from '../../fibric/commands/receipt.ts';
import type { WireReceipt } from '../../fibric/commands/receipt-fields.ts';
import type { Connection } from '../../fibric/connection.ts';
import { ACTIONS } from '../actions/index.ts';
import type { ReceiptFacts } from '../lifecycle/events.ts';
import { nextStepOf } from '../next-steps.ts';
import type { CommandPlace, CommandWork, Refusal } from './admit.ts';

export interface SentTimes {
  readonly firstSentAtMs: number | null;
  readonly lastSentAtMs: number | null;
}

export function refusalReceipt(refusal: Refusal, nowMs: number): WireReceipt {
  const { facts, receiptId, place, connection, code, message, problems } = refusal;
  return makeReceipt({
    facts,
    receiptId,
    position: positionOf(place),
    connection: connectionOf(connection),
    disposed: {
      outcome: 'refused',
      verdict: { decision: 'BLOCK', rule: null, tier: null },
      error: { code, message, nextStep: nextStepOf(code), problems },
    },
    timings: {
      receivedAtMs: place.appendedAtMs,
      startedAtMs: null,
      firstSentAtMs: null,
      lastSentAtMs: null,
      disposedAtMs: nowMs,
    },
  });
}

export function finishedReceipt(work: CommandWork, facts: ReceiptFacts, sent: SentTimes): WireReceipt {
  const { command, place, connection, live, externalId } = work;
  const { policy, version } = facts.policy;
  return makeReceipt({
    facts: command,
    receiptId: facts.receiptId,
    position: positionOf(place),
    connection: connectionOf(live.disconnected === true ? null : connection),
    disposed: disposedOf(work, facts),
    timings: {
      receivedAtMs: place.appendedAtMs,
      startedAtMs: facts.startedAtMs,
      ...sent,
      disposedAtMs: facts.finishedAtMs,
    },
    fingerprint: live.fingerprint,
    policy: policy === null || version === null ? null : { name: policy, version },
    approver: facts.approvedBy,
    attempts: facts.attempts,
    reconciled: facts.reconciled,
    externalId: facts.attempts > 0 ? externalId : null,
  });
}

/** What failed had been let through, and so had what the action itself declined: see `Disposed`. */
function disposedOf({ command }: CommandWork, facts: ReceiptFacts): Disposed {
  const { outcome, decision, policy, unchanged, vendorId, firstReceiptId } = facts;
  const said = { rule: policy.rule, tier: policy.tier };
  const letThrough: Verdict<'ALLOW' | 'ALERT'> = { decision: decision === 'ALERT' ? 'ALERT' : 'ALLOW', ...said };
  const error = facts.code === null ? undefined : errorOf(facts.code, facts.message ?? '');
  const known = error ?? errorOf('outcome_unknown', facts.message ?? '');
  switch (outcome) {
    case 'applied':
      return {
        outcome,
        verdict: letThrough,
        unchanged,
        vendor: { type: ACTIONS[command.capability].vendorType, id: vendorId },
      };
    case 'failed':
      return { outcome, verdict: letThrough, error: known };
    case 'refused':
      return decision === 'BLOCK'
        ? { outcome, verdict: { decision, ...said }, error: known }
        : { outcome, declinedBy: 'action', verdict: letThrough, error: known };
    case 'deduplicated':
      return { outcome, verdict: { decision: 'DEDUP', ...said }, firstReceiptId: firstReceiptId as string };
    case 'dry_run':
      return { outcome, verdict: { decision, ...said }, ...(error === undefined ? {} : { error }) };
  }
}

function errorOf(code: ErrorCode, message: string) {
  return { code, message, nextStep: nextStepOf(code) };
}

export function positionOf({ partition, offset }: CommandPlace): string {
  return `${partition}:${offset}`;
}

export function connectionOf(connection: Connection | null): ReceiptConnection {
  const { connectionId = null, resellerId = null, workspaceId = null } = connection ?? {};
  return { connectionId, resellerId, workspaceId };
}
