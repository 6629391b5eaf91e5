/**
 * Places in limits beside the floor of it: records of the same size, appended through the same batching producer to the same
 * kind of topic and waited for until they are read back, with nobody counting. What is above the floor is our counting.
 *
 *   node bench/quota.ts [--quick] [--rounds 3] [--at-once 200] [--rate 2000] [--seconds 10] [--out file.json]
 *
 * `most`: so many wait at once, always. `steady`: an open loop, so a slow answer does not slow the next request down.
 * A run counts only if exactly as many places were had as there are.
 */
import { parseArgs } from 'node:util';
import type { QuotaNeed } from '../src/fibric/policy/compile.ts';
import { encodeQuotaRecord } from '../src/fibric/policy/quota-records.ts';
import { BatchingProducer } from '../src/kafka/batching-producer.ts';
import { HEADER } from '../src/kafka/headers.ts';
import { fixedTopics, TOPIC_DEFAULTS, topicNames } from '../src/kafka/topics.ts';
import { openQuotaBook } from '../src/sinks/quota/book.ts';
import { ruleIdOf } from '../src/sinks/quota/rule-id.ts';
import { type Percentiles, percentiles } from './commands/percentiles.ts';
import { type BenchContext, runBench } from './lib/bench.ts';
import { median, spread, table } from './lib/numbers.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    /** Taken like by every bench; there is no peer here. */
    peers: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    'at-once': { type: 'string', default: '200' },
    rate: { type: 'string', default: '2000' },
    seconds: { type: 'string' },
    out: { type: 'string' },
  },
});
const ROUNDS = Number(values.rounds ?? (values.quick ? 1 : 3));
const AT_ONCE = Number(values['at-once']);
const RATE = Number(values.rate);
const SECONDS = Number(values.seconds ?? (values.quick ? 3 : 10));
const MOST = values.quick ? 10_000 : 40_000;
const RULES = 8;
const WARM_UP = 3_000;
const TICK_MS = 2;

/** Asks for one place, or its like; true when it was had. */
type AskOne = (rule: number, id: string) => Promise<boolean>;

interface Contender {
  readonly name: string;
  /** `max` places in each of the rules of this run. */
  readonly asking: (run: string, max: number) => AskOne;
  readonly close: () => Promise<void>;
}

interface Run {
  readonly contender: string;
  readonly job: 'most' | 'most, used up' | 'steady';
  readonly perSecond: number;
  readonly cpuUs: number;
  readonly latencyMs: Percentiles;
}

await runBench('quota', values.out, async (context) => {
  const names = topicNames(context.prefix);
  const wanted = [names.quota, names.quotaState];
  const specs = fixedTopics({ ...TOPIC_DEFAULTS, prefix: context.prefix }).filter(({ name }) => wanted.includes(name));
  const [quota] = specs.filter(({ name }) => name === names.quota);
  await context.log.admin.createTopics([...specs, { ...(quota as (typeof specs)[number]), name: floorTopic(context) }]);
  const contenders = [await ours(context), await floor(context)];
  for (const contender of contenders) await most(contender, 'warm-up', WARM_UP, WARM_UP);
  const runs: Run[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const inTurn = round % 2 === 0 ? contenders : [...contenders].reverse();
    for (const contender of inTurn) {
      const run = async (job: Run['job'], measure: () => Promise<Omit<Run, 'contender' | 'job'>>) => {
        const measured = { contender: contender.name, job, ...(await measure()) };
        runs.push(measured);
        context.say(line(measured));
      };
      await run('most', () => most(contender, `most ${round}`, MOST, MOST));
      await run('steady', () => steady(contender, `steady ${round}`));
      if (contender.name === 'ours') await run('most, used up', () => most(contender, `used up ${round}`, MOST, 800));
    }
  }
  for (const { close } of contenders) await close();
  context.say(`\n${summary(runs)}`);
  return { rounds: ROUNDS, atOnce: AT_ONCE, rate: RATE, seconds: SECONDS, runs };
});

function floorTopic({ prefix }: BenchContext): string {
  return `${prefix}floor`;
}

async function ours({ log, prefix }: BenchContext): Promise<Contender> {
  const book = await openQuotaBook({
    log,
    topics: topicNames(prefix),
    observer: { failed: (doing, error) => process.stderr.write(`${doing}: ${error}\n`) },
  });
  const { signal } = new AbortController();
  const citation = { policy: 'bench', version: 1, rule: 1, text: 'allow: conversation.note.write' };
  return {
    name: 'ours',
    asking: (run, max) => {
      const needs = Array.from({ length: RULES }, (_, n): QuotaNeed[] => [
        { key: `t/${run} ${n}/allow/note/hour`, max: max / RULES, per: 'hour', windowMs: 3_600_000, citation },
      ]);
      return async (rule, id) => {
        const of = needs[rule] as readonly QuotaNeed[];
        const { kind } = await book.reserve({ needs: of, attemptId: id, signal, isPatient: false, timeoutMs: 10_000 });
        if (kind === 'unavailable') throw new Error('a reservation was not answered');
        return kind === 'granted';
      };
    },
    close: () => book.close(),
  };
}

