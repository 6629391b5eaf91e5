/** A Kafka and a registry that are not ours: named by the environment, used, checked, never started or stopped. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { registryAnswers } from './probe.ts';
import { ROOT } from './versions.ts';
import { waitUntil } from './wait.ts';

/** What KAFKA_BROKERS and SCHEMA_REGISTRY_URL name; null when neither is set. */
export function externalStack(env: NodeJS.ProcessEnv = process.env) {
  const brokers = env['KAFKA_BROKERS'] ?? '';
  const registryUrl = env['SCHEMA_REGISTRY_URL'] ?? '';
  if (brokers === '' && registryUrl === '') return null;
  if (brokers === '') throw new Error('SCHEMA_REGISTRY_URL is set and KAFKA_BROKERS is not: set both or neither.');
  if (registryUrl === '') throw new Error('KAFKA_BROKERS is set and SCHEMA_REGISTRY_URL is not: set both or neither.');
  return { brokers, registryUrl };
}

/** Resolves when both answer. The brokers are asked by the service itself, with its SASL and TLS settings. */
export async function checkExternal(stack: { readonly brokers: string; readonly registryUrl: string }): Promise<void> {
  const run = spawnSync(join(ROOT, 'bin', 'cn-kustomer'), ['topics', '--check-broker'], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  if (run.status !== 0) throw new Error(`Kafka at ${stack.brokers} cannot be used:\n${run.stderr}${run.stdout}`);
  await waitUntil(() => registryAnswers(stack.registryUrl), {
    what: `the schema registry at ${stack.registryUrl}`,
    deadlineMs: 20_000,
  });
}
