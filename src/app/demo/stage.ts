/**
 * Where the demo plays: a service whose processor can be killed. On Kafka these are processes of their own; in memory
 * they are clients of one in-memory log, killed just as rudely.
 */
import { CodedError } from '../../base/errors.ts';
import { createEnvelopeType } from '../../fibric/avro.ts';
import type { MemoryLog } from '../../kafka/memory/index.ts';
import type { Log } from '../../kafka/port.ts';
import { WireEncoder } from '../../kafka/wire.ts';
import { createActCodec } from '../acting.ts';
import { masterKeysOf, openControl } from '../control/open.ts';
import type { ConnectionStore } from '../control/store.ts';
import { openLog } from '../log.ts';
import { startPolling } from '../roles/polling.ts';
import { startProcessRole } from '../roles/process.ts';
import type { Role } from '../roles/role.ts';
import { SCHEMA_KINDS, SCHEMAS, type SchemaIds } from '../schemas.ts';
import { type Service, startService } from '../service.ts';
import type { Settings } from '../settings.ts';
import { createMetrics, type Logger } from '../telemetry.ts';
import { openVendor, type Vendor } from '../vendor.ts';
import { DemoChild } from './child.ts';

export interface Stage {
  readonly log: Log;
  readonly connections: ConnectionStore;
  /** Another client of the same log; whoever gets it closes it. */
  connect(): Log;
  /** Base URL of the receiver. */
  readonly url: string;
  startProcessor(): Promise<void>;
  /** SIGKILL, or what comes to the same. */
  killProcessor(): Promise<void>;
  startPoller(): Promise<void>;
  startActors(options: ActorOptions): Promise<Actors>;
  close(): Promise<void>;
}

export interface ActorOptions {
  readonly kustomerBaseUrl: string;
  /** Where Kustomer reaches the receiver. */
  readonly publicUrl: string;
  readonly adminToken: string;
}

/** The roles `api` and `sink`. */
export interface Actors {
  /** Base URL of the API. */
  readonly url: string;
}

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;

/** What a registry would give, where there is none. */
const SCHEMA_IDS = { envelope: 1, command: 2, receipt: 3 } as const satisfies SchemaIds;
const IN_MEMORY = {
  schemaById: async (id: number): Promise<string> => {
    const kind = SCHEMA_KINDS.find((one) => SCHEMA_IDS[one] === id);
    if (kind === undefined) throw new CodedError('schema_unknown', 'no schema has this id', { id });
    return JSON.stringify(SCHEMAS[kind].schema());
  },
};

export async function kafkaStage(log: Log, settings: Settings, env: NodeJS.ProcessEnv, logger: Logger): Promise<Stage> {
  const start = (role: string, more: NodeJS.ProcessEnv = {}) =>
    DemoChild.start({ args: ['serve', '--roles', role], env: { ...env, ...more }, startTimeoutMs: START_TIMEOUT_MS });
  const receiver = await start('ingest');
  const connections = await openControl({ log, settings, logger });
  let processor: DemoChild | undefined;
  let poller: DemoChild | undefined;
  let actors: DemoChild | undefined;
  return {
    log,
    connections,
    connect: () => openLog(settings, logger),
    url: receiver.url,
    startProcessor: async () => {
      processor = await start('process');
    },
    killProcessor: async () => processor?.crash(),
    startPoller: async () => {
      poller = await start('poll');
    },
    startActors: async ({ kustomerBaseUrl, publicUrl, adminToken }) => {
      actors = await start('api,sink', {
        KUSTOMER_BASE_URL: kustomerBaseUrl,
        PUBLIC_URL: publicUrl,
        CN_ADMIN_TOKEN: adminToken,
      });
      return { url: actors.url };
    },
    close: async () => {
      await Promise.all([receiver, processor, poller, actors].map((child) => child?.stop(STOP_TIMEOUT_MS)));
      await connections.close();
      await log.close();
    },
  };
}

export async function memoryStage(
  log: MemoryLog,
  settings: Settings,
  logger: Logger,
  crashed: (error: unknown) => void,
): Promise<Stage> {
  const metrics = createMetrics();
  const encoder = new WireEncoder({ schemaId: SCHEMA_IDS.envelope, type: createEnvelopeType() });
  const encode = encoder.encode.bind(encoder);
  const connections = await openControl({ log, settings, logger });
  const common = { settings, logger, metrics, connections, encode, crashed };
  const receiver = await startService({ ...common, roles: ['ingest'], log });
  const urlOf = ({ address }: Service): string => `http://${address.address}:${address.port}`;
  let client: MemoryLog | undefined;
  let processor: Role | undefined;
  let poller: Role | undefined;
  let vendor: Vendor | undefined;
  let actors: Service | undefined;
  return {
    log,
    connections,
    connect: () => log.connect(),
    url: urlOf(receiver),
    startProcessor: async () => {
      client = log.connect();
      // The role alone, without a server: what is killed must hold no handle that would keep this process alive.
      processor = await startProcessRole({ ...common, log: client, metrics: createMetrics() });
    },
    killProcessor: async () => client?.kill(),
    startPoller: async () => {
      const own = { ...common, log: log.connect(), metrics: createMetrics() };
      vendor = await openVendor(own);
      poller = await startPolling({ ...own, clients: vendor.clients });
    },
    startActors: async ({ adminToken, ...urls }) => {
      const own = { ...common, log: log.connect(), metrics: createMetrics() };
      const masterKeys = await masterKeysOf(settings);
      actors = await startService({
        ...{ ...own, settings: { ...settings, ...urls, adminToken } },
        roles: ['api', 'sink'],
        act: createActCodec({ registry: IN_MEMORY, ids: { receipt: SCHEMA_IDS.receipt }, masterKeys }),
        api: {
          registry: IN_MEMORY,
          ids: { command: SCHEMA_IDS.command },
          announce: () => undefined,
          registerTenant: async () => undefined,
        },
      });
      return { url: urlOf(actors) };
    },
    close: async () => {
      await Promise.all([receiver.close(), processor?.close(), poller?.close(), actors?.close()]);
      await vendor?.close();
      await connections.close();
    },
  };
}
