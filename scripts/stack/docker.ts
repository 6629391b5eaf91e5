/** The stack through Docker Compose, where a Docker engine answers. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { registryUrl } from './registry.ts';
import { ROOT } from './versions.ts';

/** An engine that hangs must not hang us. */
const PROBE_TIMEOUT_MS = 8_000;
const UP_TIMEOUT_S = 300;
const COMPOSE_TIMEOUT_MS = 15 * 60_000;

/** True when both the engine and the compose plugin answer. */
export function dockerAnswers(): boolean {
  const answers = (args: readonly string[]): boolean => {
    const run = spawnSync('docker', args, { stdio: 'ignore', timeout: PROBE_TIMEOUT_MS });
    return run.error === undefined && run.status === 0;
  };
  return answers(['info']) && answers(['compose', 'version']);
}

/** Compose project for a stack folder: another clone on the same machine gets containers and volumes of its own. */
export function composeProject(folder: string): string {
  return `cn-kustomer-${createHash('sha256').update(folder).digest('hex').slice(0, 8)}`;
}

/** Runs `docker compose` on our file. Its output goes to stderr: stdout belongs to whoever called us. */
export function compose(project: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const run = spawnSync(
    'docker',
    [
      ...['compose', '--project-name', project, '--env-file', join(ROOT, 'versions.env')],
      ...['--file', join(ROOT, 'docker-compose.kafka.yml'), ...args],
    ],
    { stdio: ['ignore', 2, 2], env: { ...process.env, ...env }, timeout: COMPOSE_TIMEOUT_MS },
  );
  if (run.error !== undefined || run.status !== 0) {
    throw new Error(`docker compose ${args[0]} failed (exit code ${run.status ?? 'none'})`);
  }
}

export function composePull(): void {
  compose('cn-kustomer', ['pull', '--quiet']);
}

/** Starts or keeps the containers (all, or the one named); returns when they are healthy. */
export function composeUp(
  project: string,
  ports: { readonly broker: number; readonly registry: number },
  service: readonly 'kafka'[] = [],
) {
  compose(project, ['up', '--detach', '--wait', '--wait-timeout', String(UP_TIMEOUT_S), ...service], {
    KAFKA_PORT: String(ports.broker),
    SCHEMA_REGISTRY_PORT: String(ports.registry),
  });
  return { brokers: `127.0.0.1:${ports.broker}`, registryUrl: registryUrl(ports.registry) };
}

/** Removes the containers and the network; the volumes only when told to. */
export function composeDown(project: string, options: { readonly volumes?: boolean } = {}): void {
  compose(project, ['down', ...(options.volumes === true ? ['--volumes'] : [])]);
}
