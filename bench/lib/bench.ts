/** What every bench with a broker shares: its arguments, its place for results, its cleaning up. */
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openKafkaLog } from '../../src/kafka/kafkajs/index.ts';
import type { Log } from '../../src/kafka/port.ts';
import { type Machine, machine, ROOT } from './machine.ts';

export const DATA = join(ROOT, '.data', 'bench');

export interface BenchContext {
  readonly brokers: readonly string[];
  readonly registryUrl: string;
  readonly log: Log;
  readonly machine: Machine;
  /** Unique to this run; every topic and group of it begins with it. */
  readonly prefix: string;
  say(line: string): void;
}

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** Runs a bench against the broker of the environment, then removes its topics. `out`: file for the result. */
export async function runBench(
  name: string,
  out: string | undefined,
  body: (context: BenchContext) => Promise<unknown>,
): Promise<void> {
  const brokers = process.env['KAFKA_BROKERS'];
  const registryUrl = process.env['SCHEMA_REGISTRY_URL'];
  if (!brokers || !registryUrl) {
    throw new Error(`bench ${name}: set KAFKA_BROKERS and SCHEMA_REGISTRY_URL, or run it with \`make bench\``);
  }
  const prefix = `bench-${randomUUID().slice(0, 8)}.`;
  const log = openKafkaLog({ settings: { brokers: brokers.split(','), clientId: `cn-bench-${name}` }, logger: quiet });
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  const context: BenchContext = {
    brokers: brokers.split(','),
    registryUrl,
    log,
    machine: machine(brokers),
    prefix,
    say,
  };
  try {
    const result = await body(context);
    if (out !== undefined) {
      mkdirSync(dirname(out), { recursive: true });
      writeFileSync(out, `${JSON.stringify({ bench: name, machine: context.machine, result }, null, 2)}\n`);
    }
  } finally {
    const topics = (await log.admin.describeTopics()).map((topic) => topic.name);
    await log.admin.deleteTopics(topics.filter((topic) => topic.startsWith(prefix)));
    await log.close();
  }
}
