/**
 * A backfill of simulated history: whether the search limit sets its pace, whether its memory stays flat, and whether a
 * process killed half-way loses or doubles anything.
 *
 *   node bench/backfill.ts [--quick] [--conversations 200000] [--limit 600] [--page-size 500] [--no-kill]
 *
 * The simulator and the poll role run in processes of their own; the limit is the simulator's, raised from Kustomer's 100
 * searches a minute. `share` is what was asked of what the limit allows from the first search to the last, the time from
 * the killing to the next owner's first search left out. The raw topic is read back, by a client that is not the role's,
 * and held against the simulator's objects: every one of them must be there once.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openControl } from '../src/app/control/open.ts';
import { startPollRole } from '../src/app/roles/poll.ts';
import { loadSettings, type Settings } from '../src/app/settings.ts';
import { createLogger, createMetrics } from '../src/app/telemetry.ts';
import { reconcileTopics, topicSettings } from '../src/app/topic-settings.ts';
import { openClients } from '../src/app/vendor.ts';
import { Secret } from '../src/base/secret.ts';
import { CONNECTION_SETTINGS } from '../src/fibric/connection.ts';
import { openKafkaLog } from '../src/kafka/kafkajs/index.ts';
import { topicNames } from '../src/kafka/topics.ts';
import { createBudgetGate } from '../src/kustomer/client/budget-gate.ts';
import { type BenchContext, runBench } from './lib/bench.ts';
import { startProgram, waitForHttp } from './lib/children.ts';
import { readVisible } from './lib/count.ts';
import { ROOT } from './lib/machine.ts';
import { table } from './lib/numbers.ts';
import { CONNECTION, TENANT } from './lib/service.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    conversations: { type: 'string' },
    limit: { type: 'string', default: '600' },
    'page-size': { type: 'string', default: '500' },
    'no-kill': { type: 'boolean', default: false },
    out: { type: 'string' },
    /** Taken like by every bench; there is no peer here. */
    peers: { type: 'boolean', default: false },
    /** In the process that polls. */
    child: { type: 'boolean', default: false },
  },
});
const CONVERSATIONS = Number(values.conversations ?? (values.quick ? 20_000 : 200_000));
const LIMIT = Number(values.limit);
const HISTORY_DAYS = 90;
const SIMULATOR_PORT = 18_600;
const SIMULATOR = `http://127.0.0.1:${SIMULATOR_PORT}`;
const SAMPLE_EVERY_MS = 1_000;
const DEADLINE_MS = 45 * 60_000;
const SESSION_TIMEOUT_MS = 6_000;

interface Sample {
  readonly atMs: number;
  readonly searches: number;
  readonly rows: number;
  readonly rssMiB: number;
  readonly cpuSeconds: number;
  readonly done: boolean;
}

if (values.child) await pollHere();
else await runBench('backfill', values.out, measure);

async function measure(context: BenchContext): Promise<unknown> {
  const simulator = startSimulator();
  try {
    await waitForHttp(`${SIMULATOR}/_simulator/state`, simulator, (status) => status === 200);
    const env = {
      ...process.env,
      KAFKA_BROKERS: context.brokers.join(','),
      TOPIC_PREFIX: context.prefix,
      CN_MASTER_KEY: randomBytes(32).toString('hex'),
      POLL_PAGE_SIZE: String(values['page-size']),
      GROUP_SESSION_TIMEOUT_MS: String(SESSION_TIMEOUT_MS),
    };
    await connect(context, loadSettings(env));
    const expected = await objects();
    const total = Object.values(expected).reduce((sum, count) => sum + count, 0);
    context.say(`${total.toLocaleString('en-US')} objects: ${JSON.stringify(expected)}`);
    const cpuBefore = simulator.cpuSeconds();
    const runs: (readonly Sample[])[] = [];
    if (!values['no-kill']) runs.push(await run(env, ({ rows }) => rows > total / 2));
    runs.push(await run(env, ({ done }) => done));
    const simulatorCpu = simulator.cpuSeconds() - cpuBefore;
    const account = await readBack(context, total);
    const figures = figuresOf(runs, simulatorCpu);
    context.say(
      `RSS, MiB: ${rssSeries(runs)
        .map((life) => life.join(' '))
        .join(' | ')}`,
    );
    context.say(summary(figures, account));
    if (account.lost > 0 || account.doubled > 0) throw new Error('rows were lost or doubled');
    return { conversations: CONVERSATIONS, limit: LIMIT, expected, figures, account, rssMiB: rssSeries(runs) };
  } finally {
    await simulator.stop();
  }
}

function startSimulator() {
  const limits = JSON.stringify({ orgPerMinute: LIMIT * 10, searchPerMinute: LIMIT });
  const args = ['simulate', '--port', String(SIMULATOR_PORT), '--orgs', 'acme', '--limits', limits];
  const history = ['--conversations', String(CONVERSATIONS), '--history', `${HISTORY_DAYS}d`];
  const main = [`--max-old-space-size=8192`, '--no-warnings', `${ROOT}/src/main.ts`];
  return startProgram({ name: 'simulate', command: process.execPath, args: [...main, ...args, ...history] });
}

async function connect({ log }: BenchContext, settings: Settings): Promise<void> {
  await reconcileTopics(log, topicSettings(settings), []);
  const store = await openControl({ log, settings, logger: createLogger('silent') });
  const startedAtMs = Date.now();
  const backfillSinceMs = startedAtMs - 2 * HISTORY_DAYS * 86_400_000;
  const connection = {
    ...{ connectionId: CONNECTION, tenantId: TENANT, resellerId: null, workspaceId: null, name: 'bench' },
    ...{ subdomain: 'acme', orgId: null, apiBaseUrl: SIMULATOR, hasApiKey: true, startedAtMs },
    ...{ webhookId: null, previousWebhookId: null },
    settings: { ...CONNECTION_SETTINGS, backfillSinceMs },
  };
  await store.add({ connection, token: new Secret('bench'), apiKey: new Secret('key-acme'), dropOld: false });
  await store.close();
}

