/** Up to the call: ledger, deadline, policy, limit, the durable `in_flight`, the lease. */

import { consult } from '../ledger/consult.ts';
import type { InFlight } from '../ledger/entry.ts';
import { advance } from '../ledger/moves.ts';
import { isPrepared } from './ahead.ts';
import { backoffMs } from './config.ts';
import type { LifecycleEvent, PolicyDecision, WaitReason } from './events.ts';
import { abandon, asking, type Context, type Ending, finish, finishUndone, type Life, type Step } from './life.ts';
import { reconcile } from './settle.ts';

type LookedUp = Extract<LifecycleEvent, { readonly kind: 'looked_up' }>;

export function onLookedUp(begun: Life, { entry, isUnsent }: LookedUp, context: Context): Step {
  if (isPrepared(begun, entry)) return decide(begun, context);
  // What was prepared does not stand any more; of what was not, this is so already.
  const life: Life = { ...begun, entry: null, before: null, proof: 'none' };
  const { fingerprint, approvedBy, mode } = life.command;
  const verdict = consult(entry, { fingerprint, epoch: life.epoch, live: mode === 'live', approvedBy });
  switch (verdict.kind) {
    case 'fenced':
      return abandon(life);
    case 'reconcile':
      return reconcile(life, verdict.entry, { ...context, isUnsent });
    case 'approved':
      return approved({ ...life, entry: verdict.held, before: verdict.held }, verdict.held.receiptId, context);
    case 'free':
      // C10: an approval of what no longer waits for one.
      if (approvedBy !== null) return finish(life, context, null, null);
      return decide({ ...life, entry: verdict.before, before: verdict.before }, context);
    case 'duplicate':
      return answered(life, context, {
        decision: 'DEDUP',
        outcome: 'deduplicated',
        firstReceiptId: verdict.of.receiptId,
        ...(verdict.of.kind === 'done'
          ? { vendorId: verdict.of.vendorId }
          : { code: 'confirmation_pending', message: 'the command it repeats waits for its approval' }),
      });
    case 'conflict':
      return answered(life, context, {
        decision: 'BLOCK',
        outcome: 'refused',
        code: 'idempotency_conflict',
        message: 'the idempotency key stands for another action or other arguments',
        firstReceiptId: verdict.of.receiptId,
      });
    case 'unknown':
      return answered(life, context, {
        decision: 'BLOCK',
        outcome: 'refused',
        code: 'outcome_unknown',
        message: 'it is not known whether the command it repeats was carried out',
        firstReceiptId: verdict.of.receiptId,
      });
  }
}

/** From the ledger alone. */
function answered(life: Life, context: Context, ending: Ending): Step {
  if (life.command.approvedBy !== null) return finish(life, context, null, null);
  const isDry = life.command.mode === 'dry_run';
  return finish(life, context, null, isDry ? { ...ending, outcome: 'dry_run' } : ending);
}

/** The receipt is that of the command which was held. */
function approved(life: Life, receiptId: string, context: Context): Step {
  const adopted = { ...life, command: { ...life.command, receiptId } };
  const isExpired = life.entry?.kind === 'held' && context.at.nowMs >= life.entry.expiresAtMs;
  if (!isExpired) return decide(adopted, context);
  const message = 'the approval came after the command had expired';
  return finishUndone(adopted, context, { code: 'confirmation_expired', message, blocked: true });
}

/** C6, C7, C15: also before every further call, since the policy may have changed while the command waited. */
export function decide(life: Life, context: Context): Step {
  const { deadlineMs, disconnected } = life.command;
  if (disconnected === true) {
    const message = 'the tenant has no such connection any more, and the command was not carried out through it';
    return finishUndone(life, context, { code: 'connection_unknown', message, blocked: true });
  }
  if (deadlineMs !== null && context.at.nowMs > deadlineMs) return tooLate(life, context);
  if (life.attempts >= context.config.maxAttempts) return exhausted(life, context, 'no attempt is left');
  return asking(life, { kind: 'deciding' }, (ask) => ({ kind: 'ask_policy', ask }));
}

export function onDecided(before: Life, decision: PolicyDecision, context: Context): Step {
  const life = { ...before, decision };
  const { command, entry, epoch, proof } = life;
  const { nowMs } = context.at;
  if (command.mode === 'dry_run') {
    const refusal = decision.decision === 'BLOCK' ? { code: decision.code, message: decision.message } : {};
    return finish(life, context, null, { decision: decision.decision, outcome: 'dry_run', ...refusal });
  }
  if (decision.decision === 'BLOCK')
    return finishUndone(life, context, { code: decision.code, message: decision.message, blocked: true });
  if (decision.decision === 'ALERT' && command.approvedBy === null) {
    const { policy, expiresAtMs } = decision;
    const { fingerprint, receiptId, subject, record } = command;
    const held = { atMs: nowMs, expiresAtMs, fingerprint, receiptId, subject, policy, record };
    return finish(life, context, { kind: 'hold', ...held, epoch, proof: entry === null ? 'none' : proof }, null);
  }
  // C7: a place that would not last for the call is asked for again, which takes no second one; in another limit, a new one.
  const hasPlace = decision.moved !== true && nowMs + context.config.sendWindowMs <= life.placeUntilMs;
  if (!decision.reserve || hasPlace) return prepare(life, context);
  const reservationId = command.receiptId;
  return asking(life, { kind: 'reserving' }, (ask) => ({ kind: 'reserve', ask, reservationId }));
}

