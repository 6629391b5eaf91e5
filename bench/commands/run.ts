/** One run of one contender over one workload: the stub, the records, the process, and what came of it. */
import { createCommandType } from '../../src/fibric/commands/avro.ts';
import type { Append, LogProducer } from '../../src/kafka/port.ts';
import { WireEncoder } from '../../src/kafka/wire.ts';
import type { BenchContext } from '../lib/bench.ts';
import type { Running } from '../lib/children.ts';
import { type Percentiles, percentiles } from './percentiles.ts';
import { followReceipts, type ReceiptCounter } from './receipts.ts';
import { buildSite, type Site } from './site.ts';
import { type Stub, type StubSummary, startStub } from './stub-client.ts';
import { commandId, commandRecord, notesOf, nowUs, type Workload } from './workload.ts';

/** A program that carries out the commands of a topic. */
export interface Contender {
  readonly name: string;
  /** Receipts are there, one for each command. */
  readonly hasReceipts: boolean;
  /** For its service; those that are none have none. */
  readonly env?: Readonly<Record<string, string>>;
  start(where: Where): Running;
}

export interface Where {
  readonly brokers: string;
  readonly prefix: string;
  readonly site: Site;
  readonly stubUrl: string;
  readonly sessionTimeoutMs: number;
}

export type Job =
  | { readonly kind: Workload; readonly share: number }
  /** The process is killed half-way and started again. */
  | { readonly kind: 'crash'; readonly share: number }
  | { readonly kind: 'steady'; readonly perSecond: number; readonly seconds: number };

export interface Run {
  readonly contender: string;
  readonly job: Job['kind'];
  readonly expected: number;
  readonly stub: Omit<StubSummary, 'toArrivalUs' | 'toAnswerUs'>;
  /** Calls, from the first one's arrival to the last receipt visible; null without receipts. */
  readonly receiptsPerSecond: number | null;
  readonly receipts: number;
  readonly doubledReceipts: number;
  /** Of the contender's process, while it worked. */
  readonly cpuMsPerThousand: number;
  readonly mostRssMiB: number;
  readonly lastRssMiB: number;
  /** From when a command was sent; the first seconds left out. */
  readonly latency: Readonly<Record<'arrival' | 'answer' | 'receipt', Percentiles>> | null;
  /** From the kill to the next call, and until all was done. */
  readonly recovery: { readonly silentMs: number; readonly doneMs: number } | null;
}

const PORT = 18_700;
const LOAD_RECORDS = 500;
const SAMPLE_MS = 100;
const DEADLINE_MS = 180_000;
const SESSION_TIMEOUT_MS = 15_000;
/** As the peers had it. */
const CRASH_SESSION_TIMEOUT_MS = 10_000;
const RESTART_AFTER_MS = 200;
const SEND_EVERY_MS = 10;
const WARM_UP_SECONDS = 5;

let runs = 0;

export async function runOnce(context: BenchContext, contender: Contender, job: Job): Promise<Run> {
  const prefix = `${context.prefix}${++runs}.`;
  const sessionTimeoutMs = job.kind === 'crash' ? CRASH_SESSION_TIMEOUT_MS : SESSION_TIMEOUT_MS;
  const stubUrl = `http://127.0.0.1:${PORT}`;
  const env = { GROUP_SESSION_TIMEOUT_MS: String(sessionTimeoutMs), ...contender.env };
  const site = await buildSite(context, prefix, { stubUrl, env });
  const where: Where = { brokers: context.brokers.join(','), prefix, site, stubUrl, sessionTimeoutMs };
  const stub = await startStub(PORT);
  const counter = await followReceipts(context.log, site.receipts);
  const producer = await context.log.producer({ clientId: 'bench-load' });
  const programs: Program[] = [];
  try {
    const start = () => void programs.push(watch(contender.start(where)));
    return await (job.kind === 'steady'
      ? steady({ contender, job, stub, counter, start, programs, producer, site })
      : backlog({ contender, job, stub, counter, start, programs, producer, site }));
  } finally {
    for (const program of programs) await program.stop();
    await producer.close();
    await counter.close();
    await stub.running.stop();
  }
}

interface Stage<J extends Job = Job> {
  readonly contender: Contender;
  readonly job: J;
  readonly stub: Stub;
  readonly counter: ReceiptCounter;
  readonly producer: LogProducer;
  readonly site: Site;
  readonly programs: readonly Program[];
  start(): void;
}

async function backlog(stage: Stage<Exclude<Job, { kind: 'steady' }>>): Promise<Run> {
  const { job, stub, producer, site, programs, contender, counter } = stage;
  const how = { topic: site.commands, encode: encoding(site) };
  const notes = notesOf(job.kind === 'crash' ? 'spread' : job.kind, job.share);
  let batch: Append[] = [];
  for (const note of notes) {
    batch.push(commandRecord(note, how));
    if (batch.length < LOAD_RECORDS) continue;
    await producer.append(batch);
    batch = [];
  }
  if (batch.length > 0) await producer.append(batch);
  stage.start();
  await doing(stub.first(DEADLINE_MS), programs);
  const before = programs[0]?.cpuSeconds() ?? 0;
  let recovery: Run['recovery'] = null;
  if (job.kind === 'crash') {
    await doing(stub.answered(notes.length / 2, DEADLINE_MS), programs);
    process.kill(programs[0]?.running.pid as number, 'SIGKILL');
    const killedAtUs = nowUs();
    await new Promise((resolve) => setTimeout(resolve, RESTART_AFTER_MS));
    stage.start();
    await doing(stub.answered(notes.length, DEADLINE_MS), programs.slice(1));
    const { longestGapMs, lastAtUs } = await stub.summary();
    recovery = { silentMs: longestGapMs, doneMs: (lastAtUs - killedAtUs) / 1000 };
  }
  await doing(stub.answered(notes.length, DEADLINE_MS), programs.slice(-1));
  if (contender.hasReceipts) await doing(counter.reached(notes.length, DEADLINE_MS), programs.slice(-1));
  return outcome(stage, { expected: notes.length, before, recovery, latency: null });
}