async function objects(): Promise<Readonly<Record<string, number>>> {
  const { orgs } = (await (await fetch(`${SIMULATOR}/_simulator/state`)).json()) as {
    orgs: readonly { readonly objects: Readonly<Record<string, number>> }[];
  };
  const { conversations = 0, messages = 0, customers = 0 } = orgs[0]?.objects ?? {};
  return { conversations, messages, customers };
}

/** One life of the poll role: until `enough`, then killed; its samples. */
async function run(env: NodeJS.ProcessEnv, enough: (sample: Sample) => boolean): Promise<readonly Sample[]> {
  const args = ['--no-warnings', fileURLToPath(import.meta.url), '--child', '--limit', String(LIMIT)];
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const late = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
  const samples: Sample[] = [];
  try {
    for await (const line of createInterface({ input: child.stdout as NonNullable<ChildProcess['stdout']> })) {
      samples.push(JSON.parse(line) as Sample);
      if (enough(samples.at(-1) as Sample)) return samples;
    }
    throw new Error('the poll role ended by itself, or took too long');
  } finally {
    clearTimeout(late);
    const ended = child.exitCode === null ? once(child, 'exit') : undefined;
    child.kill('SIGKILL');
    await ended;
  }
}

async function pollHere(): Promise<void> {
  const settings = loadSettings(process.env);
  const logger = createLogger('warn');
  const log = openKafkaLog({ settings: { brokers: settings.kafkaBrokers, clientId: 'cn-bench-poll' }, logger });
  const metrics = createMetrics();
  const connections = await openControl({ log, settings, logger });
  let rows = 0;
  const budget = { othersShare: 0, searchLimit: LIMIT, assumedLimit: LIMIT * 10 };
  const gate = createBudgetGate({ budget });
  const role = await startPollRole({
    ...{ settings, log, logger, metrics, connections },
    clients: openClients(connections, () => gate).clients,
    published: () => {
      rows += 1;
    },
    crashed: (error) => {
      throw error;
    },
  });
  setInterval(() => {
    const { granted } = gate.health();
    const backfill = Object.values(role.poller.health[0]?.backfill ?? {});
    const { user, system } = process.cpuUsage();
    const sample: Sample = {
      atMs: Date.now(),
      searches: granted.poll + granted.backfill,
      rows,
      rssMiB: Math.round(process.memoryUsage.rss() / 2 ** 20),
      cpuSeconds: (user + system) / 1e6,
      done: backfill.length === 3 && backfill.every(({ status }) => status === 'done'),
    };
    process.stdout.write(`${JSON.stringify(sample)}\n`);
  }, SAMPLE_EVERY_MS);
}

interface Account {
  readonly records: number;
  readonly lost: number;
  readonly doubled: number;
}

async function readBack(context: BenchContext, expected: number): Promise<Account> {
  const seen = new Set<string>();
  let records = 0;
  await readVisible(context, topicNames(context.prefix).raw, ({ value }) => {
    const { data } = JSON.parse(value?.toString() ?? '{}') as { data: { type: string; id: string } };
    seen.add(`${data.type}/${data.id}`);
    records += 1;
  });
  return { records, lost: expected - seen.size, doubled: records - seen.size };
}

function figuresOf(runs: readonly (readonly Sample[])[], simulatorCpuSeconds: number) {
  const lives = runs.map((samples) => {
    const busy = samples.filter(({ searches }) => searches > 0);
    const [first] = busy;
    const last = busy.find(({ done }) => done) ?? busy.at(-1);
    if (first === undefined || last === undefined) throw new Error('no search was made');
    const seconds = (last.atMs - first.atMs) / 1000;
    return {
      seconds,
      searches: last.searches - first.searches,
      rows: last.rows - first.rows,
      cpuSeconds: last.cpuSeconds - first.cpuSeconds,
    };
  });
  const sum = (value: (life: (typeof lives)[number]) => number) => lives.reduce((all, life) => all + value(life), 0);
  const seconds = sum((life) => life.seconds);
  return {
    seconds,
    rowsPerSecond: Math.round(sum((life) => life.rows) / seconds),
    searches: sum((life) => life.searches),
    share: (sum((life) => life.searches) * 60) / (LIMIT * seconds),
    pollCpu: sum((life) => life.cpuSeconds) / seconds,
    simulatorCpu: simulatorCpuSeconds / seconds,
  };
}

/** Ten a life, evenly: flat is what they should be. */
function rssSeries(runs: readonly (readonly Sample[])[]): readonly (readonly number[])[] {
  return runs.map((samples) =>
    Array.from({ length: 10 }, (_, at) => samples[Math.floor((at * (samples.length - 1)) / 9)]?.rssMiB ?? 0),
  );
}

function summary(figures: ReturnType<typeof figuresOf>, account: Account): string {
  const { seconds, rowsPerSecond, searches, share, pollCpu, simulatorCpu } = figures;
  const head = ['seconds', 'rows/s', 'searches', 'share of the limit', 'poll cores', 'simulator cores'];
  const cells = [seconds.toFixed(0), String(rowsPerSecond), String(searches), `${(share * 100).toFixed(1)} %`];
  const rows = [...cells, pollCpu.toFixed(2), simulatorCpu.toFixed(2), String(account.lost), String(account.doubled)];
  return table([...head, 'lost', 'doubled'], [rows]);
}