export function onLimited(life: Life, message: string, context: Context): Step {
  return finishUndone(life, context, { code: 'limit_reached', message, blocked: true });
}

/** Neither called nor refused: the log of the limits is slow or away. */
export function onUnavailable(life: Life, message: string, context: Context): Step {
  return defer(life, context, { why: 'limit', message: `no place in the limit could be had: ${message}` });
}

/** C1: an `in_flight` of ours that still lets us send is as good as a new one, if it is known that nothing came of it. */
export function prepare(life: Life, context: Context): Step {
  const { command, entry, epoch, proof, attempts, startedAtMs, decision } = life;
  const { at, config } = context;
  const isOurs = entry?.kind === 'in_flight' && entry.epoch === epoch && proof === 'refused';
  if (isOurs && at.nowMs <= entry.sendByMs) return send(life, entry, context);
  const { identity, fingerprint, receiptId, approvedBy, record } = command;
  const sendByMs = at.nowMs + config.sendWindowMs;
  const planned = {
    fingerprint,
    receiptId,
    epoch,
    startedAtMs: startedAtMs ?? at.nowMs,
    sendByMs,
    deadlineMs: sendByMs + config.requestTimeoutMs,
    attempt: attempts + 1,
    policy: (decision as PolicyDecision).policy,
    approvedBy,
    record: approvedBy === null ? null : record,
    sendable: !command.readsFirst,
    basis: null,
  };
  const next = advance(entry, { kind: 'begin', entry: planned, proof }) as InFlight;
  return asking(life, { kind: 'persisting', entry: next }, (ask) => ({
    kind: 'persist',
    ask,
    change: { identity, entry: next },
  }));
}

/** Durable, and nothing sent under it. */
export function onPersisted(life: Life, entry: InFlight, context: Context): Step {
  return send({ ...life, entry, proof: 'refused' }, entry, context);
}

/** C1, C4, C6, C7: the last questions before the wire. */
function send(life: Life, entry: InFlight, context: Context): Step {
  const { at } = context;
  const { deadlineMs } = life.command;
  if (life.stopping) return abandon(life);
  if (deadlineMs !== null && at.nowMs > deadlineMs) return tooLate(life, context);
  if (at.nowMs >= at.leaseUntilMs) return defer(life, context, { why: 'lease', message: 'the lease has lapsed' });
  const untilMs = Math.min(entry.sendByMs, placeEndsMs(life));
  if (at.nowMs > untilMs) return defer(life, context, { why: 'retry', message: 'the log was too slow' });
  const attempt = life.attempts + 1;
  const called = { ...life, attempts: attempt, proof: 'none' as const };
  return asking(called, { kind: 'calling' }, (ask) => ({
    kind: 'call',
    ask,
    attempt,
    sendByMs: Math.min(untilMs, at.leaseUntilMs, deadlineMs ?? Infinity),
    abortAtMs: entry.deadlineMs,
    reread: life.conflicts > 0,
  }));
}

/** Not planned with: the ledger is told at the most, and what was planned before is not planned again. */
function placeEndsMs({ decision, placeUntilMs }: Life): number {
  return decision !== null && decision.decision !== 'BLOCK' && decision.reserve ? placeUntilMs : Infinity;
}

/** Again later, from the policy on; unless it would be too late, or too often. */
export function defer(
  life: Life,
  context: Context,
  reason: { readonly why: WaitReason; readonly message: string; readonly retryAtMs?: number | null },
): Step {
  const { at, config } = context;
  if (life.stopping) return abandon(life);
  const untilMs = Math.max(reason.retryAtMs ?? 0, at.nowMs + backoffMs(life.deferrals, at.random, config));
  const { deadlineMs } = life.command;
  if (deadlineMs !== null && untilMs > deadlineMs) return tooLate(life, context);
  if (untilMs - life.turnAtMs > config.patienceMs) return exhausted(life, context, reason.message);
  const deferred = { ...life, deferrals: life.deferrals + 1 };
  return asking(deferred, { kind: 'deferred' }, (ask) => ({ kind: 'wait', ask, untilMs, why: reason.why }));
}

function tooLate(life: Life, context: Context): Step {
  return finishUndone(life, context, { code: 'deadline_passed', message: 'the deadline of the command has passed' });
}

export function exhausted(life: Life, context: Context, last: string): Step {
  return finishUndone(life, context, { code: 'attempts_exhausted', message: `given up; at last: ${last}` });
}
