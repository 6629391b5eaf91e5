/**
 * What a resource costs in memory and how fast it is set and read: StateTable beside `Map<string, Buffer>`; and what a
 * settled command costs in the ledger of its owner, whose keys are kept.
 *
 *   node bench/state-table.ts [--sizes 1000000,10000000] [--map-sizes 1000000] [--ledger-sizes 1000000]
 *
 * Each case runs in a process of its own, so that no garbage of one is counted for another. Memory is heapUsed + external
 * (which contains arrayBuffers) after a full collection, less the same before. Keys are made on the fly, because the
 * table keeps none and the Map must keep them all; the time it takes to make them is measured alone and taken off.
 * Rates are per second of processor time (all threads, so collections of garbage count in full).
 * Not measured: reading the log, Kafka, several shards at once, resident memory of the process.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { OwnedState } from '../src/kafka/owned-state.ts';
import { StateOverlay } from '../src/kafka/state-overlay.ts';
import { StateTable } from '../src/kafka/state-table.ts';
import { encodeEntry } from '../src/sinks/ledger/codec.ts';

const VALUE_BYTES = 60;
const NOW_MS = 1_800_000_000_000;
const OVERLAY_BATCH = 1_000;
const GIB = 2 ** 30;

interface Figures {
  readonly structure: string;
  readonly resources: number;
  readonly bytesPerResource: number;
  /** Per second of processor time, key making taken off. */
  readonly inserts: number;
  readonly overwrites: number;
  readonly gets: number;
  readonly misses: number;
  /** From key bytes, as a restore does; null where the structure has no such thing. */
  readonly restores: number | null;
  /** Read, write and apply of one key in batches of 1,000. */
  readonly overlayed: number | null;
}

interface Store {
  get(key: string): Uint8Array | undefined;
  set(key: string, value: Buffer): void;
}

type KeyOf = (n: number) => string;

interface Sample {
  readonly keyOf: KeyOf;
  readonly value: Buffer;
}

/** Spreads like ids do: 0, 1, 2… would be inserted in the order a hash table likes. */
function keyOf(n: number): string {
  return `cn_01j9x4:conversation:5f${Math.imul(n, 0x9e3779b1) >>> 0}${String(n).padStart(10, '0')}`;
}

const SAMPLE: Sample = { keyOf, value: Buffer.alloc(VALUE_BYTES, 7) };

/** As the identity of a command. */
function identityOf(n: number): string {
  const part = (factor: number) => (Math.imul(n + 1, factor) >>> 0).toString(16).padStart(8, '0');
  return part(0x9e3779b1) + part(0x85ebca6b) + part(0xc2b2ae35) + n.toString(16).padStart(8, '0');
}

