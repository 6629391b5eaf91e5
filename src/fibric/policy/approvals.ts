/**
 * Commands that a policy holds until a person says yes.
 *
 * A1 pending → approved | rejected | expired, and nothing leaves those three.
 * A2 From `expiresAtMs` on a pending command is expired, whether or not anybody has noticed: no answer counts any more.
 * A3 The same answer again changes nothing and says so; another answer is refused, and the first one stands.
 * A4 Approving asks for execution, it does not allow it: the policy decides again when the command's turn comes, and its
 *    BLOCK stands. Only the confirmation that an ALERT asks for has been given.
 * A5 What is to be done next follows from the state alone, so a crash between an answer and the deed repeats no answer.
 * A6 Time given in does not go back behind `heldAtMs`; an earlier one counts as that.
 */
import type { Citation } from './compile.ts';
import type { PolicyDecision } from './evaluate.ts';

/** As Fibric's plans expire. */
export const APPROVAL_TTL_MS = 72 * 3_600_000;

interface Held {
  readonly commandId: string;
  readonly heldAtMs: number;
  readonly expiresAtMs: number;
  /** The rule that asks for confirmation. */
  readonly citation: Citation;
}

export interface Answer {
  /** Who gave it. */
  readonly by: string;
  readonly atMs: number;
  readonly note: string | null;
}

export type Approval =
  | (Held & { readonly state: 'pending' })
  | (Held & { readonly state: 'approved' | 'rejected'; readonly answer: Answer })
  | (Held & { readonly state: 'expired'; readonly expiredAtMs: number });

export type ApprovalEvent =
  | {
      readonly kind: 'approve' | 'reject';
      readonly by: string;
      readonly note: string | null;
      readonly nowMs: number;
    }
  /** Time has passed; nothing else. */
  | { readonly kind: 'tick'; readonly nowMs: number };

export interface ApprovalStep {
  /** The very object given in when nothing changed. */
  readonly approval: Approval;
  /** `too_late`: another answer was given first, or it had expired. */
  readonly outcome: 'changed' | 'unchanged' | 'too_late';
}

export interface HoldRequest {
  readonly commandId: string;
  readonly citation: Citation;
  readonly nowMs: number;
  readonly ttlMs?: number;
}

export function holdCommand({ commandId, citation, nowMs, ttlMs = APPROVAL_TTL_MS }: HoldRequest): Approval {
  return { state: 'pending', commandId, heldAtMs: nowMs, expiresAtMs: nowMs + Math.max(0, ttlMs), citation };
}

export function answerApproval(approval: Approval, event: ApprovalEvent): ApprovalStep {
  const nowMs = Math.max(event.nowMs, approval.heldAtMs);
  if (approval.state !== 'pending') return { approval, outcome: repeats(approval, event) ? 'unchanged' : 'too_late' };
  if (nowMs >= approval.expiresAtMs) {
    const expired: Approval = { ...approval, state: 'expired', expiredAtMs: approval.expiresAtMs };
    return { approval: expired, outcome: event.kind === 'tick' ? 'changed' : 'too_late' };
  }
  if (event.kind === 'tick') return { approval, outcome: 'unchanged' };
  const answer: Answer = { by: event.by, atMs: nowMs, note: event.note };
  return {
    approval: { ...approval, state: event.kind === 'approve' ? 'approved' : 'rejected', answer },
    outcome: 'changed',
  };
}

function repeats({ state }: Approval, { kind }: ApprovalEvent): boolean {
  if (kind === 'tick') return true;
  return state === (kind === 'approve' ? 'approved' : 'rejected');
}

export type ApprovalNext =
  | { readonly do: 'wait'; readonly untilMs: number }
  /** Ask the policy again, then `afterApproval`. */
  | { readonly do: 'decide' }
  | { readonly do: 'refuse'; readonly cause: 'rejected' | 'expired'; readonly reason: string };

/** A5. Give it a `tick` first: a pending command whose time is over is still pending here. */
export function nextOfApproval(approval: Approval): ApprovalNext {
  switch (approval.state) {
    case 'pending':
      return { do: 'wait', untilMs: approval.expiresAtMs };
    case 'approved':
      return { do: 'decide' };
    case 'rejected':
      return { do: 'refuse', cause: 'rejected', reason: `${approval.answer.by} rejected it` };
    case 'expired':
      return { do: 'refuse', cause: 'expired', reason: 'nobody approved it in time' };
  }
}

/** A4: what the policy's new decision comes to for a command that was approved. */
export function afterApproval(approval: Approval, decision: PolicyDecision): 'execute' | 'refuse' | 'wait' {
  if (decision.decision === 'BLOCK') return 'refuse';
  if (approval.state === 'approved') return 'execute';
  return approval.state === 'pending' ? 'wait' : 'refuse';
}
