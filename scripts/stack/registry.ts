/**
 * One Apicurio registry as a process on this machine. Its schemas live in Kafka (kafkasql), so they are there again after
 * a restart of both.
 */
import { join } from 'node:path';
import { isAlive, type OwnedProcess, startDetached, tail } from './owned-process.ts';
import { registryAnswers, registryTakes } from './probe.ts';
import { waitUntil } from './wait.ts';

export interface RegistryOptions {
  readonly java: string;
  readonly registryJar: string;
  readonly folder: string;
  readonly port: number;
  readonly brokers: string;
  readonly report: (line: string) => void;
}

const START_DEADLINE_MS = 120_000;

/** Base URL of the API that Confluent's clients speak. */
export function registryUrl(port: number): string {
  return `http://127.0.0.1:${port}/apis/ccompat/v7`;
}

function registryLog(folder: string): string {
  return join(folder, 'registry.log');
}

export function launchRegistry(options: RegistryOptions): OwnedProcess {
  return startDetached({
    command: options.java,
    args: [
      ...['-Xmx384m', '-Dquarkus.http.host=127.0.0.1', `-Dquarkus.http.port=${options.port}`],
      ...['-Dquarkus.log.level=WARN', '-Dquarkus.log.category."io.apicurio".level=WARN', '-jar', options.registryJar],
    ],
    env: {
      ...process.env,
      APICURIO_STORAGE_KIND: 'kafkasql',
      APICURIO_KAFKASQL_BOOTSTRAP_SERVERS: options.brokers,
    },
    logFile: registryLog(options.folder),
  });
}

/** Resolves when the registry lists its subjects and takes more; rejects with its last log lines when it ends or the deadline passes. */
export async function registryReady(options: RegistryOptions, owned: OwnedProcess): Promise<void> {
  const url = registryUrl(options.port);
  await waitUntil(async () => (await registryAnswers(url)) && registryTakes(url), {
    what: `the schema registry on ${url}`,
    deadlineMs: START_DEADLINE_MS,
    everyMs: 250,
    progress: options.report,
    hopeless: () => (isAlive(owned) ? null : `the registry ended:\n${tail(registryLog(options.folder))}`),
  });
}