async function floor(context: BenchContext): Promise<Contender> {
  const { log } = context;
  const topic = floorTopic(context);
  const producer = await log.producer({ clientId: 'floor' });
  const appender = new BatchingProducer({ producers: [producer], clock: log.clock });
  const reader = await log.reader({ clientId: 'floor', topics: [topic] });
  const waiting = new Map<string, () => void>();
  for (const partition of [0, 1, 2, 3]) {
    reader.follow({
      topic,
      partition,
      fromOffset: 0,
      failed: (error) => process.stderr.write(`${error}\n`),
      records: ({ records }) => {
        for (const { headers } of records) waiting.get(headers[HEADER.writeId]?.toString('latin1') ?? '')?.();
      },
    });
  }
  let writes = 0;
  return {
    name: 'floor',
    asking: (run, max) => {
      const keys = Array.from({ length: RULES }, (_, n) => Buffer.from(ruleIdOf({ key: `${run} ${n}` })));
      return async (rule, id) => {
        const value = encodeQuotaRecord({ op: 'reserve', id, max, windowMs: 3_600_000, freshMs: 2000 });
        const writeId = `7d1f0c9e-2b3a-4c5d-8e9f-0a1b2c3d4e5f:${++writes}`;
        const { promise, resolve } = Promise.withResolvers<void>();
        waiting.set(writeId, resolve);
        const key = keys[rule] as Buffer;
        await Promise.all([appender.append({ topic, key, value, headers: { [HEADER.writeId]: writeId } }), promise]);
        waiting.delete(writeId);
        return true;
      };
    },
    close: async () => {
      await appender.close();
      await reader.close();
    },
  };
}

/** A closed loop of so many at once. `places`: over all rules. */
async function most(
  contender: Contender,
  name: string,
  asks: number,
  places: number,
): Promise<Omit<Run, 'contender' | 'job'>> {
  const ask = contender.asking(name, places);
  const latencies: number[] = [];
  let [next, had] = [0, 0];
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  const one = async (): Promise<void> => {
    while (next < asks) {
      const n = next++;
      const askedMs = performance.now();
      if (await ask(n % RULES, idOf(n))) had++;
      latencies.push(performance.now() - askedMs);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  return result(contender, { had, expected: places, startMs, cpu, latencies });
}

async function steady(contender: Contender, name: string): Promise<Omit<Run, 'contender' | 'job'>> {
  const asks = RATE * SECONDS;
  const ask = contender.asking(name, asks);
  const latencies: number[] = [];
  const asked: Promise<void>[] = [];
  let had = 0;
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  while (asked.length < asks) {
    const due = Math.min(asks, Math.floor(((performance.now() - startMs) / 1000) * RATE));
    for (let n = asked.length; n < due; n++) {
      // Since when it was due, also when we are late with it.
      const dueMs = startMs + (n / RATE) * 1000;
      const answered = ask(n % RULES, idOf(n)).then((wasHad) => {
        if (wasHad) had++;
        latencies.push(performance.now() - dueMs);
      });
      asked.push(answered);
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  await Promise.all(asked);
  return result(contender, { had, expected: asks, startMs, cpu, latencies });
}

interface Measured {
  readonly had: number;
  readonly expected: number;
  readonly startMs: number;
  readonly cpu: NodeJS.CpuUsage;
  readonly latencies: number[];
}

function result({ name }: Contender, { had, expected, startMs, cpu, latencies }: Measured) {
  const seconds = (performance.now() - startMs) / 1000;
  if (name === 'ours' && had !== expected) throw new Error(`${had} places were had; there are ${expected}`);
  const { user, system } = process.cpuUsage(cpu);
  return {
    perSecond: latencies.length / seconds,
    cpuUs: (user + system) / latencies.length,
    latencyMs: percentiles(latencies),
  };
}

/** As long as the id of a receipt. */
function idOf(n: number): string {
  return `rc_${n.toString(16).padStart(32, '0')}`;
}

function line({ contender, job, perSecond, cpuUs, latencyMs: { p50Ms, p99Ms } }: Run): string {
  const rate = Math.round(perSecond).toLocaleString('en-US');
  return `${contender}, ${job}: ${rate}/s, ${cpuUs.toFixed(0)} µs CPU each, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`;
}

function summary(runs: readonly Run[]): string {
  const groups = Map.groupBy(runs, ({ contender, job }) => `${job} | ${contender}`);
  const rows = [...groups].sort().map(([name, of]) => [
    ...name.split(' | '),
    spread(of.map(({ perSecond }) => perSecond)),
    spread(of.map(({ cpuUs }) => cpuUs)),
    spread(
      of.map(({ latencyMs }) => latencyMs.p50Ms),
      1,
    ),
    spread(
      of.map(({ latencyMs }) => latencyMs.p99Ms),
      1,
    ),
  ]);
  const rate = (contender: string) =>
    runs.filter((run) => run.contender === contender && run.job === 'most').map(({ perSecond }) => perSecond);
  const [here, there] = [rate('ours'), rate('floor')];
  const ratios = here.map((value, round) => value / (there[round] as number));
  return `${table(['job', 'what', 'a second', 'CPU µs each', 'p50 ms', 'p99 ms'], rows)}\n\nours / floor, most: ${spread(ratios, 2)} (median ${median(ratios).toFixed(2)})`;
}
