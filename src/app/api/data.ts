/** What the API's part on events, receipts, actions, approvals and reads is made of here. */
import { randomBytes } from 'node:crypto';
import { type DataPart, openData } from '../../api/data/index.ts';
import type { DataPorts } from '../../api/data/ports.ts';
import { CodedError } from '../../base/errors.ts';
import type { Log } from '../../kafka/port.ts';
import type { SchemaRegistryPort } from '../../kafka/registry.ts';
import { topicNames } from '../../kafka/topics.ts';
import { openWaiting, type WaitingView } from '../../sinks/answers/waiting.ts';
import type { ActCodec, Acting } from '../acting.ts';
import type { ConnectionStore } from '../control/store.ts';
import type { Clients } from '../poll/clients.ts';
import type { SchemaIds } from '../schemas.ts';
import type { Settings } from '../settings.ts';
import { openCommandConnections } from '../sink/connections.ts';
import type { Logger } from '../telemetry.ts';
import { topicSettings } from '../topic-settings.ts';
import { openCommandPublisher } from './commands.ts';
import { openReadPort } from './read.ts';
import { openTopicPorts } from './topics.ts';
import { openWaitingPort } from './waiting.ts';

export interface DataPartOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly logger: Logger;
  readonly connections: Pick<ConnectionStore, 'get' | 'described' | 'onChange' | 'controlAt'>;
  readonly clients: Clients;
  readonly acting: Pick<Acting, 'grants' | 'documents'>;
  readonly codec: Pick<ActCodec, 'commands' | 'answers'>;
  readonly registry: Pick<SchemaRegistryPort, 'schemaById'>;
  readonly ids: Pick<SchemaIds, 'command'>;
  /** False once the token behind a caller is revoked or expired. */
  readonly isLive: DataPorts['isLive'];
}

export interface OpenedDataPart extends DataPart {
  health(): { readonly ready: boolean; readonly detail: unknown };
}

export async function openDataPart(options: DataPartOptions): Promise<OpenedDataPart> {
  const { settings, log, logger, connections: store, clients, acting, codec, registry, ids, isLive } = options;
  const names = topicNames(settings.topicPrefix);
  const connections = openCommandConnections({ store, clients, refused: () => false });
  let waiting: WaitingView | undefined;
  let closing = async (): Promise<void> => connections.close();
  try {
    waiting = await openWaiting({ log, topics: names, logger, decoder: codec.commands });
    const view = waiting;
    closing = async () => {
      connections.close();
      await view.close();
    };
    const publisher = await openCommandPublisher({
      log,
      names,
      topics: topicSettings(settings),
      schemaId: ids.command,
      controlAt: () => Math.max(store.controlAt(), acting.documents.controlAt()),
      mac: codec.answers,
    });
    const part = openData(
      {
        log,
        random: randomBytes,
        ...openTopicPorts({ names, registry }),
        commands: publisher,
        waiting: openWaitingPort({ view, publisher, names, mac: codec.answers }),
        read: openReadPort({ clientOf: (connection) => connections.client(connection) }),
        connections: {
          list: (tenantId) => store.described().filter((connection) => connection.tenantId === tenantId),
          find: (tenantId, ref) => connections.find(tenantId, ref),
        },
        grants: acting.grants,
        isLive,
        observer: {
          undecodable: ({ error, ...at }) =>
            logger.error(
              { event: 'api.undecodable', ...at, code: codeOf(error) },
              'a record cannot be read and is left out of lists and streams',
            ),
          followFailed: (topic, err) =>
            logger.warn({ event: 'api.follow_failed', topic, err }, 'following a topic failed; it is begun again'),
        },
      },
      { maxBytes: settings.apiRecentMaxBytes },
    );
    return {
      ...part,
      health: () => {
        const waits = view.health();
        const commands = publisher.health();
        return {
          ready: waits.ready && commands.failuresInARow === 0,
          detail: { waiting: waits.detail, commands, recent: part.recent() },
        };
      },
      close: async () => {
        await part.close();
        await publisher.close();
        await closing();
      },
    };
  } catch (error) {
    await closing().catch(() => undefined); // the cause matters
    throw error;
  }
}

function codeOf(error: unknown): string {
  return error instanceof CodedError ? error.code : 'internal';
}
