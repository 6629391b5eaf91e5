/**
 * A quiet tenant beside a noisy one on the same service: how much longer its events take from the webhook to a reader.
 *
 *   node bench/neighbours.ts [--quick] [--rounds 3] [--seconds 10] [--rate 20] [--times 50] [--flood-seconds 10]
 *                            [--only alone,beside,apart,flood] [--set NAME=value …] [--out file.json]
 *
 * Phases, in turns within each round, the order turning from round to round:
 *   alone    the quiet tenant only
 *   beside   and a noisy tenant at `--times` its rate, on the same service
 *   apart    the same noise on another service, with other topics: what of the difference is the machine and the broker
 * Then, once: `flood`, the noisy tenant at full speed for `--flood-seconds`, on the same service.
 *
 * A phase counts only if every change of both tenants that was accepted gave its envelopes exactly once.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { waitUntil } from '../scripts/stack/wait.ts';
import type { VerifyReport } from '../src/app/verify/index.ts';
import { topicNames } from '../src/kafka/topics.ts';
import type { FloodReport } from '../src/simulator/flood/report.ts';
import { type Percentiles, percentiles } from './commands/percentiles.ts';
import { type BenchContext, DATA, runBench } from './lib/bench.ts';
import { type Running, startProgram } from './lib/children.ts';
import { median, spread, table } from './lib/numbers.ts';
import {
  CONNECTION,
  ORG,
  type ServiceUnderTest,
  serviceUnderTest,
  TENANT,
  TOKEN,
  WEBHOOK_PATH,
} from './lib/service.ts';
import { type QuietTenant, quietTenant, type Waited } from './neighbours/quiet.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    /** Taken like by every bench; there is no peer here. */
    peers: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    rate: { type: 'string', default: '20' },
    times: { type: 'string', default: '50' },
    'flood-seconds': { type: 'string', default: '10' },
    only: { type: 'string', default: 'alone,beside,apart,flood' },
    set: { type: 'string', multiple: true, default: [] },
    out: { type: 'string' },
  },
});
const ROUNDS = Number(values.rounds ?? (values.quick ? 1 : 3));
const SECONDS = Number(values.seconds ?? (values.quick ? 5 : 10));
const RATE = Number(values.rate);
const NOISE_RATE = RATE * Number(values.times);
const FLOOD_SECONDS = Number(values['flood-seconds']);
const PORT = 18_520;
const WARM_UP_SECONDS = 10;
/**
 * The noise is there before the quiet tenant sends, and still there when it has sent. So long before, since a generator that
 * starts takes the processor from everybody: in its first second and a half stood half of all that took longest.
 */
const NOISE_LEAD_SECONDS = 3;
const NOISE_TAIL_SECONDS = 1;
/** How long after the flood the quiet tenant goes on. */
const AFTER_FLOOD_SECONDS = 10;
const FLOOD_CONNECTIONS = 256;
const REPORT_MS = 150_000;

const PHASES = ['alone', 'beside', 'apart', 'flood'] as const;
type Phase = (typeof PHASES)[number];

interface Run {
  readonly phase: Phase;
  readonly round: number;
  readonly latencyMs: Percentiles;
  readonly waited: readonly Waited[];
  /** How late the quiet tenant's own webhooks were written. */
  readonly lateP99Ms: number;
  readonly refused: number;
  readonly noise: { readonly accepted: number; readonly perSecond: number; readonly refused: number } | null;
  readonly cores: number;
  readonly load1: number;
  /** Of the processor, meanwhile. */
  readonly transactions: { readonly perSecond: number; readonly meanMs: number };
}

interface Stage {
  readonly context: BenchContext;
  readonly service: ServiceUnderTest;
  readonly running: Running;
  readonly other: ServiceUnderTest;
  readonly quiet: QuietTenant;
}

await runBench('neighbours', values.out, async (context) => {
  const only = values.only.split(',');
  const phases = PHASES.filter((phase) => phase !== 'flood' && only.includes(phase));
  return withStage(context, async (stage) => {
    await runPhase(stage, 'beside', -1, WARM_UP_SECONDS);
    const runs: Run[] = [];
    const keep = (run: Run) => {
      runs.push(run);
      context.say(line(run));
    };
    for (let round = 0; round < ROUNDS; round++) {
      const inTurn = round % 2 === 0 ? phases : [...phases].reverse();
      for (const phase of inTurn) keep(await runPhase(stage, phase, round, SECONDS));
    }
    if (only.includes('flood')) keep(await runPhase(stage, 'flood', 0, FLOOD_SECONDS + AFTER_FLOOD_SECONDS));
    context.say(`\n${summary(runs)}\n\n${ratios(runs)}`);
    return { settings: values.set, rate: RATE, noiseRate: NOISE_RATE, seconds: SECONDS, runs };
  });
});

