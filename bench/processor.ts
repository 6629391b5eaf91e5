/**
 * The processor with exactly-once, beside a KafkaJS loop that merely copies records exactly-once and, with --peers,
 * Kafka Streams with RocksDB doing the least that could be called the same job. Each drains the same 400,000 records;
 * each must leave exactly what it should, read back with read_committed by a client that is none of them.
 *
 *   node bench/processor.ts [--peers] [--quick] [--rounds 3] [--only copy,ours,streams] [--out file.json]
 *
 * Timed from outside, alike for all, by the group's committed offsets: from the first commit seen to the last record.
 * `2nd half` is the second half of that, when the just-in-time compilers have mostly done their work.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PROCESSOR_GROUP } from '../src/app/roles/process.ts';
import { decoderFor } from '../src/app/verify/decode.ts';
import { topicNames } from '../src/kafka/topics.ts';
import { type BenchContext, runBench } from './lib/bench.ts';
import { type Running, startProgram } from './lib/children.ts';
import { readVisible } from './lib/count.ts';
import { ROOT } from './lib/machine.ts';
import { median, spread, table } from './lib/numbers.ts';
import { buildPeer, peerProblem, peerProgram } from './lib/peers.ts';
import { serviceUnderTest, TENANT } from './lib/service.ts';
import { type Workload, workload } from './processor/workload.ts';

const { values } = parseArgs({
  options: {
    peers: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string' },
    out: { type: 'string' },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
const SIZE = { conversations: values.quick ? 10_000 : 40_000, revisions: 8, seed: 20_261_121 };
const DUPLICATE_SHARE = 0.25;
const PARTITIONS = 4;
const BATCH_RECORDS = 1000;
const LOAD_RECORDS = 500;
const PORT = 18_480;
const POLL_MS = 25;
const DRAIN_DEADLINE_MS = 180_000;

/** One of the programs that drain the workload, in one round. */
interface Contender {
  readonly name: string;
  readonly groupId: string;
  readonly output: string;
  readonly expected: number;
  /** Identity of a change in an output record; null = records are only counted. */
  readonly identity: ((value: Buffer) => string) | null;
  start(): Promise<Running> | Running;
}

interface Drain {
  readonly contender: string;
  readonly round: number;
  readonly perSecond: number;
  readonly secondHalfPerSecond: number;
  readonly cpuMsPerThousand: number;
  readonly rssMiB: number;
  readonly output: number;
}

await runBench('processor', values.out, async (context) => {
  const load = workload({ ...SIZE, duplicates: SIZE.conversations * SIZE.revisions * DUPLICATE_SHARE });
  const problem = values.peers ? peerProblem() : null;
  if (problem !== null) context.say(`without the peer: ${problem}`);
  const streams = values.peers && problem === null ? buildPeer('streams') : null;
  const drains: Drain[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const prefix = `${context.prefix}${round}.`;
    const raw = await fill(context, prefix, load);
    const all = [copyLoop(context, prefix, raw, load), ours(context, prefix, load)];
    if (streams !== null) all.push(kafkaStreams(context, prefix, raw, load, streams));
    const contenders = all.filter(({ name }) => values.only?.split(',').includes(name) ?? true);
    for (let i = 0; i < contenders.length; i += 1) {
      const contender = contenders[(i + round - 1) % contenders.length] as Contender;
      const drain = await drainOnce(context, contender, raw, load, round);
      drains.push(drain);
      context.say(
        `round ${round} ${drain.contender}: ${Math.round(drain.perSecond)}/s, 2nd half ${Math.round(drain.secondHalfPerSecond)}/s, ${drain.output} out`,
      );
    }
  }
  context.say(summary(drains));
  return { workload: { records: load.records, changes: load.changes }, rounds, drains, ratios: ratios(drains) };
});

