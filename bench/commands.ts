/**
 * Carrying out write commands beside two yardsticks that make the same calls: a KafkaJS loop that keeps the order of each
 * conversation and nothing else, and the same loop with receipts in transactions. The vendor answers after 2 ms. Ours is the
 * service, role `sink` with its default settings: ledger, policy, grants, a limit, the rate budget and receipts.
 *
 *   node bench/commands.ts [--quick] [--rounds 3] [--only ours,loop,loop+receipts] [--jobs spread,hot,mixed,steady,crash]
 *                          [--out file.json] [--node-options=…] [--rate 500] [--seconds 20]
 *
 * A run counts only if every command was called in the order of its conversation, one at a time, none was lost, and there is
 * one receipt for each; ours must repeat no call either, also when it is killed.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Percentiles } from './commands/percentiles.ts';
import { type Contender, type Job, type Run, runOnce } from './commands/run.ts';
import { runBench } from './lib/bench.ts';
import { startProgram } from './lib/children.ts';
import { median, spread, table } from './lib/numbers.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    /** Taken like by every bench; there is no peer here. */
    peers: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string' },
    jobs: { type: 'string' },
    out: { type: 'string' },
    rate: { type: 'string', default: '500' },
    seconds: { type: 'string' },
    /** For the process of ours: `--cpu-prof`, say. */
    'node-options': { type: 'string', default: '' },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
const share = values.quick ? 0.25 : 1;
const JOBS: readonly Job[] = [
  { kind: 'spread', share },
  { kind: 'hot', share },
  { kind: 'mixed', share },
  { kind: 'steady', perSecond: Number(values.rate), seconds: Number(values.seconds ?? (values.quick ? 6 : 20)) },
  { kind: 'crash', share },
];

const SERVICE_PORT = 18_710;

const ours: Contender = {
  name: 'ours',
  hasReceipts: true,
  // One conversation may have more here than Kustomer lets one have.
  env: { NODE_OPTIONS: values['node-options'], CREATES_PER_CUSTOMER_MINUTE: '1000000' },
  start: ({ site }) => site.service.start('sink', SERVICE_PORT),
};
const loop = (withReceipts: boolean): Contender => ({
  name: withReceipts ? 'loop+receipts' : 'loop',
  hasReceipts: withReceipts,
  start: ({ brokers, prefix, stubUrl, sessionTimeoutMs, site }) =>
    startProgram({
      name: 'commands-loop',
      command: process.execPath,
      args: ['--no-warnings', join(import.meta.dirname, 'commands', 'loop.ts')],
      env: {
        KAFKA_BROKERS: brokers,
        SOURCE: site.commands,
        GROUP: `${prefix}loop`,
        STUB_URL: stubUrl,
        SESSION_TIMEOUT_MS: String(sessionTimeoutMs),
        ...(withReceipts ? { RECEIPTS: site.receipts.name } : {}),
      },
    }),
});

await runBench('commands', values.out, async (context) => {
  const contenders = [ours, loop(true), loop(false)].filter(
    ({ name }) => values.only?.split(',').includes(name) ?? true,
  );
  const jobs = JOBS.filter(({ kind }) => values.jobs?.split(',').includes(kind) ?? true);
  const runs: Run[] = [];
  for (const job of jobs) {
    for (let round = 0; round < (job.kind === 'crash' ? 1 : rounds); round++) {
      for (let i = 0; i < contenders.length; i++) {
        const run = await runOnce(context, contenders[(i + round) % contenders.length] as Contender, job);
        runs.push(run);
        context.say(line(run));
        const problem = problemOf(run);
        if (problem !== null) throw new Error(`${run.contender}, ${run.job}: ${problem}`);
      }
    }
  }
  context.say(`\n${jobs.map(({ kind }) => summary(kind, runs)).join('\n\n')}`);
  return { share, rounds, runs };
});

