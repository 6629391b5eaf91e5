/**
 * The whole path: signed webhooks at a steady rate → receiver → Kafka → processor → Kafka → an independent reader.
 * Accepted → visible is from the 2xx to the envelope in the hands of a read_committed reader that is not KafkaJS.
 *
 *   node bench/path.ts [--quick] [--seconds 30] [--rate 1000] [--setups one,two] [--highest] [--set NAME=value …]
 *
 * `one`: ingest and process in one `serve`; `two`: one `serve` each. `--highest` also looks for the highest rate that is
 * kept up for 60 s with p99 ≤ 1 s. `--set` gives the service other settings than the defaults.
 *
 * A run counts only if every accepted change is visible exactly once (`cn-kustomer verify` says so).
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { waitUntil } from '../scripts/stack/wait.ts';
import type { VerifyReport } from '../src/app/verify/index.ts';
import type { FloodReport } from '../src/simulator/flood/report.ts';
import { type BenchContext, DATA, runBench } from './lib/bench.ts';
import { type Running, startProgram } from './lib/children.ts';
import { table } from './lib/numbers.ts';
import { type ServiceUnderTest, serviceUnderTest } from './lib/service.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    seconds: { type: 'string' },
    rate: { type: 'string', default: '1000' },
    setups: { type: 'string', default: 'one,two' },
    highest: { type: 'boolean', default: false },
    set: { type: 'string', multiple: true, default: [] },
    out: { type: 'string' },
    /** Taken like by every bench; there is no peer here. */
    peers: { type: 'boolean', default: false },
  },
});
const SECONDS = Number(values.seconds ?? (values.quick ? 8 : 30));
/** Before anything is measured: just-in-time compilers, connections, the receiver's knowledge of the connection. */
const WARM_UP_SECONDS = values.quick ? 3 : 10;
const PORT = 18_490;
const MAX_P99_MS = 1000;
/** A generator that is itself late by more measures the generator. */
const MAX_LATE_P99_MS = 250;
const STEP = 1.3;
const PROBE_SECONDS = 8;
const CONFIRM_SECONDS = values.quick ? 8 : 60;
/** No step begins after it. */
const HIGHEST_DEADLINE_MS = (values.quick ? 1 : 6) * 60_000;
/** The flood gives up 120 s after its time and verify 30 s without progress; this is for a command that hangs. */
const REPORT_GRACE_MS = 170_000;

/** Which roles each process of a setup has. */
const SETUPS: Readonly<Record<string, readonly string[]>> = { one: ['ingest,process'], two: ['ingest', 'process'] };

interface PathRun {
  readonly setup: string;
  readonly rate: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Cores used, by process; `rest` is whatever else ran on the machine: broker, reader, neighbours. */
  readonly cores: Readonly<Record<string, number>>;
  readonly generatorLateP99Ms: number;
  readonly load1: number;
  /** Null when the run counts, else why it does not. */
  readonly problem: string | null;
}

await runBench('path', values.out, async (context) => {
  const steady: PathRun[] = [];
  for (const setup of values.setups.split(',')) {
    const run = await withService(context, setup, (path) => path.run(Number(values.rate), SECONDS));
    if (run.problem !== null) throw new Error(`${setup}: ${run.problem}`);
    steady.push(run);
    context.say(line(run));
  }
  const best = steady.toSorted((a, b) => a.p99Ms - b.p99Ms)[0]?.setup ?? 'one';
  const found = values.highest ? await withService(context, best, (path) => highest(context, path)) : null;
  context.say(`\n${summary([...steady, ...(found?.steps ?? [])])}`);
  if (found !== null)
    context.say(`\nhighest rate kept up for ${CONFIRM_SECONDS} s: ${found.rate ?? 'none was found in time'}`);
  return { settings: values.set, steady, highest: found };
});

interface Path {
  run(rate: number, seconds: number): Promise<PathRun>;
}

async function withService<T>(context: BenchContext, setup: string, body: (path: Path) => Promise<T>): Promise<T> {
  const roles = SETUPS[setup];
  if (roles === undefined) throw new Error(`no setup ${setup}; there are ${Object.keys(SETUPS).join(', ')}`);
  const settings = Object.fromEntries(
    values.set.map((one) => [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)]),
  );
  const service = serviceUnderTest(context, `${context.prefix}${setup}${Date.now()}.`, settings);
  service.addConnection();
  const running = new Map<string, Running>();
  try {
    for (const [index, role] of roles.entries()) running.set(role, await service.startReady(role, PORT + index));
    const run = (rate: number, seconds: number) => runOnce(context, service, running, setup, rate, seconds);
    await run(Number(values.rate), WARM_UP_SECONDS);
    return await body({ run });
  } finally {
    for (const one of [...running.values()].reverse()) await one.stop();
  }
}

