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

/** Compose project of this folder: another clone on the same machine gets containers and volumes of its own. */
export function composeProject(root = ROOT): string {
  return `cn-kustomer-${createHash('sha256').update(root).digest('hex').slice(0, 8)}`;
}

function compose(project: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const run = spawnSync(
    'docker',
    [
      ...['compose', '--project-name', project, '--env-file', join(ROOT, 'versions.env')],
      ...['--file', join(ROOT, 'docker-compose.kafka.yml'), ...args],
    ],
    { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...env }, timeout: COMPOSE_TIMEOUT_MS },
  );
  if (run.error !== undefined || run.status !== 0) {
    throw new Error(`docker compose ${args[0]} failed (exit code ${run.status ?? 'none'})`);
  }
}

export function composePull(): void {
  compose(composeProject(), ['pull', '--quiet']);
}

/** Starts or keeps the containers; returns when both are healthy. */
export function composeUp(project: string, ports: { readonly broker: number; readonly registry: number }) {
  compose(project, ['up', '--detach', '--wait', '--wait-timeout', String(UP_TIMEOUT_S)], {
    KAFKA_PORT: String(ports.broker),
    SCHEMA_REGISTRY_PORT: String(ports.registry),
  });
  return { brokers: `127.0.0.1:${ports.broker}`, registryUrl: registryUrl(ports.registry) };
}

/** Removes the containers and the network, keeps the volumes. */
export function composeDown(project: string): void {
  compose(project, ['down']);
}