function usedBytes(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Seconds of processor time, all threads: on a machine that others use too, wall time would measure them. */
function secondsOf(run: () => void): number {
  const start = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e6;
}

/** The string is read once, as a hash must: V8 would otherwise only note what it is to be joined from. */
function makeKeys(count: number, keyOf: KeyOf): number {
  return secondsOf(() => {
    let sum = 0;
    for (let n = 0; n < count; n++) sum += keyOf(n).charCodeAt(12);
    if (sum === 0) throw new Error('unreachable');
  });
}

function measure(structure: string, resources: number, store: Store, { keyOf, value }: Sample = SAMPLE) {
  makeKeys(200_000, keyOf);
  const keysS = makeKeys(Math.min(resources, 1_000_000), keyOf) * Math.max(1, resources / 1_000_000);
  const rate = (seconds: number) => Math.round(resources / Math.max(seconds - keysS, 1e-9));
  const each = (run: (key: string) => void, from = 0) =>
    secondsOf(() => {
      for (let n = 0; n < resources; n++) run(keyOf(n + from));
    });
  let found = 0;
  const look = (key: string): void => {
    if (store.get(key)?.length === value.length) found++;
  };
  const before = usedBytes();
  const inserts = rate(each((key) => store.set(key, value)));
  const bytesPerResource = (usedBytes() - before) / resources;
  const overwrites = rate(each((key) => store.set(key, value)));
  const gets = rate(each(look));
  if (found !== resources) throw new Error(`${structure} found ${found} of ${resources}`);
  const misses = rate(each(look, resources));
  if (found !== resources) throw new Error(`${structure} found what it does not hold`);
  return {
    structure,
    resources,
    bytesPerResource: Math.round(bytesPerResource * 10) / 10,
    inserts,
    overwrites,
    gets,
    misses,
  };
}

function measureTable(resources: number): Figures {
  const table = new StateTable({ maxBytes: 16 * GIB });
  const figures = measure('StateTable', resources, {
    get: (key) => table.get(key),
    set: (key, value) => table.set(key, value, NOW_MS),
  });
  const overlayed = measureOverlay(table, Math.min(resources, 1_000_000));
  table.clear();
  return { ...figures, restores: measureRestore(resources), overlayed };
}

function measureMap(resources: number): Figures {
  const map = new Map<string, Buffer>();
  const figures = measure('Map<string, Buffer>', resources, {
    get: (key) => map.get(key),
    set: (key, value) => map.set(key, Buffer.from(value)),
  });
  return { ...figures, restores: null, overlayed: null };
}

function measureLedger(resources: number): Figures {
  const state = new OwnedState({ topic: 'ledger', partition: 0, maxBytes: 16 * GIB });
  const receiptId = `rc_${'a'.repeat(32)}`;
  const value = encodeEntry({
    kind: 'done',
    fingerprint: 'f'.repeat(32),
    receiptId,
    atMs: NOW_MS,
    vendorId: '5a8f1c2e9b1d4e0012ab34cd',
  });
  const figures = measure('ledger', resources, state, { keyOf: identityOf, value });
  process.stderr.write(`ledger: ${value.length} bytes a value, counted ${state.bytes / resources} each\n`);
  return { ...figures, restores: null, overlayed: null };
}

/** One key buffer rewritten for each record: its making is next to nothing, and left in. */
function measureRestore(resources: number): number {
  const table = new StateTable({ maxBytes: 16 * GIB });
  const value = Buffer.alloc(VALUE_BYTES, 7);
  const key = Buffer.from(keyOf(0));
  const seconds = secondsOf(() => {
    for (let n = 0; n < resources; n++) {
      key.writeUInt32LE(Math.imul(n, 0x9e3779b1) >>> 0, key.length - 8);
      key.writeUInt32LE(n, key.length - 4);
      table.restore(key, value, NOW_MS);
    }
  });
  if (table.size !== resources) throw new Error(`restored ${table.size} of ${resources}`);
  return Math.round(resources / seconds);
}

function measureOverlay(table: StateTable, keys: number): number {
  const value = Buffer.alloc(VALUE_BYTES, 8);
  const seconds = secondsOf(() => {
    const overlay = new StateOverlay(table);
    for (let n = 0; n < keys; n++) {
      const key = keyOf(n);
      value[0] = overlay.get(key)?.[1] ?? 0;
      overlay.set(n & 3, key, value);
      if (overlay.size === OVERLAY_BATCH) overlay.apply(NOW_MS);
    }
  });
  return Math.round(keys / (seconds - makeKeys(keys, keyOf)));
}

function runCase(name: string, resources: number): Figures {
  const run = spawnSync(
    process.execPath,
    ['--expose-gc', '--max-old-space-size=12288', fileURLToPath(import.meta.url), '--case', `${name}:${resources}`],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], timeout: 600_000 },
  );
  if (run.status !== 0) throw new Error(`case ${name}:${resources} ended with ${run.status ?? run.signal}`);
  return JSON.parse(run.stdout);
}

function table(figures: readonly Figures[]): string {
  const millions = (rate: number | null) => (rate === null ? '-' : `${(rate / 1e6).toFixed(2)} M/s`);
  const rows = figures.map((row) => [
    row.structure,
    `${row.resources / 1e6} M`,
    `${row.bytesPerResource.toFixed(1)} B`,
    ...[row.inserts, row.overwrites, row.gets, row.misses, row.restores, row.overlayed].map(millions),
  ]);
  const head = ['structure', 'resources', 'each', 'insert', 'overwrite', 'get', 'miss', 'restore', 'overlay'];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] as string).length)),
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, column) => cell.padEnd(widths[column] as number)).join('  ');
  return [head, ...rows].map(line).join('\n');
}

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '1000000,10000000' },
    'map-sizes': { type: 'string', default: '1000000' },
    'ledger-sizes': { type: 'string', default: '1000000' },
    case: { type: 'string' },
  },
});
const numbers = (list: string) =>
  list
    .split(',')
    .filter((part) => part !== '')
    .map(Number);

if (values.case !== undefined) {
  const [name, resources] = values.case.split(':');
  const measured = { map: measureMap, ledger: measureLedger, table: measureTable }[name as 'map' | 'ledger' | 'table'];
  const figures = measured(Number(resources));
  process.stdout.write(JSON.stringify(figures));
} else {
  const figures = [
    ...numbers(values.sizes).map((size) => runCase('table', size)),
    ...numbers(values['map-sizes']).map((size) => runCase('map', size)),
    ...numbers(values['ledger-sizes']).map((size) => runCase('ledger', size)),
  ];
  process.stdout.write(`${table(figures)}\n${JSON.stringify(figures)}\n`);
}