function problemOf({
  contender,
  job,
  expected,
  stub,
  receipts,
  doubledReceipts,
  receiptsPerSecond,
}: Run): string | null {
  if (stub.unique !== expected) return `${stub.unique} commands were called, not ${expected}`;
  if (stub.disorder > 0) return `${stub.disorder} calls were out of order`;
  if (job === 'crash' && contender !== 'ours') return null;
  if (stub.overlaps > 0) return `${stub.overlaps} calls overlapped`;
  if (stub.duplicates > 0) return `${stub.duplicates} calls were repeated`;
  if (receiptsPerSecond !== null && (receipts !== expected || doubledReceipts > 0))
    return `${receipts} receipts, ${doubledReceipts} of them twice`;
  return null;
}

function line({
  contender,
  job,
  stub,
  receiptsPerSecond,
  cpuMsPerThousand,
  mostRssMiB,
  latency,
  recovery,
}: Run): string {
  const rate = (value: number | null) => (value === null ? '–' : Math.round(value).toLocaleString('en-US'));
  const parts = [
    `${job} ${contender}: ${rate(stub.perSecond)}/s`,
    `2nd half ${rate(stub.secondHalfPerSecond)}/s`,
    `with receipts ${rate(receiptsPerSecond)}/s`,
    `CPU ${cpuMsPerThousand.toFixed(0)} ms/1,000`,
    `RSS ${mostRssMiB} MiB`,
    `most under way ${stub.mostUnderWay}`,
    `repeated ${stub.duplicates}, reads ${stub.reads}`,
  ];
  if (latency !== null)
    parts.push(
      ...Object.entries(latency).map(
        ([to, { p50Ms, p99Ms, maxMs }]) =>
          `to ${to} p50 ${p50Ms.toFixed(1)} p99 ${p99Ms.toFixed(1)} max ${maxMs.toFixed(0)} ms`,
      ),
    );
  if (recovery !== null)
    parts.push(`silent ${rate(recovery.silentMs)} ms, done ${rate(recovery.doneMs)} ms after the kill`);
  return parts.join(', ');
}

function summary(job: Job['kind'], runs: readonly Run[]): string {
  const these = runs.filter((run) => run.job === job);
  const names = [...new Set(these.map(({ contender }) => contender))];
  const head = ['', 'calls/s', '2nd half', 'to the last receipt', 'CPU ms/1,000', 'RSS MiB', 'calls repeated'];
  const latencies = ['arrival', 'answer', 'receipt'] as const;
  const rows = names.map((name) => {
    const of = (pick: (run: Run) => number | null) =>
      these.flatMap((run) => (run.contender === name ? (pick(run) ?? []) : []));
    const shown = (numbers: readonly number[], digits = 0) => (numbers.length === 0 ? '–' : spread(numbers, digits));
    const ms = (to: (typeof latencies)[number], pick: (one: Percentiles) => number) =>
      shown(
        of(({ latency }) => (latency === null ? null : pick(latency[to]))),
        1,
      );
    return [
      name,
      shown(of(({ stub }) => stub.perSecond)),
      shown(of(({ stub }) => stub.secondHalfPerSecond)),
      shown(of((run) => run.receiptsPerSecond)),
      shown(of((run) => run.cpuMsPerThousand)),
      shown(of((run) => run.mostRssMiB)),
      shown(of(({ stub }) => stub.duplicates)),
      ...(job === 'steady'
        ? latencies.map((to) => `${ms(to, (one) => one.p50Ms)} / ${ms(to, (one) => one.p99Ms)}`)
        : []),
      ...(job === 'crash'
        ? [
            shown(of(({ recovery }) => recovery?.silentMs ?? null)),
            shown(of(({ recovery }) => recovery?.doneMs ?? null)),
          ]
        : []),
    ];
  });
  const more =
    job === 'steady'
      ? latencies.map((to) => `to ${to}, p50 / p99 ms`)
      : job === 'crash'
        ? ['silent ms', 'done ms']
        : [];
  const rate = (name: string) => median(these.flatMap((run) => (run.contender === name ? run.stub.perSecond : [])));
  const ratios = names
    .filter((name) => name !== 'ours' && names.includes('ours') && job !== 'steady')
    .map((name) => `ours / ${name}: ${(rate('ours') / rate(name)).toFixed(2)}`);
  return [`**${job}**`, table([...head, ...more], rows), ...ratios].join('\n\n');
}
