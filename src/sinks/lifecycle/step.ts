/**
 * The life of one command, from its record to its receipt. A reducer: it is told what happened and says what is to be done.
 *
 *   received ─► queued ─► checking ─► deciding ─► reserving ─► persisting ─► calling ─► finished
 *                            │           ▲ ▲                       │ ▲          │
 *                            │           │ └───── deferred ◄───────┘ │  not done, again later
 *                            │           │           ▲ ───────────────          │ unknown
 *                            │           └───────────┼──────── proved absent ┐  ▼
 *                            └─ in flight by another owner ─────► settling ◄─► reading ─► parking ─► finished
 *
 * C1  no call without an `in_flight` of this epoch that is durable and still lets it be sent
 * C2  after a call of unknown outcome no second one without proof of absence: reads that began when the call and the delay of
 *     visibility were over, several of them
 * C3  exactly one finish, and nothing after it; or one abandon, and nothing after that
 * C4  no call when the lease has lapsed, nor is one sent after it lapses (`sendByMs`)
 * C5  another owner's call is left alone until its deadline and the guard have passed; and whatever may be on the wire keeps its
 *     lane: the ledger is asked before the deadline of the command, and parking waits
 * C6  no call after the command's deadline; what was called is settled all the same
 * C7  every call has a decision of the policy behind it, made since the last wait, and its place in the limit, which is asked
 *     for again when it has grown old, and waited for, not blocked, when nobody can tell
 * C8  calls, resends, conflicts, reads and the time spent waiting are bounded
 * C9  told to stop, it calls no more; told that the partition is lost, it does nothing more
 * C10 an approval ends as the receipt of the command that was held, or, if that has ended already, as none
 * C11 an answer counts once, for the question that is open; everything else changes nothing
 * C12 a finish never leaves an `in_flight` in the ledger
 * C13 what is prepared ahead of its turn is not called before it (ahead.ts)
 * C14 nothing is sent under an `in_flight` that is not `sendable`; so of another owner's that is not, nothing has been. Nor of one
 *    that is known by the order of its lane to be unsent (lane-order.ts)
 * C15 a command whose connection is gone is settled, as far as anything of it may have been sent, and never called
 */
import { beginAhead, stepAhead } from './ahead.ts';
import type { LifecycleConfig } from './config.ts';
import { LIFECYCLE_DEFAULTS } from './config.ts';
import type { LifecycleEvent, Moment } from './events.ts';
import {
  decide,
  defer,
  exhausted,
  onDecided,
  onLimited,
  onLookedUp,
  onPersisted,
  onUnavailable,
  prepare,
} from './gates.ts';
import { abandon, asking, type Context, finishApplied, finishUndone, isOver, type Life, type Step } from './life.ts';
import type { CallOutcome } from './outcome.ts';
import { onRead, park, readBack, settle } from './settle.ts';

export function step(
  life: Life,
  event: LifecycleEvent,
  at: Moment,
  config: LifecycleConfig = LIFECYCLE_DEFAULTS,
): Step {
  if (isOver(life)) return ignore(life);
  if (event.kind === 'lost') return { life: { ...life, phase: { kind: 'abandoned' } }, effects: [] };
  if (event.kind === 'stop') return onStop(life);
  if ('ask' in event && event.ask !== life.ask) return ignore(life);
  const context = { at, config };
  if (life.isAhead) return stepAhead(life, event, context, () => proceed(life, event, context));
  return proceed(life, event, context);
}

/** C11: what does not fit the phase falls through. */
function proceed(life: Life, event: LifecycleEvent, context: Context): Step {
  const { phase } = life;
  switch (phase.kind) {
    case 'received':
      if (event.kind === 'validated') return { life: { ...life, phase: { kind: 'queued' } }, effects: [] };
      if (event.kind === 'invalid') return finishUndone(life, context, { ...event, blocked: true });
      break;
    case 'queued':
      if (event.kind === 'turn') return onTurn(life, context);
      if (event.kind === 'ahead') return beginAhead(life, context);
      break;
    case 'checking':
      if (event.kind === 'looked_up') return onLookedUp(life, event, context);
      break;
    case 'deciding':
      if (event.kind === 'decided') return onDecided(life, event.decision, context);
      break;
    case 'reserving':
      if (event.kind === 'reserved') return prepare({ ...life, placeUntilMs: event.untilMs }, context);
      if (event.kind === 'limited') return onLimited(life, event.message, context);
      if (event.kind === 'unavailable') return onUnavailable(life, event.message, context);
      break;
    case 'persisting':
      if (event.kind === 'persisted') return onPersisted(life, phase.entry, context);
      break;
    case 'deferred':
      if (event.kind === 'woke') return decide(life, context);
      break;
    case 'calling':
      if (event.kind === 'answered') return onAnswered(life, event.outcome, context);
      break;
    case 'settling':
      if (event.kind === 'woke') return readBack(life, phase.trace);
      break;
    case 'reading':
      if (event.kind === 'read') return onRead(life, phase.trace, event.result, context);
      break;
    case 'parking':
      if (event.kind === 'woke') return park(life, phase.trace, context, phase.why);
      break;
  }
  return ignore(life);
}

function ignore(life: Life): Step {
  return { life, effects: [] };
}

/** C5: the ledger first, also when the deadline has passed. */
function onTurn(life: Life, { at }: Context): Step {
  const begun = { ...life, startedAtMs: at.nowMs, turnAtMs: at.nowMs };
  return asking(begun, { kind: 'checking' }, (ask) => ({ kind: 'look_up', ask }));
}

function onAnswered(life: Life, outcome: CallOutcome, context: Context): Step {
  const { at, config } = context;
  const undone = { ...life, proof: 'refused' as const };
  switch (outcome.kind) {
    case 'applied':
      return finishApplied(life, context, { vendorId: outcome.vendorId, unchanged: outcome.unchanged });
    case 'ambiguous':
      return settle(life, at.nowMs, context);
    case 'refused':
      return finishUndone(undone, context, { ...outcome, declined: true });
    case 'failed_final':
      return finishUndone(undone, context, outcome);
    case 'conflict': {
      const conflicts = life.conflicts + 1;
      if (conflicts > config.maxConflicts) return finishUndone(undone, context, outcome);
      return defer({ ...undone, conflicts }, context, { why: 'conflict', message: outcome.message });
    }
    case 'retry_later':
      if (life.attempts >= config.maxAttempts) return exhausted(undone, context, outcome.message);
      return defer(undone, context, { why: 'retry', message: outcome.message, retryAtMs: outcome.retryAtMs });
  }
}

/** What is under way is waited for: the answer of the log and of Kustomer, but no wait of our own. */
function onStop(life: Life): Step {
  const isUnderWay = life.phase.kind === 'persisting' || life.phase.kind === 'calling';
  if (isUnderWay) return ignore({ ...life, stopping: true });
  return abandon({ ...life, stopping: true });
}

export { newLife } from './life.ts';
