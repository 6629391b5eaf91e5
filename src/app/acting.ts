/**
 * What roles that act share within one unit: policies and grants, the book of limits, and how records of commands and receipts
 * are read and written.
 */
import { createCommandType, createReceiptType } from '../fibric/commands/avro.ts';
import type { WireCommand } from '../fibric/commands/command.ts';
import type { WireReceipt } from '../fibric/commands/receipt-fields.ts';
import type { Log } from '../kafka/port.ts';
import type { SchemaRegistryPort } from '../kafka/registry.ts';
import { topicNames } from '../kafka/topics.ts';
import { WireDecoder, WireEncoder } from '../kafka/wire.ts';
import { ANSWER_KEY_PURPOSE, type AnswerMac, createAnswerMac } from '../sinks/answers/mac.ts';
import { openQuotaBook, type QuotaBook } from '../sinks/quota/book.ts';
import { deriveKeys } from './control/derive.ts';
import { type Documents, openDocuments } from './control/documents.ts';
import { type GrantStore, openGrantStore } from './control/grant-store.ts';
import { openPolicyStore, type PolicyStore } from './control/policy-store.ts';
import type { SchemaIds } from './schemas.ts';
import type { Settings } from './settings.ts';
import type { Logger, Metrics } from './telemetry.ts';

/** Records of the act path, and who may say what in them. */
export interface ActCodec {
  /** Commands, of any version there ever was. */
  readonly commands: WireDecoder<WireCommand>;
  readonly encodeReceipt: (receipt: WireReceipt) => Buffer;
  readonly answers: AnswerMac;
}

export interface ActCodecOptions {
  readonly registry: Pick<SchemaRegistryPort, 'schemaById'>;
  readonly ids: Pick<SchemaIds, 'receipt'>;
  readonly masterKeys: readonly Buffer[];
}

export function createActCodec({ registry, ids, masterKeys }: ActCodecOptions): ActCodec {
  const receipts = new WireEncoder({ schemaId: ids.receipt, type: createReceiptType() });
  return {
    commands: new WireDecoder<WireCommand>({
      readerType: createCommandType() as never,
      fetchSchema: (schemaId) => registry.schemaById(schemaId),
    }),
    encodeReceipt: (receipt) => receipts.encode(receipt),
    answers: createAnswerMac(deriveKeys(masterKeys, ANSWER_KEY_PURPOSE)),
  };
}

export interface ActingOptions {
  readonly settings: Pick<Settings, 'topicPrefix'>;
  readonly log: Log;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface Acting {
  readonly documents: Documents;
  readonly policies: PolicyStore;
  readonly grants: GrantStore;
  readonly quota: QuotaBook;
  health(): { readonly ready: boolean; readonly detail: unknown };
  close(): Promise<void>;
}

/** Resolves when all of it is caught up: what is decided before could allow what is forbidden. */
export async function openActing({ settings, log, logger, metrics }: ActingOptions): Promise<Acting> {
  const names = topicNames(settings.topicPrefix);
  const documents = await openDocuments({ log, topic: names.control, logger });
  const quota = await openQuotaBook({
    log,
    topics: names,
    observer: {
      answered: (answer, waitedMs) => {
        metrics.add('cnk_quota_reservations_total', 1, { answer });
        metrics.observe('cnk_quota_wait_seconds', waitedMs / 1000);
      },
      failed: (doing, err) => logger.warn({ event: 'quota.failed', doing, err }, 'limits are not being counted'),
    },
  }).catch(async (error) => {
    await documents.close().catch(() => undefined); // the cause matters
    throw error;
  });
  return {
    documents,
    policies: openPolicyStore(documents, log.clock),
    grants: openGrantStore(documents, log.clock),
    quota,
    health: () => {
      const [told, counted] = [documents.health(), quota.health()];
      return {
        ready: told.ready && counted.ready,
        detail: { documents: told.detail, quota: counted.detail },
      };
    },
    close: async () => {
      await quota.close();
      await documents.close();
    },
  };
}
