/**
 * Restoring the state of one partition from its compacted topic, through KafkaJS, as a new owner does it.
 *
 *   node bench/restore.ts [--quick] [--resources 1000000] [--rounds 3] [--no-takeover]
 *
 * Each restore runs in a process of its own. `restored/s` is wall time from the barrier to its return, just-in-time
 * compilers cold, as after a crash. Memory is heapUsed + external after a full collection, less the same before.
 *
 * `takeover`: two `serve` share one partition with that many resources behind it, the owner is killed with SIGKILL, and
 * the time runs until the other's first transaction is committed. It contains GROUP_SESSION_TIMEOUT_MS, for that long the
 * group cannot know.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { PROCESSOR_GROUP } from '../src/app/roles/process.ts';
import { openKafkaLog } from '../src/kafka/kafkajs/index.ts';
import type { Append } from '../src/kafka/port.ts';
import { PartitionSession } from '../src/kafka/session.ts';
import { topicNames } from '../src/kafka/topics.ts';
import { type BenchContext, runBench } from './lib/bench.ts';
import type { Running } from './lib/children.ts';
import { spread, table } from './lib/numbers.ts';
import { CONNECTION, serviceUnderTest, TENANT } from './lib/service.ts';
import { workload } from './processor/workload.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    resources: { type: 'string' },
    rounds: { type: 'string' },
    'no-takeover': { type: 'boolean', default: false },
    out: { type: 'string' },
    /** Taken like by every bench; there is no peer here. */
    peers: { type: 'boolean', default: false },
    /** In the process that restores: the prefix of the topics. */
    child: { type: 'string' },
  },
});
const RESOURCES = Number(values.resources ?? (values.quick ? 200_000 : 1_000_000));
const ROUNDS = Number(values.rounds ?? (values.quick ? 1 : 3));
const VALUE_BYTES = 60;
const TRANSACTION_RECORDS = 5_000;
const SESSION_TIMEOUT_MS = 6_000;
const PORT = 18_500;
const POLL_MS = 20;
/** The client lets go of the last fetch only when its next one has come back empty. */
const SETTLE_MS = 500;
const FEED_MS = 50;
const TAKEOVER_DEADLINE_MS = 90_000;

interface Restored {
  readonly resources: number;
  readonly durationMs: number;
  readonly cpuMs: number;
  /** What the table has allocated, and what the process holds more than before, the client's buffers included. */
  readonly tableBytesPerResource: number;
  readonly bytesPerResource: number;
  readonly rssMiB: number;
}

if (values.child !== undefined) {
  process.stdout.write(`${JSON.stringify(await restoreHere(values.child))}\n`);
  process.exit(0);
}

await runBench('restore', values.out, async (context) => {
  const service = serviceUnderTest(context, context.prefix, {
    RAW_PARTITIONS: '1',
    PROCESS_SHARDS: '1',
    GROUP_SESSION_TIMEOUT_MS: String(SESSION_TIMEOUT_MS),
  });
  service.addConnection(); // creates the topics, one partition each
  await fill(context);
  const rounds: Restored[] = [];
  for (let round = 0; round < ROUNDS; round += 1) rounds.push(restoreInChild(context.prefix));
  context.say(summary(rounds));
  const takeoverMs = values['no-takeover']
    ? null
    : await takeover(
        context,
        [0, 1].map((n) => service.start('process', PORT + n)),
      );
  if (takeoverMs !== null)
    context.say(`takeover: ${Math.round(takeoverMs)} ms from SIGKILL to the first commit of the new owner`);
  return { valueBytes: VALUE_BYTES, rounds, takeoverMs, sessionTimeoutMs: SESSION_TIMEOUT_MS };
});