async function withStage<T>(context: BenchContext, body: (stage: Stage) => Promise<T>): Promise<T> {
  const settings = Object.fromEntries(
    values.set.map((one) => [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)]),
  );
  const service = serviceUnderTest(context, `${context.prefix}same.`, settings);
  const other = serviceUnderTest(context, `${context.prefix}other.`, settings);
  service.addConnection();
  const target = {
    tenantId: TENANT,
    connectionId: CONNECTION,
    orgId: ORG,
    token: TOKEN,
    url: `http://127.0.0.1:${PORT}${WEBHOOK_PATH}`,
  };
  const closing: (() => Promise<void>)[] = [];
  try {
    const running = await service.startReady('ingest,process', PORT);
    closing.push(() => running.stop());
    if (values.only.includes('apart')) {
      const neighbour = await other.startReady('ingest,process', PORT + 1);
      closing.push(() => neighbour.stop());
    }
    const quiet = await quietTenant(context, target, topicNames(`${context.prefix}same.`).events(TENANT));
    closing.push(() => quiet.close());
    return await body({ context, service, running, other, quiet });
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

async function runPhase(stage: Stage, phase: Phase, round: number, seconds: number): Promise<Run> {
  const folder = join(DATA, 'manifests');
  mkdirSync(folder, { recursive: true });
  const file = (who: string) => join(folder, `${stage.context.prefix}${who}-${phase}-${round}.jsonl`);
  const noise = phase === 'alone' ? null : startNoise(stage, phase, file('noisy'), seconds);
  try {
    if (noise !== null) await noise.begun();
    const before = await usage(stage);
    const { sent, waited } = await stage.quiet.run({ rate: RATE, count: RATE * seconds, manifest: file('quiet') });
    const after = await usage(stage);
    const tookSeconds = (after.atMs - before.atMs) / 1000;
    const transactions = after.transactions - before.transactions;
    const load1 = loadavg()[0] as number;
    return {
      phase,
      round,
      latencyMs: percentiles(waited.map(({ latencyMs }) => latencyMs)),
      waited,
      lateP99Ms: sent.late.p99Ms,
      refused: sent.attempts - sent.accepted,
      noise: noise === null ? null : await noise.outcome(),
      cores: (after.cpuSeconds - before.cpuSeconds) / tookSeconds,
      load1,
      transactions: {
        perSecond: transactions / tookSeconds,
        meanMs: ((after.inTransactionsSeconds - before.inTransactionsSeconds) / transactions) * 1000,
      },
    };
  } finally {
    await noise?.stop();
  }
}

async function usage({ running }: Stage) {
  const response = await fetch(`http://127.0.0.1:${PORT}/metrics`);
  const metrics = await response.text();
  const value = (name: string) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(metrics)?.[1] ?? Number.NaN);
  return {
    atMs: performance.now(),
    cpuSeconds: running.cpuSeconds(),
    transactions: value('cnk_process_transaction_seconds_count'),
    inTransactionsSeconds: value('cnk_process_transaction_seconds_sum'),
  };
}

interface Noise {
  begun(): Promise<void>;
  /** Waits for its end; throws unless all that was accepted gave its envelopes once. */
  outcome(): Promise<Run['noise']>;
  stop(): Promise<void>;
}

function startNoise(stage: Stage, phase: Phase, manifest: string, seconds: number): Noise {
  const isFlood = phase === 'flood';
  const { service, port } =
    phase === 'apart' ? { service: stage.other, port: PORT + 1 } : { service: stage.service, port: PORT };
  // A flood ends by being stopped; its count is only more than it can send.
  const count = isFlood ? 1_000_000 : NOISE_RATE * (NOISE_LEAD_SECONDS + seconds + NOISE_TAIL_SECONDS);
  const flags = ['--url', `http://127.0.0.1:${port}`, '--manifest', manifest, '--json', '--count', String(count)];
  const pace = isFlood
    ? ['--rate', '0', '--connections', String(FLOOD_CONNECTIONS), '--conversations', '20000']
    : ['--rate', String(NOISE_RATE)];
  const flood = startProgram(service.command('flood', ['flood', ...flags, ...pace]));
  let timer: NodeJS.Timeout | undefined;
  return {
    async begun() {
      await waitUntil(async () => readFileSync(manifest, 'utf8').length > 0, {
        what: 'the noise',
        deadlineMs: 30_000,
        hopeless: flood.gone,
      });
      if (isFlood) timer = setTimeout(() => void flood.stop(), FLOOD_SECONDS * 1000);
      else await new Promise((resolve) => setTimeout(resolve, NOISE_LEAD_SECONDS * 1000));
    },
    async outcome() {
      const sent = await reportOf<FloodReport>(flood);
      if (!isFlood && sent.notAccepted > 0) throw new Error(`noise: ${sent.notAccepted} webhooks were not accepted`);
      const verify = startProgram(service.command('verify', ['verify', manifest, '--json']));
      const { ok, defectTotal, stoppedBecause } = await reportOf<VerifyReport>(verify);
      if (!ok) throw new Error(`noise: verify: ${defectTotal} defects, ${stoppedBecause}; ${verify.logFile}`);
      return {
        accepted: sent.accepted,
        perSecond: sent.acceptedPerSecond,
        refused: Object.entries(sent.byStatus).reduce((sum, [status, n]) => sum + (status === '503' ? n : 0), 0),
      };
    },
    async stop() {
      clearTimeout(timer);
      await flood.stop();
    },
  };
}

