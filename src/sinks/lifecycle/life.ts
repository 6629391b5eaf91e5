/** One command's life as it is known between two events, and the two things every part of the machine does with it. */
import type { ErrorCode } from '../../base/errors.ts';
import { MAX_TEXT_LENGTH } from '../ledger/codec.ts';
import {
  type Failed,
  type Held,
  type InFlight,
  type LedgerChange,
  type LedgerEntry,
  NO_POLICY,
} from '../ledger/entry.ts';
import { advance, type LedgerMove, type Proof } from '../ledger/moves.ts';
import type { LifecycleConfig } from './config.ts';
import type { LifecycleEffect, LiveCommand, Moment, PolicyDecision, ReceiptFacts } from './events.ts';

export type Phase =
  | { readonly kind: 'received' | 'queued' | 'checking' | 'deciding' | 'reserving' | 'deferred' | 'calling' }
  /** Ahead of its turn. */
  | { readonly kind: 'prepared' }
  /** Waits to read back; reads. */
  | { readonly kind: 'settling' | 'reading'; readonly trace: Trace }
  /** Waits until it may be parked. */
  | { readonly kind: 'parking'; readonly trace: Trace; readonly why: string }
  | { readonly kind: 'persisting'; readonly entry: InFlight }
  | { readonly kind: 'finished' | 'abandoned' };

/** The reading back after one call of unknown outcome. */
export interface Trace {
  /** Nothing of the call is on the wire from here on. */
  readonly openMs: number;
  /** From here on a read that does not find it counts towards absence. */
  readonly proofFromMs: number;
  readonly reads: number;
  readonly absents: number;
  readonly lastAbsentMs: number | null;
}

export interface Life {
  readonly phase: Phase;
  readonly command: LiveCommand;
  /** Of the owner. */
  readonly epoch: number;
  /** The last number given out; only its answer counts. */
  readonly ask: number;
  readonly stopping: boolean;
  /** Its turn has not come; see ahead.ts. */
  readonly isAhead: boolean;
  /** When it was first taken up, by whichever owner; and when by this one. */
  readonly startedAtMs: number | null;
  readonly turnAtMs: number;
  /** As it is durable. */
  readonly entry: LedgerEntry | null;
  /** As it was before we began. */
  readonly before: Failed | Held | null;
  /** What is known of the call of `entry`, when that is in flight. `none`: it may happen, or have happened. */
  readonly proof: Proof;
  readonly decision: PolicyDecision | null;
  /** Until then calls may be sent on the place it has in the limit; of the past when it has none. */
  readonly placeUntilMs: number;
  readonly attempts: number;
  readonly conflicts: number;
  readonly resends: number;
  readonly deferrals: number;
}

export interface Step {
  readonly life: Life;
  readonly effects: readonly LifecycleEffect[];
}

/** What a part of the machine is handed with each event. */
export interface Context {
  readonly at: Moment;
  readonly config: LifecycleConfig;
}

export function newLife(command: LiveCommand, epoch: number): Life {
  return {
    phase: { kind: 'received' },
    command,
    epoch,
    ask: 0,
    stopping: false,
    isAhead: false,
    startedAtMs: null,
    turnAtMs: 0,
    entry: null,
    before: null,
    proof: 'none',
    decision: null,
    placeUntilMs: Number.NEGATIVE_INFINITY,
    attempts: 0,
    conflicts: 0,
    resends: 0,
    deferrals: 0,
  };
}

/** Moves on and asks; the answer must carry the new number. */
export function asking(life: Life, phase: Phase, effect: (ask: number) => LifecycleEffect): Step {
  const ask = life.ask + 1;
  return { life: { ...life, phase, ask }, effects: [effect(ask)] };
}

export type Ending = Pick<ReceiptFacts, 'decision' | 'outcome'> & Partial<ReceiptFacts>;

/** C3: the only place that ends a command. The ending overrides what the life tells of itself. */
export function finish(life: Life, { at }: Context, move: LedgerMove | null, ending: Ending | null): Step {
  const { command, entry, decision, attempts, startedAtMs } = life;
  const change = move === null ? null : { identity: command.identity, entry: advance(entry, move) };
  const receipt: ReceiptFacts | null = ending && {
    receiptId: command.receiptId,
    policy: decision?.policy ?? (entry?.kind === 'in_flight' ? entry.policy : NO_POLICY),
    code: null,
    message: null,
    firstReceiptId: null,
    vendorId: null,
    unchanged: false,
    approvedBy: command.approvedBy,
    attempts,
    reconciled: false,
    startedAtMs,
    finishedAtMs: at.nowMs,
    ...ending,
  };
  return { life: { ...life, phase: { kind: 'finished' } }, effects: [{ kind: 'finish', change, receipt }] };
}

/** What the policy said; to another owner, when the call was its. Nothing is let through that nobody was asked about. */
export function decisionOf({ decision, entry }: Life): ReceiptFacts['decision'] {
  if (decision !== null) return decision.decision;
  if (entry?.kind !== 'in_flight') return 'BLOCK';
  return entry.approvedBy === null ? 'ALLOW' : 'ALERT';
}

/** It happened. An id of Kustomer's that is longer than any would not fit the ledger and tells nobody anything. */
export function finishApplied(life: Life, context: Context, facts: Partial<ReceiptFacts>): Step {
  const vendorId = (facts.vendorId?.length ?? 0) > MAX_TEXT_LENGTH ? null : (facts.vendorId ?? null);
  const move = { kind: 'complete', atMs: context.at.nowMs, vendorId } as const;
  return finish(life, context, move, { decision: decisionOf(life), outcome: 'applied', ...facts, vendorId });
}

interface Undone {
  readonly code: ErrorCode;
  readonly message: string;
  /** By our rules, whatever the policy decided. */
  readonly blocked?: boolean;
  /** By the action itself, which was allowed. */
  readonly declined?: boolean;
}

/** It surely did not happen, and will not. Where the ledger holds the command, it is written down as failed. */
export function finishUndone(
  life: Life,
  context: Context,
  { code, message, blocked = false, declined = false }: Undone,
): Step {
  const { entry, epoch, proof, attempts } = life;
  const isHeldHere = entry?.kind === 'in_flight' || entry?.kind === 'held';
  const move = isHeldHere ? ({ kind: 'fail', atMs: context.at.nowMs, code, epoch, proof } as const) : null;
  return finish(life, context, move, {
    // What was given up before any call was refused by our rules, though no policy spoke.
    decision: blocked || (attempts === 0 && !declined) ? 'BLOCK' : decisionOf(life),
    outcome: blocked || declined || attempts === 0 ? 'refused' : 'failed',
    code,
    message,
  });
}

/**
 * C9: leaves the record unfinished. If we know that nothing happened, the ledger says so again, which saves the next owner
 * the reading back; but not for an approval, whose hold must not be lost with us.
 */
export function abandon(life: Life): Step {
  const { entry, before, epoch, proof, command } = life;
  const isKnown = entry?.kind === 'in_flight' && proof !== 'none' && command.approvedBy === null;
  const change: LedgerChange | null = isKnown
    ? { identity: command.identity, entry: advance(entry, { kind: 'release', to: before, epoch, proof }) }
    : null;
  return { life: { ...life, phase: { kind: 'abandoned' } }, effects: [{ kind: 'abandon', change }] };
}

export function isOver({ phase }: Life): boolean {
  return phase.kind === 'finished' || phase.kind === 'abandoned';
}