/** Spreads like ids do; 24 hex digits. */
function keyOf(n: number): string {
  const spreadOut = (Math.imul(n, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0');
  return `${TENANT}/${CONNECTION}/conversation:${spreadOut}${n.toString(16).padStart(16, '0')}`;
}

async function fill(context: BenchContext): Promise<void> {
  const { state } = topicNames(context.prefix);
  const transactionalId = `${context.prefix}fill`;
  const producer = await context.log.transactional({ transactionalId, transactionTimeoutMs: 30_000 });
  const startMs = performance.now();
  for (let from = 0; from < RESOURCES; from += TRANSACTION_RECORDS) {
    const appends = Array.from({ length: Math.min(TRANSACTION_RECORDS, RESOURCES - from) }, (_, i): Append => {
      const value = Buffer.alloc(VALUE_BYTES);
      for (let at = 0; at < VALUE_BYTES; at += 4) value.writeInt32LE(Math.imul(from + i + at, 0x85ebca6b) | 0, at);
      return { topic: state, partition: 0, key: Buffer.from(keyOf(from + i)), value };
    });
    await producer.commit({ appends });
  }
  await producer.close();
  const seconds = (performance.now() - startMs) / 1000;
  context.say(`wrote ${RESOURCES.toLocaleString('en-US')} resources in ${seconds.toFixed(1)} s`);
}

function restoreInChild(prefix: string): Restored {
  const args = ['--no-warnings', '--expose-gc', fileURLToPath(import.meta.url), '--child', prefix];
  const child = spawnSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.status !== 0) throw new Error(`the restoring process ended with ${child.status ?? child.signal}`);
  return JSON.parse(child.stdout) as Restored;
}

async function restoreHere(prefix: string): Promise<Restored> {
  const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const brokers = (process.env['KAFKA_BROKERS'] ?? '').split(',');
  const log = openKafkaLog({ settings: { brokers, clientId: 'cn-bench-restore' }, logger: quiet });
  const names = topicNames(prefix);
  const reader = await log.reader({ clientId: 'bench-restore', topics: [names.state] });
  const bytesBefore = usedBytes();
  const cpuBefore = process.cpuUsage();
  const session = await PartitionSession.open({
    log,
    reader,
    groupId: `${prefix}restore`,
    topic: names.raw,
    stateTopic: names.state,
    shard: 0,
    partitions: [0],
    barrierId: `bench-${process.pid}`,
    transactionTimeoutMs: 15_000,
    restoreStallMs: 30_000,
    stateMaxBytes: 4 * 2 ** 30,
    signal: new AbortController().signal,
  });
  const { user, system } = process.cpuUsage(cpuBefore);
  const rssMiB = Math.round(process.memoryUsage.rss() / 2 ** 20);
  const resources = session.table.size;
  await log.clock.sleep(SETTLE_MS);
  const restored = {
    resources,
    durationMs: session.restored.durationMs,
    cpuMs: (user + system) / 1000,
    rssMiB,
    tableBytesPerResource: session.table.bytes / resources,
    bytesPerResource: (usedBytes() - bytesBefore) / resources,
  };
  await session.close();
  await reader.close();
  await log.close();
  return restored;
}

function usedBytes(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** A commit is one transaction with its envelopes: when the offset has moved, they are visible. */
async function takeover(context: BenchContext, processes: readonly Running[]): Promise<number> {
  const { raw } = topicNames(context.prefix);
  const group = `${context.prefix}${PROCESSOR_GROUP}`;
  const producer = await context.log.producer({ clientId: 'bench-feed' });
  const records = workload({ conversations: 1_000, revisions: 8, duplicates: 0, seed: 1 }).appends(raw);
  let feeding: Promise<void> = Promise.resolve();
  const feeder = setInterval(() => {
    const next = records.next();
    if (next.value !== undefined) feeding = feeding.then(() => producer.append([next.value as Append]));
  }, FEED_MS);
  const committed = async () => (await context.log.admin.committed(group, [{ topic: raw, partition: 0 }]))[0] ?? 0;
  const moved = async (from: number) => {
    const deadlineMs = performance.now() + TAKEOVER_DEADLINE_MS;
    for (;;) {
      const now = await committed();
      if (now > from) return now;
      if (performance.now() > deadlineMs) throw new Error(`nothing was committed for ${TAKEOVER_DEADLINE_MS / 1000} s`);
      await context.log.clock.sleep(POLL_MS);
    }
  };
  try {
    // Both are up: the one with the larger memory holds the partition.
    let position = await moved(0);
    await context.log.clock.sleep(SESSION_TIMEOUT_MS);
    position = await moved(await committed());
    const owner = processes.toSorted((a, b) => b.rssMiB() - a.rssMiB())[0] as Running;
    process.kill(owner.pid, 'SIGKILL');
    const killedAtMs = performance.now();
    await context.log.clock.sleep(500); // what had been sent before it died
    position = await committed();
    await moved(position);
    return performance.now() - killedAtMs;
  } finally {
    clearInterval(feeder);
    await feeding;
    await producer.close();
    await Promise.all(processes.map((one) => one.stop()));
  }
}

function summary(rounds: readonly Restored[]): string {
  const of = (pick: (one: Restored) => number) => rounds.map(pick);
  return table(
    ['resources', 'restored/s', 'CPU µs each', 'bytes each', 'of it the table', 'RSS MiB'],
    [
      [
        RESOURCES.toLocaleString('en-US'),
        spread(of((one) => (one.resources * 1000) / one.durationMs)),
        spread(
          of((one) => (one.cpuMs * 1000) / one.resources),
          2,
        ),
        spread(
          of((one) => one.bytesPerResource),
          1,
        ),
        spread(
          of((one) => one.tableBytesPerResource),
          1,
        ),
        spread(of((one) => one.rssMiB)),
      ],
    ],
  );
}