/** Writes the workload to the raw topic of the prefix. */
async function fill(context: BenchContext, prefix: string, load: Workload): Promise<string> {
  const { raw } = topicNames(prefix);
  await context.log.admin.createTopics([{ name: raw, partitions: PARTITIONS, config: { 'retention.ms': '-1' } }]);
  const producer = await context.log.producer({ clientId: 'bench-load' });
  const startMs = performance.now();
  let batch = [];
  let bytes = 0;
  for (const append of load.appends(raw)) {
    bytes += append.value?.length ?? 0;
    batch.push(append);
    if (batch.length < LOAD_RECORDS) continue;
    await producer.append(batch);
    batch = [];
  }
  if (batch.length > 0) await producer.append(batch);
  await producer.close();
  const seconds = (performance.now() - startMs) / 1000;
  context.say(`loaded ${load.records} records of ${Math.round(bytes / load.records)} bytes in ${seconds.toFixed(1)} s`);
  return raw;
}

function copyLoop(context: BenchContext, prefix: string, raw: string, load: Workload): Contender {
  const output = `${prefix}copy`;
  const groupId = `${prefix}copy`;
  return {
    name: 'copy',
    groupId,
    output,
    expected: load.records,
    identity: null,
    async start() {
      await context.log.admin.createTopics([{ name: output, partitions: PARTITIONS, config: {} }]);
      return startProgram({
        name: 'copy-loop',
        command: process.execPath,
        args: ['--no-warnings', join(import.meta.dirname, 'processor', 'copy-loop.ts')],
        env: {
          KAFKA_BROKERS: context.brokers.join(','),
          SOURCE: raw,
          TARGET: output,
          GROUP: groupId,
          BATCH_RECORDS: String(BATCH_RECORDS),
        },
      });
    },
  };
}

function ours(context: BenchContext, prefix: string, load: Workload): Contender {
  const schema = JSON.parse(readFileSync(join(ROOT, 'schemas', 'envelope.avsc'), 'utf8'));
  return {
    name: 'ours',
    groupId: `${prefix}${PROCESSOR_GROUP}`,
    output: topicNames(prefix).events(TENANT),
    expected: load.changes,
    identity: identityBy(schema, (payload) => `${payload['resource_id']} ${payload['revision']}`),
    start() {
      const service = serviceUnderTest(context, prefix, { THREADS: 'auto' });
      service.addConnection();
      return service.start('process', PORT);
    },
  };
}

function kafkaStreams(
  context: BenchContext,
  prefix: string,
  raw: string,
  load: Workload,
  classPath: string,
): Contender {
  const avro = join(ROOT, 'bench', 'peers', 'streams', 'src', 'main', 'avro', 'envelope.avsc');
  const output = `${prefix}streams`;
  const groupId = `${prefix}streams-app`;
  return {
    name: 'streams',
    groupId,
    output,
    expected: load.changes,
    identity: identityBy(JSON.parse(readFileSync(avro, 'utf8')), (p) => `${p['conversation_id']} ${p['revision']}`),
    async start() {
      await context.log.admin.createTopics([{ name: output, partitions: PARTITIONS, config: {} }]);
      const folder = mkdtempSync(join(tmpdir(), 'cn-bench-streams-'));
      const running = startProgram(
        peerProgram('streams', classPath, 'peer.LastRevision', {
          KAFKA_BROKERS: context.brokers.join(','),
          APPLICATION_ID: groupId,
          SOURCE: raw,
          TARGET: output,
          STATE_DIR: folder,
        }),
      );
      const stop = async () => {
        await running.stop();
        rmSync(folder, { recursive: true, force: true });
      };
      return { ...running, stop };
    },
  };
}

function identityBy(schema: unknown, of: (payload: Record<string, unknown>) => string): (value: Buffer) => string {
  const decode = decoderFor(schema);
  return (value) => of((decode(value).envelope as { payload: Record<string, unknown> }).payload);
}

async function drainOnce(
  context: BenchContext,
  contender: Contender,
  raw: string,
  load: Workload,
  round: number,
): Promise<Drain> {
  const running = await contender.start();
  let times: Drain | null = null;
  try {
    times = await timeDrain(context, contender, running, raw, load, round);
  } finally {
    await running.stop();
  }
  const output = await checkOutput(context, contender);
  return { ...times, output };
}

