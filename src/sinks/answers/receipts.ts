/** The receipts of what was held and ends without being carried out, and of what nobody can ask about any more. Pure. */
import type { ErrorCode } from '../../base/errors.ts';
import type { CommandFacts } from '../../fibric/commands/command.ts';
import type { Problem } from '../../fibric/commands/field-reader.ts';
import { makeReceipt } from '../../fibric/commands/receipt.ts';
import type { WireReceipt } from '../../fibric/commands/receipt-fields.ts';
import type { Connection } from '../../fibric/connection.ts';
import type { Held, InFlight } from '../ledger/entry.ts';
import { externalIdOf } from '../ledger/identity.ts';
import { nextStepOf } from '../next-steps.ts';
import { connectionOf } from '../runner/receipts.ts';

export interface AboutCommand {
  readonly identity: string;
  readonly partition: number;
  readonly facts: CommandFacts;
  readonly connection: Connection | null;
}

export interface Reason {
  readonly code: ErrorCode;
  readonly message: string;
  readonly problems?: readonly Problem[];
}

export function endedHoldReceipt(about: AboutCommand, held: Held, reason: Reason, nowMs: number): WireReceipt {
  return receiptOf(about, held, nowMs, {
    outcome: 'refused',
    verdict: { decision: 'BLOCK', rule: held.policy.rule, tier: held.policy.tier },
    error: { ...reason, nextStep: nextStepOf(reason.code) },
  });
}

/** Of an approved call which may have happened, and cannot be read back: its connection is gone. */
export function parkedReceipt(about: AboutCommand, entry: InFlight, reason: Reason, nowMs: number): WireReceipt {
  const code = 'outcome_unknown';
  const message = `it is not known whether the write happened: ${reason.message}`;
  return receiptOf(about, entry, nowMs, {
    outcome: 'failed',
    verdict: { decision: 'ALERT', rule: entry.policy.rule, tier: entry.policy.tier },
    error: { code, message, nextStep: nextStepOf(code) },
  });
}

function receiptOf(
  { identity, partition, facts, connection }: AboutCommand,
  entry: Held | InFlight,
  nowMs: number,
  disposed: Parameters<typeof makeReceipt>[0]['disposed'],
): WireReceipt {
  const { receiptId, fingerprint, record } = entry;
  const { policy, version } = entry.policy;
  const startedAtMs = entry.kind === 'held' ? entry.atMs : entry.startedAtMs;
  const attempts = entry.kind === 'held' ? 0 : entry.attempt;
  return makeReceipt({
    facts,
    receiptId,
    position: record === null ? `${partition}:unknown` : `${partition}:${record.offset}`,
    connection: connectionOf(connection),
    disposed,
    timings: {
      receivedAtMs: record?.appendedAtMs ?? startedAtMs,
      startedAtMs,
      firstSentAtMs: null,
      lastSentAtMs: null,
      disposedAtMs: nowMs,
    },
    fingerprint,
    policy: policy === null || version === null ? null : { name: policy, version },
    approver: entry.kind === 'held' ? null : entry.approvedBy,
    attempts,
    externalId: attempts > 0 ? externalIdOf(identity) : null,
  });
}