/** Waits for the end of a command that prints one JSON report, and gives it. */
async function reportOf<T>(command: Running): Promise<T> {
  await waitUntil(async () => command.gone() !== null, { what: command.logFile, deadlineMs: REPORT_MS });
  const json = readFileSync(command.logFile, 'utf8')
    .split('\n')
    .findLast((text) => text.startsWith('{'));
  if (json === undefined) throw new Error(command.gone() ?? '');
  return JSON.parse(json) as T;
}

function line({ phase, round, latencyMs, lateP99Ms, refused, noise, cores, load1, transactions }: Run): string {
  const heard =
    noise === null
      ? ''
      : `; noise ${Math.round(noise.perSecond)}/s, ${noise.accepted} stored, ${noise.refused} refused`;
  return (
    `${phase} ${round}: p50 ${ms(latencyMs.p50Ms)}, p99 ${ms(latencyMs.p99Ms)}, max ${ms(latencyMs.maxMs)}${heard}; ` +
    `quiet refused ${refused}, late p99 ${ms(lateP99Ms)}; cores ${cores.toFixed(2)}, load ${load1.toFixed(1)}; ` +
    `${Math.round(transactions.perSecond)} transactions/s of ${transactions.meanMs.toFixed(1)} ms`
  );
}

/** All rounds of a phase together: one round has too few of them for a p99. */
function pooled(runs: readonly Run[], phase: Phase): Percentiles | null {
  const waited = runs.filter((run) => run.phase === phase).flatMap((run) => run.waited);
  return waited.length === 0 ? null : percentiles(waited.map(({ latencyMs }) => latencyMs));
}

function summary(runs: readonly Run[]): string {
  const rows = PHASES.flatMap((phase) => {
    const all = pooled(runs, phase);
    if (all === null) return [];
    const of = runs.filter((run) => run.phase === phase);
    const noise = of.flatMap((run) => (run.noise === null ? [] : [run.noise.perSecond]));
    return [
      [
        phase,
        String(of.reduce((sum, { waited }) => sum + waited.length, 0)),
        noise.length === 0 ? '–' : spread(noise),
        ms(all.p50Ms),
        ms(all.p99Ms),
        ms(all.maxMs),
        spread(of.map(({ latencyMs }) => latencyMs.p99Ms)),
        spread(
          of.map(({ cores }) => cores),
          2,
        ),
      ],
    ];
  });
  return table(['phase', 'events', 'noise/s', 'p50', 'p99', 'max', 'p99 of a round', 'cores of the service'], rows);
}

function ratios(runs: readonly Run[]): string {
  const lines: string[] = [];
  for (const [phase, to] of [
    ['beside', 'alone'],
    ['apart', 'alone'],
    ['beside', 'apart'],
  ] as const) {
    const [a, b] = [pooled(runs, phase), pooled(runs, to)];
    if (a === null || b === null) continue;
    const p99 = (of: Phase) => runs.filter((run) => run.phase === of).map(({ latencyMs }) => latencyMs.p99Ms);
    const each = p99(phase).map((value, at) => value / (p99(to)[at] as number));
    lines.push(
      `${phase} / ${to}: p50 ${(a.p50Ms / b.p50Ms).toFixed(2)}, p99 ${(a.p99Ms / b.p99Ms).toFixed(2)} ` +
        `(median of the rounds ${median(each).toFixed(2)}: ${each.map((value) => value.toFixed(2)).join(' ')})`,
    );
  }
  return lines.join('\n');
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}
