/**
 * Where the demo plays: a service whose processor can be killed. On Kafka these are processes of their own; in memory
 * they are clients of one in-memory log, killed just as rudely.
 */
import { createEnvelopeType } from '../../fibric/avro.ts';
import type { MemoryLog } from '../../kafka/memory/index.ts';
import type { Log } from '../../kafka/port.ts';
import { WireEncoder } from '../../kafka/wire.ts';
import { openControl } from '../control/open.ts';
import type { ConnectionStore } from '../control/store.ts';
import { openLog } from '../log.ts';
import { startPolling } from '../roles/polling.ts';
import { startProcessRole } from '../roles/process.ts';
import type { Role } from '../roles/role.ts';
import { startService } from '../service.ts';
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
  close(): Promise<void>;
}

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;

export async function kafkaStage(log: Log, settings: Settings, env: NodeJS.ProcessEnv, logger: Logger): Promise<Stage> {
  const start = (role: string) =>
    DemoChild.start({ args: ['serve', '--roles', role], env, startTimeoutMs: START_TIMEOUT_MS });
  const receiver = await start('ingest');
  const connections = await openControl({ log, settings, logger });
  let processor: DemoChild | undefined;
  let poller: DemoChild | undefined;
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
    close: async () => {
      await Promise.all([receiver, processor, poller].map((child) => child?.stop(STOP_TIMEOUT_MS)));
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
  const encoder = new WireEncoder({ schemaId: 1, type: createEnvelopeType() });
  const encode = encoder.encode.bind(encoder);
  const connections = await openControl({ log, settings, logger });
  const common = { settings, logger, metrics, connections, encode, crashed };
  const receiver = await startService({ ...common, roles: ['ingest'], log });
  let client: MemoryLog | undefined;
  let processor: Role | undefined;
  let poller: Role | undefined;
  let vendor: Vendor | undefined;
  return {
    log,
    connections,
    connect: () => log.connect(),
    url: `http://${receiver.address.address}:${receiver.address.port}`,
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
    close: async () => {
      await Promise.all([receiver.close(), processor?.close(), poller?.close()]);
      await vendor?.close();
      await connections.close();
    },
  };
}
