/** How the benches drive cn-kustomer: only through its command line, as anybody would. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { BenchContext } from './bench.ts';
import { type Program, type Running, runToEnd, startProgram, waitForHttp } from './children.ts';
import { ROOT } from './machine.ts';

export const TENANT = 't_bench';
export const CONNECTION = 'cn_bench';
export const ORG = '5a8f1c2e9b1d4e0012ab34cd';
export const TOKEN = 'bench-token';
export const WEBHOOK_PATH = `/webhooks/kustomer/${CONNECTION}`;

export interface ServiceUnderTest {
  /** Adds the one connection of the bench. */
  addConnection(): void;
  start(roles: string, port: number): Running;
  /** The same, resolved once it is ready. */
  startReady(roles: string, port: number): Promise<Running>;
  /** Another of its commands, with the same settings and master key. */
  command(name: string, args: readonly string[]): Program;
}

/** `settings`: environment variables on top of the defaults, to try others. */
export function serviceUnderTest(
  context: BenchContext,
  prefix: string,
  settings: Readonly<Record<string, string>> = {},
): ServiceUnderTest {
  const env = {
    KAFKA_BROKERS: context.brokers.join(','),
    SCHEMA_REGISTRY_URL: context.registryUrl,
    TOPIC_PREFIX: prefix,
    CN_MASTER_KEY: randomBytes(32).toString('base64'),
    LOG_LEVEL: 'warn',
    NODE_OPTIONS: '',
    ...settings,
  };
  const program = (name: string, args: readonly string[]): Program => ({
    name,
    command: process.execPath,
    args: ['--no-warnings', join(ROOT, 'src', 'main.ts'), ...args],
    env,
  });
  const start = (roles: string, port: number): Running => {
    const serve = program(`serve-${roles}`, ['serve', '--roles', roles]);
    return startProgram({ ...serve, env: { ...env, PORT: String(port) } });
  };
  return {
    addConnection() {
      const identity = ['--tenant', TENANT, '--id', CONNECTION, '--name', 'bench', '--subdomain', 'acme', '--org', ORG];
      const add = program('connection-add', ['connection', 'add', ...identity]);
      runToEnd({ ...add, input: `${TOKEN}\n`, timeoutMs: 60_000 });
    },
    start,
    command: program,
    async startReady(roles, port) {
      const running = start(roles, port);
      await waitForHttp(`http://127.0.0.1:${port}/readyz`, running, (status) => status === 200);
      return running;
    },
  };
}