async function runOnce(
  context: BenchContext,
  service: ServiceUnderTest,
  running: ReadonlyMap<string, Running>,
  setup: string,
  rate: number,
  seconds: number,
): Promise<PathRun> {
  const folder = join(DATA, 'manifests');
  mkdirSync(folder, { recursive: true });
  const manifest = join(folder, `${context.prefix}${setup}-${rate}-${Date.now()}.jsonl`);
  const count = String(rate * seconds);
  const url = `http://127.0.0.1:${PORT}`;
  // The reader is there first, so that it sees records as they become visible.
  const verify = startProgram(service.command('verify', ['verify', manifest, '--follow', '--json']));
  const flags = ['--url', url, '--rate', String(rate), '--count', count, '--manifest', manifest, '--json'];
  const before = usage(running);
  const flood = startProgram(service.command('flood', ['flood', ...flags]));
  try {
    const sent = await reportOf<FloodReport>(flood, seconds);
    const used = usageSince(running, before);
    const seen = await reportOf<VerifyReport>(verify, seconds);
    const flooding = (sent.cpuUsPerSend * sent.sent) / 1e6 / used.seconds;
    const known = Object.values(used.cores).reduce((sum, cores) => sum + cores, flooding);
    return {
      setup,
      rate,
      seconds,
      p50Ms: seen.latency?.p50Ms ?? Number.NaN,
      p90Ms: seen.latency?.p90Ms ?? Number.NaN,
      p99Ms: seen.latency?.p99Ms ?? Number.NaN,
      maxMs: seen.latency?.maxMs ?? Number.NaN,
      cores: { ...used.cores, generator: flooding, rest: used.busy - known },
      generatorLateP99Ms: sent.late.p99Ms,
      load1: loadavg()[0] as number,
      problem: problemOf(sent, seen),
    };
  } finally {
    await Promise.all([flood.stop(), verify.stop()]);
  }
}

function problemOf(sent: FloodReport, seen: VerifyReport): string | null {
  if (sent.outcome !== 'complete') return `the flood ended: ${sent.outcome}`;
  if (sent.notAccepted > 0) return `${sent.notAccepted} webhooks were not accepted`;
  if (!seen.ok) return `verify: ${seen.defectTotal} defects, ${seen.stoppedBecause}`;
  return seen.latency === null ? 'nothing was seen as it became visible' : null;
}

/** Waits for the end of a command that prints one JSON report, and gives it. */
async function reportOf<T>(command: Running, seconds: number): Promise<T> {
  await waitUntil(async () => command.gone() !== null, {
    what: command.logFile,
    deadlineMs: seconds * 1000 + REPORT_GRACE_MS,
  });
  const json = readFileSync(command.logFile, 'utf8')
    .split('\n')
    .findLast((text) => text.startsWith('{'));
  if (json === undefined) throw new Error(command.gone() ?? '');
  return JSON.parse(json) as T;
}

interface Usage {
  readonly atMs: number;
  readonly busyMs: number;
  readonly seconds: ReadonlyMap<string, number>;
}

function usage(running: ReadonlyMap<string, Running>): Usage {
  const busyMs = cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
  return {
    atMs: performance.now(),
    busyMs,
    seconds: new Map([...running].map(([role, one]) => [role, one.cpuSeconds()])),
  };
}

function usageSince(running: ReadonlyMap<string, Running>, before: Usage) {
  const now = usage(running);
  const seconds = (now.atMs - before.atMs) / 1000;
  const cores = Object.fromEntries(
    [...now.seconds].map(([role, cpu]) => [role, (cpu - (before.seconds.get(role) ?? 0)) / seconds]),
  );
  return { seconds, cores, busy: (now.busyMs - before.busyMs) / 1000 / seconds };
}

interface Highest {
  /** Null when time ran out before one held. */
  readonly rate: number | null;
  readonly steps: readonly PathRun[];
}

/** Up in large steps until one fails, then down from there in small ones until one holds for a whole minute. */
async function highest(context: BenchContext, path: Path): Promise<Highest> {
  const deadlineMs = performance.now() + HIGHEST_DEADLINE_MS;
  const inTime = () => performance.now() < deadlineMs;
  const steps: PathRun[] = [];
  const keepsUp = async (rate: number, seconds: number) => {
    const run = await path.run(rate, seconds);
    steps.push(run);
    context.say(line(run));
    return run.problem === null && run.p99Ms <= MAX_P99_MS && run.generatorLateP99Ms <= MAX_LATE_P99_MS;
  };
  let rate = Math.round(Number(values.rate) * STEP ** 2);
  while (inTime() && (await keepsUp(rate, PROBE_SECONDS))) rate = Math.round(rate * STEP);
  while (inTime()) {
    rate = Math.round(rate / Math.sqrt(STEP));
    if (await keepsUp(rate, CONFIRM_SECONDS)) return { rate, steps };
  }
  return { rate: null, steps };
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}

function coresText(cores: PathRun['cores']): string {
  return Object.entries(cores)
    .map(([name, used]) => `${name} ${used.toFixed(2)}`)
    .join(', ');
}

function line(run: PathRun): string {
  const { p50Ms, p90Ms, p99Ms, maxMs } = run;
  const latency = `p50 ${ms(p50Ms)}, p90 ${ms(p90Ms)}, p99 ${ms(p99Ms)}, max ${ms(maxMs)}`;
  return `${run.setup} ${run.rate}/s ${run.seconds} s: ${run.problem ?? latency}; cores: ${coresText(run.cores)}`;
}

function summary(runs: readonly PathRun[]): string {
  const head = ['processes', 'rate/s', 'seconds', 'p50', 'p90', 'p99', 'max', 'generator late p99', 'cores', 'load'];
  const rows = runs.map((run) => [
    run.setup,
    String(run.rate),
    String(run.seconds),
    ms(run.p50Ms),
    ms(run.p90Ms),
    ms(run.p99Ms),
    run.problem ?? ms(run.maxMs),
    ms(run.generatorLateP99Ms),
    coresText(run.cores),
    run.load1.toFixed(1),
  ]);
  return table(head, rows);
}
