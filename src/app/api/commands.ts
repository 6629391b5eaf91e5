/** Publishing commands and answers: acknowledged by all replicas, or refused in time. */
import type { CommandsPort } from '../../api/data/ports.ts';
import { createCommandType } from '../../fibric/commands/avro.ts';
import type { WireCommand } from '../../fibric/commands/command.ts';
import { BatchingProducer } from '../../kafka/batching-producer.ts';
import { HEADER } from '../../kafka/headers.ts';
import type { Append, Log } from '../../kafka/port.ts';
import { receiptsTopic, type TopicNames, type TopicSettings } from '../../kafka/topics.ts';
import { WireEncoder } from '../../kafka/wire.ts';
import type { AnswerMac } from '../../sinks/answers/mac.ts';
import { testHeaders } from '../../sinks/runner/connector-test.ts';
import { TenantTopics } from '../topic-settings.ts';

export interface CommandPublisherOptions {
  readonly log: Log;
  readonly names: Pick<TopicNames, 'commands'>;
  readonly topics: TopicSettings;
  /** Of the command's schema. */
  readonly schemaId: number;
  /** How far the control topic is known here: whoever carries commands out knows as much before it judges them. */
  readonly controlAt: () => number;
  /** Signs what only the API may publish. */
  readonly mac: AnswerMac;
}

export interface CommandPublisher extends CommandsPort {
  encode(command: WireCommand): Buffer;
  /** In this order, one after another: each is there for good before the next is sent. */
  append(records: readonly Append[]): Promise<void>;
  health(): { readonly failuresInARow: number; readonly lastError: string | null };
  close(): Promise<void>;
}

export async function openCommandPublisher(options: CommandPublisherOptions): Promise<CommandPublisher> {
  const { log, names, topics, schemaId, controlAt, mac } = options;
  const encoder = new WireEncoder<WireCommand>({ schemaId, type: createCommandType() });
  const receipts = new TenantTopics(log, (tenantId) => receiptsTopic(topics, tenantId));
  const producer = new BatchingProducer({
    producers: [await log.producer({ clientId: 'api-commands' })],
    clock: log.clock,
  });
  const append = async (records: readonly Append[]): Promise<void> => {
    for (const record of records) await producer.append(record);
  };
  return {
    encode: (command) => encoder.encode(command),
    append,
    publish: (command, key) => {
      const value = encoder.encode(command);
      const headers = {
        [HEADER.tenant]: command.tenant_id,
        [HEADER.connection]: command.connection,
        [HEADER.commandId]: command.command_id,
        [HEADER.controlAt]: String(controlAt()),
        ...testHeaders(command.operator, value, mac),
      };
      return append([{ topic: names.commands, key: Buffer.from(key), value, headers }]);
    },
    ensureReceipts: async (tenantId) => receipts.ensure(tenantId),
    health: () => {
      const { failuresInARow, lastError } = producer.health;
      return { failuresInARow, lastError };
    },
    close: () => producer.close(),
  };
}
