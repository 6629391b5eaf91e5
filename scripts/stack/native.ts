/** Kafka and the registry as JVM processes of this machine: what `make up` and the tests start where no Docker answers. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fetchArtifacts } from './artifacts.ts';
import { type BrokerOptions, brokerAddress, brokerReady, launchBroker } from './broker.ts';
import { findJava } from './java.ts';
import { type OwnedProcess, signal, stopProcess } from './owned-process.ts';
import { freePorts } from './ports.ts';
import { launchRegistry, registryReady, registryUrl } from './registry.ts';

export interface NativeStackOptions {
  /** Records, logs and configuration; kept over restarts, removed by whoever made it. */
  readonly dataDir: string;
  readonly registry: boolean;
  /** Ports to use where they are free. Default: any. */
  readonly preferredPorts?: { readonly broker: number; readonly registry: number };
  readonly maxHeapMb?: number;
  readonly report?: (line: string) => void;
  /** Told of every process the moment it runs, so that it can be recorded before anything else can go wrong. */
  readonly started?: (kind: 'broker' | 'registry', owned: OwnedProcess) => void;
}

export interface NativeStack {
  /** `127.0.0.1:<port>`; stays the same over stopBroker and startBroker. */
  readonly brokers: string;
  /** Null when started without a registry. */
  readonly registryUrl: string | null;
  /** Process id of the broker as it runs now. */
  readonly brokerPid: number;
  /** Every process running now. */
  processes(): readonly OwnedProcess[];
  /** SIGSTOP: connections stay open, nothing is answered. */
  pauseBroker(): void;
  resumeBroker(): void;
  /** Orderly by default; `SIGKILL` is a crash. Resolves when the process is gone. */
  stopBroker(how?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** On the same port and data. Resolves when it answers. */
  startBroker(): Promise<void>;
  stop(): Promise<void>;
}

const STOP_DEADLINE_MS = 20_000;

/** Starts them and resolves when both answer. Stops what it started when one does not. */
export async function startNativeStack(options: NativeStackOptions): Promise<NativeStack> {
  const report = options.report ?? (() => {});
  const java = findJava();
  const artifacts = fetchArtifacts(report);
  mkdirSync(options.dataDir, { recursive: true });
  const [port = 0, controllerPort = 0, registryPort = 0] = await freePorts([
    options.preferredPorts?.broker ?? null,
    null,
    options.preferredPorts?.registry ?? null,
  ]);

  const brokerOptions: BrokerOptions = {
    java,
    kafkaLib: artifacts.kafkaLib,
    folder: join(options.dataDir, 'kafka'),
    port,
    controllerPort,
    maxHeapMb: options.maxHeapMb ?? 768,
    report,
  };
  const brokers = brokerAddress(port);
  let broker = launchBroker(brokerOptions);
  let registry: OwnedProcess | null = null;
  const stop = async (): Promise<void> => {
    // The registry first: it would only complain about the missing broker.
    if (registry !== null) await stopProcess(registry, STOP_DEADLINE_MS);
    await stopProcess(broker, STOP_DEADLINE_MS);
  };

  try {
    options.started?.('broker', broker);
    report(`starting Kafka on ${brokers}`);
    await brokerReady(brokerOptions, broker);
    if (options.registry) {
      const folder = join(options.dataDir, 'registry');
      const registryOptions = { java, registryJar: artifacts.registryJar, folder, port: registryPort, brokers, report };
      report(`starting the schema registry on ${registryUrl(registryPort)}`);
      registry = launchRegistry(registryOptions);
      options.started?.('registry', registry);
      await registryReady(registryOptions, registry);
    }
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    brokers,
    registryUrl: registry === null ? null : registryUrl(registryPort),
    get brokerPid() {
      return broker.pid;
    },
    processes: () => (registry === null ? [broker] : [broker, registry]),
    pauseBroker: () => void signal(broker, 'SIGSTOP'),
    resumeBroker: () => void signal(broker, 'SIGCONT'),
    stopBroker: async (how = 'SIGTERM') => {
      if (how === 'SIGKILL') signal(broker, 'SIGKILL');
      await stopProcess(broker, STOP_DEADLINE_MS);
    },
    startBroker: async () => {
      broker = launchBroker(brokerOptions);
      options.started?.('broker', broker);
      await brokerReady(brokerOptions, broker);
    },
    stop,
  };
}
