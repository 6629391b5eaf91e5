/**
 * What a decision of the policy costs, beside looking through all rules each time; what a reservation of a quota costs.
 *
 *   node bench/policy.ts [--decisions 200000] [--rounds 3]
 *
 * One thread, in memory: no log, no receipts. Requests are drawn from 1,000 different ones, mulberry32 from one seed. Each
 * decision is timed alone, so that a percentile can be told; the clock's own cost (some 40 ns) is left in. Both deciders
 * must agree on every request, or the bench fails. Not measured: a tenant's policies changing, usage counts that are far
 * away (here they are in a Map).
 */
import { parseArgs } from 'node:util';
import { WRITE_CAPABILITIES } from '../src/fibric/policy/capabilities.ts';
import { compilePolicies, type QuotaNeed } from '../src/fibric/policy/compile.ts';
import type { PolicyDocument, PolicyRule } from '../src/fibric/policy/document.ts';
import { evaluatePolicy } from '../src/fibric/policy/evaluate.ts';
import { applyQuota, NEW_QUOTA, type QuotaRecord } from '../src/fibric/policy/quota.ts';
import { quotaTwinChanges } from '../src/fibric/policy/quota-records.ts';
import { changePolicies, NO_POLICIES } from '../src/fibric/policy/versions.ts';
import { decideLinearly, type LinearRequest } from './lib/linear-policy.ts';
import { median, table } from './lib/numbers.ts';

const TARGET_P99_US = 20;
const RULES = 1_000;
const REQUESTS = 1_000;
const CAPABILITIES = WRITE_CAPABILITIES.map(({ name }) => name);

/** mulberry32: the same requests in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const next = random(5);
const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;

const allow = (capability: string, kind: PolicyRule['kind'] = 'allow'): PolicyRule => ({
  kind,
  capability,
  limit: { per: 'hour', max: 100 },
  singleFlight: capability.startsWith('call') ? 'call_id' : 'conversation_id',
  maxValue: null,
});

interface Scene {
  readonly name: string;
  readonly documents: readonly PolicyDocument[];
  readonly operators: readonly string[];
}

/** 1,000 rules in 200 policies, five in each: as many as a tenant may have. */
function scene(name: string, operatorOf: (policy: number) => string | null): Scene {
  const documents = Array.from({ length: RULES / 5 }, (_, n): PolicyDocument => {
    const rules = [...CAPABILITIES.map((capability) => allow(capability))];
    rules.push(allow(CAPABILITIES[n % CAPABILITIES.length] as string, 'require_confirmation'));
    return { name: `policy-${n}`, appliesTo: operatorOf(n), rules };
  });
  const named = documents.flatMap(({ appliesTo }) => (appliesTo === null ? [] : [appliesTo]));
  return { name, documents, operators: [...new Set([...named, 'somebody'])] };
}

const SCENES: readonly Scene[] = [
  scene('a policy for each of 190 operators, 10 for all', (n) => (n < 190 ? `operator-${n}` : null)),
  scene('all 200 policies match every request', () => null),
];

interface Figures {
  readonly meanUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
}

function time(times: number, run: (n: number) => void): Figures {
  const took = new Float64Array(times);
  for (let n = 0; n < Math.min(times, 20_000); n++) run(n);
  for (let n = 0; n < times; n++) {
    const startMs = performance.now();
    run(n);
    took[n] = (performance.now() - startMs) * 1000;
  }
  const meanUs = took.reduce((sum, us) => sum + us, 0) / times;
  took.sort();
  const at = (share: number): number => took[Math.floor((times - 1) * share)] as number;
  return { meanUs, p50Us: at(0.5), p99Us: at(0.99), p999Us: at(0.999) };
}

function measureScene({ documents, operators }: Scene, decisions: number) {
  let set = NO_POLICIES;
  for (const document of documents) set = changePolicies(set, { do: 'apply', document, by: 'bench', nowMs: 0 }).set;
  const startMs = performance.now();
  const policies = compilePolicies('t_bench', set);
  const compileMs = performance.now() - startMs;
  const capabilities = new Set(CAPABILITIES);
  const grants = { exposed: capabilities, granted: new Map(operators.map((name) => [name, capabilities])) };
  const counts = new Map<string, number>();
  const keyOf = (policy: string, { kind, capability }: PolicyRule) => `t_bench/${policy}/${kind}/${capability}/hour`;
  for (const { name, rules } of documents) {
    for (const rule of rules) counts.set(keyOf(name, rule), Math.floor(next() * 99));
  }
  const requests = Array.from({ length: REQUESTS }, (): LinearRequest => {
    const args = { conversation_id: `c${Math.floor(next() * 1e9)}`, call_id: `k${Math.floor(next() * 1e9)}` };
    return { capability: pick(CAPABILITIES), operator: pick(operators), args, value: null };
  });
  const context = { policies, grants, nowMs: 0, used: ({ key }: QuotaNeed) => counts.get(key) ?? null };
  const usedOf = (policy: string, rule: PolicyRule) => counts.get(keyOf(policy, rule)) as number;
  const compiled = (n: number) => evaluatePolicy(requests[n % REQUESTS] as LinearRequest, context).decision;
  const linear = (n: number) => decideLinearly(documents, grants, requests[n % REQUESTS] as LinearRequest, usedOf);
  for (let n = 0; n < REQUESTS; n++) {
    if (compiled(n) !== linear(n)) throw new Error(`request ${n}: ${compiled(n)}, but by all rules ${linear(n)}`);
  }
  return {
    compileMs,
    ours: time(decisions, compiled),
    scan: time(Math.min(decisions, 20_000), linear),
  };
}

