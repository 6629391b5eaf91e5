/**
 * The gates ahead of the turn, so that a busy lane need not wait for the log between two calls: what waits in it is looked up,
 * decided, given its place in the limit and written down as `in_flight` while others are called.
 *
 *   queued ─► checking ─► deciding ─► reserving ─► persisting ─► prepared ──turn──► checking ─► deciding ─► calling
 *     ▲          └───────────┴────────────┘ anything but a plain yes
 *     └─ as if nothing had been asked
 *
 * C13 before its turn a command comes as far as a durable `in_flight` of its own and no further: it is not called, does not end,
 *     and reads nothing back. At its turn ledger, deadline, policy and place are asked again
 */
import type { LedgerEntry } from '../ledger/entry.ts';
import type { LifecycleEffect, LifecycleEvent } from './events.ts';
import { asking, type Context, type Life, newLife, type Step } from './life.ts';

const GATES: ReadonlySet<LifecycleEffect['kind']> = new Set(['look_up', 'ask_policy', 'reserve', 'persist']);

export function beginAhead(life: Life, { at }: Context): Step {
  const begun = { ...life, isAhead: true, startedAtMs: at.nowMs, turnAtMs: at.nowMs };
  return asking(begun, { kind: 'checking' }, (ask) => ({ kind: 'look_up', ask }));
}

/** `proceed`: what the event would come to if it were the command's turn. */
export function stepAhead(life: Life, event: LifecycleEvent, { at }: Context, proceed: () => Step): Step {
  if (event.kind === 'turn') {
    const begun = { ...life, isAhead: false, startedAtMs: at.nowMs, turnAtMs: at.nowMs };
    const isAsked = life.phase.kind !== 'prepared';
    if (isAsked) return { life: begun, effects: [] };
    return asking(begun, { kind: 'checking' }, (ask) => ({ kind: 'look_up', ask }));
  }
  if (life.phase.kind === 'persisting' && event.kind === 'persisted' && !life.stopping) {
    const { entry } = life.phase;
    return { life: { ...life, entry, proof: 'refused', phase: { kind: 'prepared' } }, effects: [] };
  }
  const step = proceed();
  if (life.stopping || step.effects.every(({ kind }) => GATES.has(kind))) return step;
  // The number is not used again: an answer that is still to come belongs to nobody.
  const untouched = { ...newLife(life.command, life.epoch), ask: life.ask + 1 };
  return { life: { ...untouched, phase: { kind: 'queued' } }, effects: [] };
}

/** Whether it stands in the ledger as it was prepared: nobody has settled it in the meantime. */
export function isPrepared({ entry, proof, epoch, command }: Life, found: LedgerEntry | null): boolean {
  if (entry?.kind !== 'in_flight' || proof !== 'refused' || found?.kind !== 'in_flight') return false;
  return found.epoch === epoch && found.receiptId === command.receiptId;
}
