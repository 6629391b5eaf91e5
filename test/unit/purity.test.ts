/** Decisions are pure: plain data in, plain data out; time and randomness are arguments. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('../../', import.meta.url).pathname;

/** The pure part of the house, as ARCHITECTURE.md draws it. Globs of files that need not exist yet. */
const PURE = [
  'src/fibric/**/*.ts',
  'src/kustomer/{event,changes,signature,search-plan,parse,json,fields,peek,scan,scan-keys,json-tokens}.ts',
  'src/kustomer/budget/*.ts',
  'src/kustomer/client/{base-url,classify,documents,error-body,masked,outcome}.ts',
  'src/kafka/{byte-budget,compatibility,lag-watch,lease,murmur2,pace,record-queue,shards}.ts',
  'src/processors/{change,dead-letters,dedupe,derive,digest,envelope,identity,read,resource-state,revisions}.ts',
  'src/processors/{derive,payload}/*.ts',
  'src/sinks/{bytes,lanes,policy-gate}.ts',
  'src/sinks/{lanes,ledger,lifecycle}/**/*.ts',
  'src/sinks/{outcome,next-steps}.ts',
  'src/sinks/quota/{company,limit-message,partition-book,rule-id}.ts',
  'src/sinks/pace/*.ts',
  'src/sinks/runner/{admit,ledger-view,receipts}.ts',
  'src/sinks/{actions,reconcile}/*.ts',
  'src/ingest/{webhook-decision,raw-record}.ts',
  'src/ingest/enrich/{body,memory,plan}.ts',
  'src/ingest/webhook-health/{decide,find,model,polled-changes}.ts',
  'src/ingest/poll/{backfill-plan,cursor-record,plan,polled-record,query,seen,streams,walk}.ts',
];

const FORBIDDEN: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['async', /\basync\b/],
  ['await', /\bawait\b/],
  ['Promise', /\bPromise\b/],
  ['the clock', /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\b|\bhrtime\b/],
  ['timers', /\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b|\bnextTick\b/],
  ['randomness', /\bMath\.random\b|\brandom(?:UUID|Bytes|Int|FillSync)\b|\bgetRandomValues\b/],
  ['process', /\bprocess\./],
  ['the console', /\bconsole\b/],
  ['a logger', /from 'pino'|\blogger\b/],
  ['I/O', /from 'node:(?:fs|net|http|https|dns|child_process|worker_threads|timers)|from '(?:undici|fastify|kafkajs)'/],
];

/** Comments and texts may speak of clocks; code may not use them. Import paths stay. */
function codeOf(source: string): string {
  return source
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/(^|[^:])\/\/.*$/gm, '$1')
    .replaceAll(/(?<!from )'(?:[^'\\\n]|\\.)*'/g, "''");
}

function violations(source: string): string[] {
  const code = codeOf(source);
  return FORBIDDEN.filter(([, pattern]) => pattern.test(code)).map(([what]) => what);
}

const files = PURE.flatMap((pattern) => globSync(pattern, { cwd: ROOT })).sort();

describe('the pure files', () => {
  it('are found', () => {
    expect(files.length).toBeGreaterThan(30);
    for (const file of ['src/processors/dedupe.ts', 'src/processors/derive.ts', 'src/processors/envelope.ts']) {
      expect(files).toContain(file);
      expect(existsSync(ROOT + file)).toBe(true);
    }
  });

  it.each(files)('%s', (file) => {
    expect(violations(readFileSync(ROOT + file, 'utf8'))).toEqual([]);
  });
});

describe('the check itself', () => {
  it.each([
    ['const f = async () => 1;', 'async'],
    ['await x;', 'await'],
    ['type T = Promise<void>;', 'Promise'],
    ['const t = Date.now();', 'the clock'],
    ['const t = new Date();', 'the clock'],
    ['const r = Math.random();', 'randomness'],
    ["import { randomUUID } from 'node:crypto';", 'randomness'],
    ['process.env.X;', 'process'],
    ['console.log(1);', 'the console'],
    ["import { pino } from 'pino';", 'a logger'],
    ["import { readFileSync } from 'node:fs';", 'I/O'],
  ])('finds %s', (source, what) => {
    expect(violations(source)).toContain(what);
  });

  it('leaves comments, texts and given times alone', () => {
    const source = "/** No clock, no console. */\nconst a = 'await Date.now()'; // process.env\nconst b = new Date(0);";
    expect(violations(source)).toEqual([]);
  });
});
