/** One Kafka broker, also its own controller, as a process on this machine. For development and tests. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive, type OwnedProcess, startDetached, tail } from './owned-process.ts';
import { kafkaAnswers } from './probe.ts';
import { waitUntil } from './wait.ts';

export interface BrokerOptions {
  readonly java: string;
  readonly kafkaLib: string;
  /** Holds the configuration, the log and the records; kept over restarts. */
  readonly folder: string;
  readonly port: number;
  readonly controllerPort: number;
  readonly maxHeapMb: number;
  readonly report: (line: string) => void;
}

const START_DEADLINE_MS = 90_000;

export function brokerAddress(port: number): string {
  return `127.0.0.1:${port}`;
}

/**
 * The broker's configuration. A static voter, not `--standalone` with its recorded voter set: the ports may differ from
 * one start to the next, and only the static form takes them from this file each time.
 */
export function brokerProperties(folder: string, port: number, controllerPort: number): string {
  const properties: Readonly<Record<string, string | number | boolean>> = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    listeners: `PLAINTEXT://${brokerAddress(port)},CONTROLLER://${brokerAddress(controllerPort)}`,
    'advertised.listeners': `PLAINTEXT://${brokerAddress(port)}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'controller.quorum.voters': `1@${brokerAddress(controllerPort)}`,
    'log.dirs': join(folder, 'data'),
    // Topics come from the one table in code; a misspelt name shall fail, not appear.
    'auto.create.topics.enable': false,
    // One broker cannot hold three copies.
    'default.replication.factor': 1,
    'min.insync.replicas': 1,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    // Fewer files and a faster start than with 50 partitions each.
    'offsets.topic.num.partitions': 8,
    'transaction.state.log.num.partitions': 8,
    // Else every new consumer group waits three seconds for members that do not come.
    'group.initial.rebalance.delay.ms': 0,
    // A crashed broker is only taken back once its session has expired; the default of nine seconds is a long wait.
    'broker.session.timeout.ms': 4_000,
    'broker.heartbeat.interval.ms': 500,
    // Raw bodies of up to 1 MiB with their headers, and batches of them.
    'message.max.bytes': 4 * 1024 * 1024,
    'replica.fetch.max.bytes': 4 * 1024 * 1024,
    // Compaction that tests can wait for, in little memory.
    'log.cleaner.threads': 1,
    'log.cleaner.dedupe.buffer.size': 8 * 1024 * 1024,
    'log.cleaner.backoff.ms': 500,
    // The registry's journal is a topic that sets no retention of its own: by the default of seven days it would
    // forget the schemas. Our own topics all set theirs.
    'log.retention.ms': -1,
    'log.retention.check.interval.ms': 60_000,
    'num.network.threads': 2,
    'num.io.threads': 4,
  };
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

function kafkaTool(options: BrokerOptions, args: readonly string[]): string {
  const run = spawnSync(options.java, ['-Xmx256m', '-cp', join(options.kafkaLib, '*'), ...args], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  if (run.status !== 0) throw new Error(`${args[0]} failed: ${run.error?.message ?? ''}${run.stdout}${run.stderr}`);
  return run.stdout;
}

/** Formats the folder when it is new, starts the broker and returns at once. */
export function launchBroker(options: BrokerOptions): OwnedProcess {
  mkdirSync(options.folder, { recursive: true });
  const properties = join(options.folder, 'server.properties');
  writeFileSync(properties, brokerProperties(options.folder, options.port, options.controllerPort));
  if (!existsSync(join(options.folder, 'data', 'meta.properties'))) {
    const clusterId = kafkaTool(options, ['kafka.tools.StorageTool', 'random-uuid']).trim().split('\n').at(-1) ?? '';
    kafkaTool(options, ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties]);
  }
  return startDetached({
    command: options.java,
    args: [
      ...['-Xms256m', `-Xmx${options.maxHeapMb}m`, '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'],
      ...['-Dorg.slf4j.simpleLogger.showDateTime=true', '-cp', join(options.kafkaLib, '*'), 'kafka.Kafka', properties],
    ],
    logFile: brokerLog(options.folder),
  });
}

export function brokerLog(folder: string): string {
  return join(folder, 'broker.log');
}

/** Resolves when the broker answers with a controller; rejects with its last log lines when it ends or the deadline passes. */
export async function brokerReady(options: BrokerOptions, owned: OwnedProcess): Promise<void> {
  const address = brokerAddress(options.port);
  await waitUntil(() => kafkaAnswers(address), {
    what: `Kafka on ${address}`,
    deadlineMs: START_DEADLINE_MS,
    progress: options.report,
    hopeless: () => (isAlive(owned) ? null : `the broker ended:\n${tail(brokerLog(options.folder))}`),
  });
}
