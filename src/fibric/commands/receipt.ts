/**
 * The receipt of a command. Pure, and the only place where one is made.
 *
 * T1 The receipt's id comes with the record it is about: made again, or by another owner, it is the same receipt.
 * T2 A verdict and an outcome that contradict each other cannot be said together: see `Disposed`.
 * T3 No arguments and no credentials: texts that come from elsewhere are scrubbed and bounded.
 */
import type { ErrorCode } from '../../base/errors.ts';
import type { CommandFacts } from './command.ts';
import type { Problem } from './field-reader.ts';
import { instantText } from './instant.ts';
import type { WireReceipt } from './receipt-fields.ts';
import { scrub } from './scrub.ts';

export const CONNECTOR = 'cn-kustomer';

export const OUTCOMES = ['applied', 'refused', 'deduplicated', 'failed', 'dry_run'] as const;
export type ReceiptOutcome = (typeof OUTCOMES)[number];

export const DECISIONS = ['ALLOW', 'ALERT', 'BLOCK', 'DEDUP'] as const;
export type Decision = (typeof DECISIONS)[number];

export interface Verdict<D extends Decision = Decision> {
  readonly decision: D;
  readonly rule: string | null;
  readonly tier: number | null;
}

export interface ReceiptError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly nextStep: string;
  readonly problems?: readonly Problem[];
}

export interface VendorObject {
  readonly type: 'note' | 'conversation' | 'message';
  readonly id: string | null;
}

/**
 * How it ended. ALERT stands for what a person has approved: it went on as ALLOW does, under the rule that asked for the
 * person. A refusal that no policy spoke (an invalid command, a conflict of keys, an expired approval) is BLOCK too; but not
 * one by the action itself, which read how things stand and would not do it: the policy had let it through, and is cited so.
 */
export type Disposed =
  | {
      readonly outcome: 'applied';
      readonly verdict: Verdict<'ALLOW' | 'ALERT'>;
      /** True when there was nothing to change. */
      readonly unchanged: boolean;
      readonly vendor: VendorObject;
    }
  | { readonly outcome: 'failed'; readonly verdict: Verdict<'ALLOW' | 'ALERT'>; readonly error: ReceiptError }
  | { readonly outcome: 'refused'; readonly verdict: Verdict<'BLOCK'>; readonly error: ReceiptError }
  | {
      readonly outcome: 'refused';
      readonly declinedBy: 'action';
      readonly verdict: Verdict<'ALLOW' | 'ALERT'>;
      readonly error: ReceiptError;
    }
  | { readonly outcome: 'deduplicated'; readonly verdict: Verdict<'DEDUP'>; readonly firstReceiptId: string }
  /** With the verdict it would have had live. */
  | { readonly outcome: 'dry_run'; readonly verdict: Verdict; readonly error?: ReceiptError };

/** What is known of the connection; all null where the tenant has none of that name. */
export interface ReceiptConnection {
  readonly connectionId: string | null;
  readonly resellerId: string | null;
  readonly workspaceId: string | null;
}

export interface ReceiptTimings {
  readonly receivedAtMs: number;
  readonly startedAtMs: number | null;
  readonly firstSentAtMs: number | null;
  readonly lastSentAtMs: number | null;
  readonly disposedAtMs: number;
}

export interface ReceiptInput {
  readonly facts: CommandFacts;
  /** `rc_…`, the same for the same command record however often it is processed. */
  readonly receiptId: string;
  /** Of the command record: partition and offset, `3:1042`. */
  readonly position: string;
  readonly connection: ReceiptConnection;
  readonly disposed: Disposed;
  readonly timings: ReceiptTimings;
  readonly fingerprint?: string | null;
  readonly policy?: { readonly name: string; readonly version: number } | null;
  readonly approver?: string | null;
  readonly attempts?: number;
  readonly reconciled?: boolean;
  readonly externalId?: string | null;
}

const MAX_MESSAGE_LENGTH = 1000;
const MAX_PROBLEMS = 20;

export function makeReceipt(input: ReceiptInput): WireReceipt {
  const { facts, position, connection, disposed, timings } = input;
  const error = 'error' in disposed && disposed.error !== undefined ? errorOf(disposed.error) : null;
  return {
    receipt_id: input.receiptId,
    command_id: facts.commandId,
    command_position: position,
    reseller_id: connection.resellerId,
    tenant_id: facts.tenantId,
    workspace_id: connection.workspaceId,
    connector: CONNECTOR,
    connection: facts.connection,
    connection_id: connection.connectionId,
    capability: facts.capability,
    entity_key: facts.entityKey,
    idempotency_key: facts.idempotencyKey,
    fingerprint: input.fingerprint ?? null,
    operator: facts.operator,
    agent_id: facts.agentId,
    plan_id: facts.planId,
    action_id: facts.actionId,
    event_id: facts.eventId,
    correlation_id: facts.correlationId,
    mode: facts.mode,
    verdict: disposed.verdict,
    policy: input.policy ?? null,
    approver: input.approver ?? null,
    outcome: disposed.outcome,
    unchanged: disposed.outcome === 'applied' && disposed.unchanged,
    first_receipt_id: disposed.outcome === 'deduplicated' ? disposed.firstReceiptId : null,
    attempts: input.attempts ?? 0,
    reconciled: input.reconciled ?? false,
    external_id: input.externalId ?? null,
    vendor: disposed.outcome === 'applied' ? disposed.vendor : null,
    timings: {
      requested_at: textOf(facts.requestedAtMs),
      received_at: instantText(timings.receivedAtMs),
      started_at: textOf(timings.startedAtMs),
      first_sent_at: textOf(timings.firstSentAtMs),
      last_sent_at: textOf(timings.lastSentAtMs),
      disposed_at: instantText(timings.disposedAtMs),
    },
    error,
  };
}

function errorOf({ code, message, nextStep, problems = [] }: ReceiptError): WireReceipt['error'] {
  return {
    code,
    message: bounded(message),
    next_step: bounded(nextStep),
    problems: problems
      .slice(0, MAX_PROBLEMS)
      .map((problem) => ({ field: problem.field, code: problem.code, message: bounded(problem.message) })),
  };
}

/** Scrubbed before it is cut: half a credential would no longer look like one. */
function bounded(text: string): string {
  const clean = scrub(text);
  return clean.length <= MAX_MESSAGE_LENGTH ? clean : `${clean.slice(0, MAX_MESSAGE_LENGTH - 1).toWellFormed()}…`;
}

function textOf(ms: number | null): string | null {
  return ms === null ? null : instantText(ms);
}