async function timeDrain(
  context: BenchContext,
  contender: Contender,
  running: Running,
  raw: string,
  load: Workload,
  round: number,
): Promise<Drain> {
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic: raw, partition }));
  const deadlineMs = performance.now() + DRAIN_DEADLINE_MS;
  let first: { atMs: number; done: number; cpu: number } | null = null;
  let half: { atMs: number; done: number } | null = null;
  for (;;) {
    const committed = await context.log.admin.committed(contender.groupId, partitions);
    const atMs = performance.now();
    const done = committed.reduce<number>((sum, offset) => sum + (offset ?? 0), 0);
    if (done > 0) first ??= { atMs, done, cpu: running.cpuSeconds() };
    if (done >= load.records / 2) half ??= { atMs, done };
    if (first !== null && half !== null && done >= load.records) {
      const rate = (from: { atMs: number; done: number }) => ((done - from.done) * 1000) / (atMs - from.atMs);
      return {
        contender: contender.name,
        round,
        perSecond: rate(first),
        secondHalfPerSecond: rate(half),
        cpuMsPerThousand: ((running.cpuSeconds() - first.cpu) * 1e6) / (done - first.done),
        rssMiB: running.rssMiB(),
        output: 0,
      };
    }
    const gone = running.gone();
    if (gone !== null) throw new Error(gone);
    if (atMs > deadlineMs) throw new Error(`${contender.name}: ${done} of ${load.records} in ${DRAIN_DEADLINE_MS} ms`);
    await context.log.clock.sleep(POLL_MS);
  }
}

/** A rate counts only if the output is exactly right. */
async function checkOutput(context: BenchContext, contender: Contender): Promise<number> {
  const { name, output, expected, identity } = contender;
  const distinct = new Set<string>();
  const count = await readVisible(context, output, ({ value }) => {
    if (identity !== null && value !== null) distinct.add(identity(value));
  });
  if (count !== expected) throw new Error(`${name}: ${count} records out, expected ${expected}`);
  if (identity !== null && distinct.size !== expected)
    throw new Error(`${name}: only ${distinct.size} distinct changes`);
  return count;
}

/** Round by round, then the median: what disturbs the machine disturbs both. */
function ratios(drains: readonly Drain[]) {
  const of = (name: string, round: number) => drains.find((d) => d.contender === name && d.round === round);
  const names = [...new Set(drains.map((drain) => drain.contender))];
  const others = names.includes('ours') ? names.filter((name) => name !== 'ours') : [];
  return others.map((other) => {
    const by = (pick: (drain: Drain) => number) =>
      drains
        .filter((drain) => drain.contender === 'ours')
        .map((drain) => pick(drain) / pick(of(other, drain.round) as Drain));
    const whole = by((drain) => drain.perSecond);
    const secondHalf = by((drain) => drain.secondHalfPerSecond);
    return { other, whole: median(whole), secondHalf: median(secondHalf), byRound: { whole, secondHalf } };
  });
}

function summary(drains: readonly Drain[]): string {
  const head = ['contender', 'records/s in', '2nd half records/s', 'CPU ms/1,000', 'RSS MiB', 'records out'];
  const rows = [...new Set(drains.map((drain) => drain.contender))].map((name) => {
    const these = drains.filter((drain) => drain.contender === name);
    const of = (pick: (drain: Drain) => number) => these.map(pick);
    return [
      name,
      spread(of((d) => d.perSecond)),
      spread(of((d) => d.secondHalfPerSecond)),
      spread(of((d) => d.cpuMsPerThousand)),
      median(of((d) => d.rssMiB)).toFixed(0),
      [...new Set(of((d) => d.output))].join(', '),
    ];
  });
  const lines = ratios(drains).map(
    ({ other, whole, secondHalf }) =>
      `ours / ${other}: ${whole.toFixed(2)} whole run, ${secondHalf.toFixed(2)} 2nd half`,
  );
  return `\n${table(head, rows)}\n\n${lines.join('\n')}`;
}
