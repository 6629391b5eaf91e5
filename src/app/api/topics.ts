/** A tenant's events and receipts as the API reads them. */
import type { StoredEnvelope, TopicPort } from '../../api/data/ports.ts';
import { createReceiptType } from '../../fibric/commands/avro.ts';
import type { WireReceipt } from '../../fibric/commands/receipt-fields.ts';
import type { SchemaRegistryPort } from '../../kafka/registry.ts';
import type { TopicNames } from '../../kafka/topics.ts';
import { WireDecoder } from '../../kafka/wire.ts';

export interface TopicPortsOptions {
  readonly names: TopicNames;
  readonly registry: Pick<SchemaRegistryPort, 'schemaById'>;
}

export function openTopicPorts({ names, registry }: TopicPortsOptions): {
  readonly events: TopicPort<StoredEnvelope>;
  readonly receipts: TopicPort<WireReceipt>;
} {
  const fetchSchema = (schemaId: number) => registry.schemaById(schemaId);
  // By the schema they were written with: event types that are newer than this process are shown too.
  const envelopes = new WireDecoder<StoredEnvelope>({ fetchSchema });
  const receipts = new WireDecoder<WireReceipt>({ readerType: createReceiptType() as never, fetchSchema });
  return {
    events: { topic: (tenantId) => names.events(tenantId), decode: (value) => envelopes.read(value) },
    receipts: { topic: (tenantId) => names.receipts(tenantId), decode: (value) => receipts.read(value) },
  };
}
