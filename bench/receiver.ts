/**
 * The receiver in front of a real broker, beside a bare node:http server that only verifies the HMAC and, with --peers,
 * a signed Camel route. Same bodies, same generator, alternating in one run: the ratios are the result.
 *
 *   node bench/receiver.ts [--peers] [--quick] [--seconds 8] [--rounds 5] [--connections 64,256]
 *                          [--only bare,ours,camel] [--out file.json]
 *
 * Needs wrk, and KAFKA_BROKERS and SCHEMA_REGISTRY_URL (`make bench` provides them).
 */
import { createHmac, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findProgram } from '../src/app/verify/readers/child.ts';
import { topicNames } from '../src/kafka/topics.ts';
import { type BenchContext, DATA, runBench } from './lib/bench.ts';
import { type Running, runToEnd, startProgram, waitForHttp } from './lib/children.ts';
import { readVisible } from './lib/count.ts';
import { ROOT } from './lib/machine.ts';
import { median, spread, table } from './lib/numbers.ts';
import { buildPeer, peerProblem, peerProgram } from './lib/peers.ts';
import { serviceUnderTest, TOKEN, WEBHOOK_PATH } from './lib/service.ts';
import { webhookBody } from './receiver/body.ts';

interface Target {
  readonly name: string;
  readonly port: number;
  readonly running: Running;
  /** Where its records go; null for the one that stores nothing. */
  readonly topic: string | null;
  accepted: number;
}

interface Sample {
  readonly target: string;
  readonly connections: number;
  readonly round: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
  readonly cpuUsPerRequest: number;
  readonly rssMiB: number;
}

const { values } = parseArgs({
  options: {
    peers: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    seconds: { type: 'string' },
    rounds: { type: 'string' },
    connections: { type: 'string', default: '64,256' },
    only: { type: 'string' },
    out: { type: 'string' },
  },
});
const seconds = Number(values.seconds ?? (values.quick ? 3 : 8));
const rounds = Number(values.rounds ?? (values.quick ? 2 : 5));
const BODIES = 5_000;
const FIRST_PORT = 18_400;

await runBench('receiver', values.out, async (context) => {
  if ((await findProgram('wrk')) === null)
    throw new Error('wrk is not here: install it (Debian, Ubuntu: apt-get install wrk; macOS: brew install wrk)');
  const folder = writeBodies();
  const targets: Target[] = [];
  try {
    const starts = { bare: startBare, ours: startOurs, ...(withPeers(context) ? { camel: startCamel } : {}) };
    for (const [name, start] of Object.entries(starts))
      if (values.only?.split(',').includes(name) ?? true)
        targets.push(await start(context, FIRST_PORT + targets.length));
    // Everything warm before anything counts; JVMs need it most.
    for (const target of targets) measure(folder, target, 64, 0, values.quick ? 2 : 8);
    const samples: Sample[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      for (const connections of values.connections.split(',').map(Number)) {
        // The order turns, so that no target always follows the same one.
        for (let i = 0; i < targets.length; i += 1) {
          const target = targets[(i + round) % targets.length] as Target;
          samples.push(measure(folder, target, connections, round, seconds));
        }
      }
    }
    const stored = await checkStored(context, targets);
    context.say(summary(samples));
    context.say(stored.map((row) => `${row.target}: ${row.accepted} answered 2xx, ${row.records} stored`).join('\n'));
    return { seconds, rounds, samples, stored, ratios: ratios(samples) };
  } finally {
    await Promise.all(targets.map((target) => target.running.stop()));
  }
});

function withPeers(context: BenchContext): boolean {
  const problem = values.peers ? peerProblem() : null;
  if (problem !== null) context.say(`without the peer: ${problem}`);
  return values.peers && problem === null;
}

function writeBodies(): string {
  const folder = join(DATA, 'receiver-bodies');
  mkdirSync(folder, { recursive: true });
  const bodies = Array.from({ length: BODIES }, (_, i) => webhookBody(randomBytes(12).toString('hex'), 1 + (i % 50)));
  const sign = (body: string) => createHmac('sha256', TOKEN).update(body).digest('hex');
  writeFileSync(join(folder, 'bodies.ndjson'), `${bodies.join('\n')}\n`);
  writeFileSync(join(folder, 'signatures.txt'), `${bodies.map(sign).join('\n')}\n`);
  return folder;
}

async function startBare(_context: BenchContext, port: number): Promise<Target> {
  const script = join(import.meta.dirname, 'receiver', 'bare-server.ts');
  const running = startProgram({
    name: 'bare',
    command: process.execPath,
    args: ['--no-warnings', script],
    env: { PORT: String(port) },
  });
  await waitForHttp(`http://127.0.0.1:${port}/`, running, () => true);
  return { name: 'bare', port, running, topic: null, accepted: 0 };
}

