/**
 * The demo: the whole path once, with a crash in the middle, and every change accounted for at the end.
 *
 *   topics, schema, connections → flood (duplicates, reordering) ∥ verify → SIGKILL of the processor half way
 *   → a simulated Kustomer, with its webhooks off for a while (sensing.ts)
 *   → another one, connected and written to with `fibric` (acting.ts) → summary
 */
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FloodTarget } from '../../simulator/flood/options.ts';
import { type FloodProgress, type FloodReport, formatFloodReport } from '../../simulator/flood/report.ts';
import { runFlood } from '../../simulator/flood/run-flood.ts';
import { formatVerifyReport, runVerify, type VerifyOptions, type VerifyReport } from '../verify/index.ts';
import { type ActingResult, openActing, runActing } from './acting.ts';
import { runSensing, type SensingResult } from './sensing.ts';
import type { Stage } from './stage.ts';

export interface DemoOptions {
  readonly changes: number;
  readonly rate: number;
  readonly seed: string;
  readonly targets: readonly FloodTarget[];
  /** Of the tenant of the second act. */
  readonly topic: string;
  readonly verify: Pick<VerifyOptions, 'access' | 'registry' | 'topicPrefix' | 'reader' | 'kafkaLib'>;
}

export interface DemoIo {
  readonly stage: Stage;
  say(line: string): void;
  readonly signal: AbortSignal;
}

export interface DemoResult {
  readonly flood: FloodReport;
  readonly verify: VerifyReport;
  readonly sensing: SensingResult;
  readonly acting: ActingResult;
  readonly ok: boolean;
}

const DUPLICATES = 0.2;
const REORDER = 0.2;
/** Nothing about the demo takes this long. */
const DEADLINE_MS = 300_000;
/** Long enough for a killed processor's partitions to be given to the next one. */
const NO_PROGRESS_MS = 60_000;

export async function runDemo(options: DemoOptions, { stage, say, signal }: DemoIo): Promise<DemoResult> {
  const folder = await mkdtemp(join(tmpdir(), 'cn-kustomer-demo-'));
  const manifest = join(folder, 'manifest.jsonl');
  try {
    await stage.startProcessor();
    say(
      `flood: ${options.changes} changes over ${options.targets.length} tenants, 20 % sent twice, 20 % held back behind a later change`,
    );
    let crash: Promise<void> | undefined;
    const crashHalfWay = (progress: FloodProgress) => {
      say(`  ${String(progress.sent).padStart(6)} of ${progress.planned} sent, ${progress.accepted} accepted`);
      if (crash === undefined && progress.sent >= progress.planned / 2) crash = replaceProcessor(stage, say);
    };
    const flooding = runFlood(
      { count: options.changes, rate: options.rate, seed: options.seed, duplicates: DUPLICATES, reorder: REORDER },
      options.targets,
      { manifest: createWriteStream(manifest), progress: crashHalfWay, signal },
    );
    const verifying = runVerify(
      {
        ...options.verify,
        manifest,
        follow: true,
        timeoutMs: NO_PROGRESS_MS,
        deadlineMs: DEADLINE_MS,
        settleMs: 1_000,
        strict: true,
        allowDead: false,
      },
      { clock: stage.log.clock, progress: (line) => say(`  ${line}`), openLog: async () => stage.connect(), signal },
    );
    const [flood, verify] = await Promise.all([flooding, verifying]);
    await crash;
    say('');
    say(formatFloodReport(flood));
    say('');
    say(formatVerifyReport(verify));
    say('');
    const { sensing, acting } = await senseAndAct(options, { stage, say, signal });
    say('');
    for (const line of countLines(verify, sensing)) say(line);
    const isFlooded = verify.ok && flood.outcome === 'complete' && flood.notAccepted === 0 && crash !== undefined;
    return { flood, verify, sensing, acting, ok: isFlooded && sensing.ok && acting.ok };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The roles of the third act start while the second one plays. */
async function senseAndAct(options: DemoOptions, io: DemoIo) {
  const opening = openActing(io.stage);
  opening.catch(() => undefined); // told below
  try {
    const sensing = await sense(options, io);
    io.say('');
    return { sensing, acting: await runActing(await opening, io) };
  } finally {
    const opened = await opening.catch(() => undefined);
    await opened?.simulator.close();
  }
}

async function sense({ verify, topic }: DemoOptions, { stage, say, signal }: DemoIo): Promise<SensingResult> {
  await stage.startPoller();
  const reading = { ...verify, clock: stage.log.clock, openLog: async () => stage.connect() };
  return runSensing({ url: stage.url, topic, store: stage.connections, reading, say, signal });
}

/** How many envelopes of each type there were, and how they were observed: the flood's all by webhook. */
function countLines(verify: VerifyReport, sensing: SensingResult): readonly string[] {
  const types = new Set([...Object.keys(verify.byType), ...sensing.counts.keys()]);
  const rows = [...types].map((type) => {
    const { webhook = 0, poll = 0 } = sensing.counts.get(type) ?? {};
    return { type, webhook: (verify.byType[type] ?? 0) + webhook, poll };
  });
  const row = (type: string, ...numbers: readonly (number | string)[]): string =>
    `${type.padEnd(36)}${numbers.map((number) => String(number).padStart(12)).join('')}`;
  const sorted = rows.sort((a, b) => b.webhook + b.poll - a.webhook - a.poll);
  return [
    row('event type', 'envelopes', 'by webhook', 'by poll'),
    ...sorted.map(({ type, webhook, poll }) => row(type, webhook + poll, webhook, poll)),
  ];
}

async function replaceProcessor(stage: Stage, say: DemoIo['say']): Promise<void> {
  say('  the processor is killed with SIGKILL in the middle of its work…');
  await stage.killProcessor();
  await stage.startProcessor();
  say('  …and another one takes over: it fences the dead one, restores its state and goes on from the last commit');
}

/** The line a script may look for. */
export function demoLine({ flood, verify, acting, ok }: DemoResult): string {
  const { defects, latency } = verify;
  const ms = (value: number | undefined) => (value === undefined ? 'n/a' : String(Math.round(value)));
  return (
    `demo ${ok ? 'ok' : 'FAILED'}: accepted=${flood.accepted} distinct=${flood.distinctAccepted} envelopes=${verify.counts.seen} ` +
    `lost=${defects.missing} doubled=${defects.doubled} p50_ms=${ms(latency?.p50Ms)} p99_ms=${ms(latency?.p99Ms)} ` +
    `applied=${acting.applied} dedup=${acting.deduplicated} blocked=${acting.blocked}`
  );
}