async function steady(stage: Stage<Extract<Job, { kind: 'steady' }>>): Promise<Run> {
  const { job, stub, producer, site, programs, contender, counter } = stage;
  const how = { topic: site.commands, encode: encoding(site) };
  const record = (conversation: number) =>
    commandRecord({ conversation, seq: 1 }, { ...how, sentAtUs: conversation === 0 ? 0 : nowUs() });
  stage.start();
  await producer.append([record(0)]);
  await doing(stub.first(DEADLINE_MS), programs);
  const before = programs[0]?.cpuSeconds() ?? 0;
  const total = job.perSecond * job.seconds;
  const sentAtUs = new Map<string, number>();
  const startUs = nowUs();
  const sending: Promise<void>[] = [];
  let sent = 0;
  while (sent < total) {
    const due = Math.min(total, Math.floor(((nowUs() - startUs) / 1e6) * job.perSecond));
    const appends: Append[] = [];
    for (; sent < due; sent++) {
      sentAtUs.set(commandId({ conversation: sent + 1, seq: 1 }), nowUs());
      appends.push(record(sent + 1));
    }
    if (appends.length > 0) sending.push(producer.append(appends));
    await new Promise((resolve) => setTimeout(resolve, SEND_EVERY_MS));
  }
  await Promise.all(sending);
  await doing(stub.answered(total + 1, DEADLINE_MS), programs);
  if (contender.hasReceipts) await doing(counter.reached(total + 1, DEADLINE_MS), programs);
  const skipped = job.perSecond * Math.min(WARM_UP_SECONDS, job.seconds / 2);
  const { toArrivalUs, toAnswerUs } = await stub.summary();
  const toReceiptUs = Array.from(sentAtUs, ([id, atUs]) => (counter.seenAtUs.get(id) ?? Number.NaN) - atUs);
  const warm = (us: readonly number[]) => percentiles(us.slice(skipped).map((one) => one / 1000));
  const latency = {
    arrival: warm(toArrivalUs),
    answer: warm(toAnswerUs),
    receipt: warm(contender.hasReceipts ? toReceiptUs : []),
  };
  return outcome(stage, { expected: total + 1, before, recovery: null, latency });
}

async function outcome(
  { contender, job, stub, counter, programs }: Stage,
  { expected, before, ...rest }: Pick<Run, 'expected' | 'recovery' | 'latency'> & { before: number },
): Promise<Run> {
  const { toArrivalUs: _, toAnswerUs: __, ...summary } = await stub.summary();
  const last = programs.at(-1);
  const cpu = (last?.cpuSeconds() ?? 0) - (programs.length > 1 ? 0 : before);
  return {
    contender: contender.name,
    job: job.kind,
    expected,
    stub: summary,
    receiptsPerSecond: contender.hasReceipts ? (expected * 1e6) / (counter.lastAtUs - summary.firstAtUs) : null,
    receipts: counter.seenAtUs.size,
    doubledReceipts: counter.doubled,
    cpuMsPerThousand: (cpu * 1e6) / summary.unique,
    mostRssMiB: Math.max(...programs.map(({ mostRssMiB }) => mostRssMiB())),
    lastRssMiB: last?.running.rssMiB() ?? 0,
    ...rest,
  };
}

function encoding({ commandSchemaId: schemaId }: Site) {
  const encoder = new WireEncoder({ schemaId, type: createCommandType() });
  return (wire: Parameters<typeof encoder.encode>[0]) => encoder.encode(wire);
}

/** Unless the program ends before. */
async function doing(done: Promise<void>, programs: readonly Program[]): Promise<void> {
  const watching = new AbortController();
  const gone = (async () => {
    while (!watching.signal.aborted) {
      const end = programs.at(-1)?.running.gone() ?? null;
      if (end !== null) throw new Error(end);
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    }
  })();
  try {
    await Promise.race([done, gone]);
  } finally {
    watching.abort();
  }
}

interface Program {
  readonly running: Running;
  cpuSeconds(): number;
  mostRssMiB(): number;
  stop(): Promise<void>;
}

function watch(running: Running): Program {
  let most = 0;
  const sampling = setInterval(() => {
    most = Math.max(most, running.rssMiB());
  }, SAMPLE_MS);
  return {
    running,
    cpuSeconds: () => running.cpuSeconds(),
    mostRssMiB: () => most,
    stop: () => {
      clearInterval(sampling);
      return running.stop();
    },
  };
}