async function startOurs(context: BenchContext, port: number): Promise<Target> {
  const service = serviceUnderTest(context, context.prefix, { THREADS: 'auto' });
  service.addConnection();
  const running = await service.startReady('ingest', port);
  return { name: 'ours', port, running, topic: topicNames(context.prefix).raw, accepted: 0 };
}

async function startCamel(context: BenchContext, port: number): Promise<Target> {
  const classPath = buildPeer('camel');
  const topic = `${context.prefix}camel`;
  await context.log.admin.createTopics([{ name: topic, partitions: 4, config: {} }]);
  const running = startProgram(
    peerProgram('camel', classPath, 'peer.SignedRoute', {
      PORT: String(port),
      TOPIC: topic,
      TOKEN,
      KAFKA_BROKERS: context.brokers.join(','),
      WEBHOOK_PATH,
    }),
  );
  await waitForHttp(`http://127.0.0.1:${port}${WEBHOOK_PATH}`, running, () => true);
  return { name: 'camel', port, running, topic, accepted: 0 };
}

/** One bounded run of wrk. */
function measure(folder: string, target: Target, connections: number, round: number, duration: number): Sample {
  const died = target.running.gone();
  if (died !== null) throw new Error(died);
  const cpuBefore = target.running.cpuSeconds();
  const output = runToEnd({
    name: 'wrk',
    command: 'wrk',
    args: [
      ...['-t1', `-c${connections}`, `-d${duration}s`, '--latency', '-s', join(ROOT, 'bench/receiver/load.lua')],
      `http://127.0.0.1:${target.port}`,
    ],
    env: { BODIES: folder, WEBHOOK_PATH },
    timeoutMs: (duration + 30) * 1000,
  });
  const line = /^RESULT (.+)$/m.exec(output)?.[1];
  if (line === undefined) throw new Error(`wrk gave no result:\n${output}`);
  const result = JSON.parse(line) as Record<'requests' | 'seconds' | 'p50Ms' | 'p99Ms' | 'failed', number>;
  const good = result.requests - result.failed;
  target.accepted += good;
  return {
    target: target.name,
    connections,
    round,
    perSecond: good / result.seconds,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    failed: result.failed,
    cpuUsPerRequest: ((target.running.cpuSeconds() - cpuBefore) * 1e6) / Math.max(good, 1),
    rssMiB: target.running.rssMiB(),
  };
}

/** A rate counts only if everything that was answered 2xx is really in the log. */
async function checkStored(context: BenchContext, targets: readonly Target[]) {
  const rows: { target: string; accepted: number; records: number }[] = [];
  for (const { name, topic, accepted } of targets) {
    if (topic === null) continue;
    const records = await readVisible(context, topic);
    if (records < accepted) throw new Error(`${name}: ${accepted} answered 2xx but only ${records} are stored`);
    rows.push({ target: name, accepted, records });
  }
  return rows;
}

function group(samples: readonly Sample[], target: string, connections: number): readonly Sample[] {
  return samples.filter((sample) => sample.target === target && sample.connections === connections);
}

/** Ours to each other, round by round, then the median: what disturbs the machine disturbs both. */
function ratios(samples: readonly Sample[]) {
  const names = [...new Set(samples.map((sample) => sample.target))];
  const others = names.includes('ours') ? names.filter((name) => name !== 'ours') : [];
  const counts = [...new Set(samples.map((sample) => sample.connections))];
  return counts.flatMap((connections) =>
    others.map((other) => {
      const theirs = new Map(group(samples, other, connections).map((sample) => [sample.round, sample.perSecond]));
      const byRound = group(samples, 'ours', connections).map(
        (sample) => sample.perSecond / (theirs.get(sample.round) ?? Number.NaN),
      );
      return { connections, other, median: median(byRound), byRound };
    }),
  );
}

function summary(samples: readonly Sample[]): string {
  const head = ['connections', 'target', 'requests/s', 'p50 ms', 'p99 ms', 'CPU µs/request', 'RSS MiB', 'failed'];
  const keys = [...new Set(samples.map((sample) => `${sample.connections} ${sample.target}`))];
  const rows = keys.map((key) => {
    const [connections = '', target = ''] = key.split(' ');
    const these = group(samples, target, Number(connections));
    const of = (pick: (sample: Sample) => number) => these.map(pick);
    return [
      connections,
      target,
      spread(of((s) => s.perSecond)),
      median(of((s) => s.p50Ms)).toFixed(1),
      median(of((s) => s.p99Ms)).toFixed(1),
      median(of((s) => s.cpuUsPerRequest)).toFixed(0),
      median(of((s) => s.rssMiB)).toFixed(0),
      String(of((s) => s.failed).reduce((a, b) => a + b, 0)),
    ];
  });
  const lines = ratios(samples).map(
    ({ connections, other, median: middle, byRound }) =>
      `ours / ${other} at ${connections} connections: ${middle.toFixed(2)} (${byRound.map((r) => r.toFixed(2)).join(' ')})`,
  );
  return `${table(head, rows)}\n\n${lines.join('\n')}`;
}
