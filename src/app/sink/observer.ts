/** What the sink says of its work: one wide line for each command, and the metrics. No arguments of commands, no secrets. */
import type { WireReceipt } from '../../fibric/commands/receipt-fields.ts';
import type { SinkObserver } from '../../sinks/runner/ports.ts';
import type { Logger, Metrics } from '../telemetry.ts';
import type { ConnectionFaults } from './faults.ts';

export interface SinkObserverOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly faults: ConnectionFaults;
  readonly full: Set<number>;
  readonly nowMs: () => number;
}

export function createSinkObserver({ logger, metrics, faults, full, nowMs }: SinkObserverOptions): SinkObserver {
  return {
    disposed(receipt) {
      const { verdict, outcome, attempts, reconciled, error } = receipt;
      metrics.add('cnk_sink_commands_total', 1, { decision: verdict.decision, outcome });
      if (error !== null) metrics.add('cnk_sink_errors_total', 1, { code: error.code });
      if (attempts > 0) metrics.add('cnk_sink_writes_total', attempts);
      if (reconciled) metrics.add('cnk_sink_reconciled_total');
      const tookMs = tookMsOf(receipt);
      metrics.observe('cnk_sink_command_seconds', tookMs / 1000, { outcome });
      logger.info({ event: 'sink.disposed', ...lineOf(receipt), tookMs }, `${verdict.decision} ${outcome}`);
    },
    buried(code) {
      metrics.add('cnk_sink_dead_letters_total', 1, { code });
    },
    answerIgnored({ tenantId, receiptId, answer, by }, why) {
      logger.info({ event: 'sink.answer_ignored', tenantId, receiptId, answer, by, why }, why);
    },
    ambiguous({ tenantId, connectionId }) {
      metrics.add('cnk_sink_ambiguous_total');
      logger.warn({ event: 'sink.ambiguous', tenantId, connectionId }, 'a write left and its answer is missing');
    },
    faulted(connection, fault, message) {
      if (!faults.note(connection, fault, message, nowMs())) return;
      const { tenantId, connectionId } = connection;
      const line = { event: 'sink.connection_fault', tenantId, connectionId, fault, reason: message };
      logger.error(line, 'Kustomer refuses what is written through a connection');
    },
    succeeded({ tenantId, connectionId }) {
      if (!faults.clear(connectionId)) return;
      logger.info({ event: 'sink.connection_well', tenantId, connectionId }, 'writes go through the connection again');
    },
    passedOver(partition, tenantId) {
      const line = { event: 'sink.passed_over', partition, tenantId };
      logger.warn(line, 'a tenant sends more commands than are carried out; others are let by, and its own wait');
    },
    full(partition, isFull) {
      if (isFull) {
        full.add(partition);
        const line = { event: 'sink.ledger_full', partition };
        logger.error(line, 'the ledger is full: no command is taken up until there is room; raise LEDGER_MAX_BYTES');
      } else if (full.delete(partition)) {
        logger.info({ event: 'sink.ledger_room', partition }, 'the ledger has room again');
      }
    },
  };
}

/** From the append of the command to its outcome. */
function tookMsOf({ timings }: WireReceipt): number {
  return Math.max(0, Date.parse(timings.disposed_at) - Date.parse(timings.received_at));
}

function lineOf(receipt: WireReceipt) {
  const { verdict, policy, error, vendor } = receipt;
  return {
    receiptId: receipt.receipt_id,
    commandId: receipt.command_id,
    position: receipt.command_position,
    tenantId: receipt.tenant_id,
    connectionId: receipt.connection_id,
    capability: receipt.capability,
    entityKey: receipt.entity_key,
    idempotencyKey: receipt.idempotency_key,
    operator: receipt.operator,
    correlationId: receipt.correlation_id,
    mode: receipt.mode,
    decision: verdict.decision,
    policy: policy?.name ?? null,
    policyVersion: policy?.version ?? null,
    rule: verdict.rule,
    outcome: receipt.outcome,
    unchanged: receipt.unchanged,
    firstReceiptId: receipt.first_receipt_id,
    approver: receipt.approver,
    attempts: receipt.attempts,
    reconciled: receipt.reconciled,
    vendorId: vendor?.id ?? null,
    code: error?.code ?? null,
    reason: error?.message ?? null,
  };
}