/** Reservations of one rule, each batch with what its twin would write. */
function measureQuota(
  max: number,
  reservations: number,
  batch: number,
): { readonly us: number; readonly granted: number } {
  const records = Array.from({ length: reservations }, (_, n): QuotaRecord => {
    const id = `5f1c9e0a-7b2d-4c3e-${String(n).padStart(16, '0')}`;
    return { op: 'reserve', id, max, windowMs: 3_600_000, freshMs: 2000 };
  });
  let state = NEW_QUOTA;
  let bytes = 0;
  const start = process.cpuUsage();
  for (let from = 0; from < reservations; from += batch) {
    const before = state;
    for (let offset = from; offset < Math.min(from + batch, reservations); offset++) {
      state = applyQuota(state, records[offset] as QuotaRecord, { offset, atMs: offset / 2 }).state;
    }
    for (const value of quotaTwinChanges(before, state).values()) bytes += value?.length ?? 0;
  }
  const { user, system } = process.cpuUsage(start);
  if (state.granted.size !== Math.min(max, reservations)) throw new Error(`granted ${state.granted.size} of ${max}`);
  if (bytes === 0) throw new Error('the twin was not written');
  return { us: (user + system) / reservations, granted: state.granted.size };
}

const { values } = parseArgs({
  options: { decisions: { type: 'string', default: '200000' }, rounds: { type: 'string', default: '3' } },
});
const decisions = Number(values.decisions);
const rounds = Number(values.rounds);
const us = (figure: number): string => figure.toFixed(2);

const rows: string[][] = [];
let worstP99Us = 0;
for (const one of SCENES) {
  const runs = Array.from({ length: rounds }, () => measureScene(one, decisions));
  const of = (read: (run: (typeof runs)[number]) => number): number => median(runs.map(read));
  const p99Us = of(({ ours }) => ours.p99Us);
  worstP99Us = Math.max(worstP99Us, p99Us);
  rows.push(
    [
      one.name,
      'compiled',
      of(({ ours }) => ours.meanUs),
      of(({ ours }) => ours.p50Us),
      p99Us,
      of(({ ours }) => ours.p999Us),
    ].map(cell),
    [
      '',
      'all rules',
      of(({ scan }) => scan.meanUs),
      of(({ scan }) => scan.p50Us),
      of(({ scan }) => scan.p99Us),
      of(({ scan }) => scan.p999Us),
    ].map(cell),
  );
  const ratio = median(runs.map(({ ours, scan }) => scan.meanUs / ours.meanUs));
  process.stdout.write(
    `${one.name}: ${ratio.toFixed(1)} times as fast as the scan; compiled in ${of(({ compileMs }) => compileMs).toFixed(1)} ms\n`,
  );
}
process.stdout.write(`\n${table(['1,000 rules', 'decider', 'mean µs', 'p50 µs', 'p99 µs', 'p99.9 µs'], rows)}\n\n`);

const quotas = [
  { max: 100, reservations: 100_000 },
  { max: 20_000, reservations: 20_000 },
  { max: 100_000, reservations: 100_000 },
].map(({ max, reservations }) => {
  const runs = Array.from({ length: rounds }, () => measureQuota(max, reservations, 50));
  return [String(max), String(reservations), String(runs[0]?.granted), us(median(runs.map((run) => run.us)))];
});
process.stdout.write(
  `${table(['limit per hour', 'reservations', 'granted', 'CPU µs each, twin written every 50'], quotas)}\n`,
);
process.stdout.write(
  `\ndecision p99 ${us(worstP99Us)} µs, target ${TARGET_P99_US} µs: ${worstP99Us <= TARGET_P99_US ? 'met' : 'not met'}\n`,
);

function cell(value: string | number): string {
  return typeof value === 'number' ? us(value) : value;
}
