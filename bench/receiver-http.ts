/**
 * What the HTTP half of the receiver costs, against a bare node:http server that only verifies the HMAC.
 *
 *   node bench/receiver-http.ts [--seconds 8] [--rounds 3] [--connections 64,256] [--json]
 *
 * Needs wrk. Every variant runs in a process of its own; all take turns in each round, so that what else the machine
 * does hits them alike. Appends are acknowledged in memory: the log's share is measured elsewhere.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { WEBHOOK_PATH } from '../src/ingest/webhook-path.ts';
import { webhookBody } from './receiver/body.ts';
import { CONNECTION, TOKEN, VARIANTS } from './receiver/variants.ts';

const serve = process.env['BENCH_VARIANT'];
if (serve !== undefined) {
  const server = await (VARIANTS[serve] as (typeof VARIANTS)[string])();
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
  process.on('disconnect', () => process.exit(0));
} else {
  await main();
}

interface Result {
  readonly variant: string;
  readonly connections: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
  readonly cpuUsPerRequest: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '8' },
      rounds: { type: 'string', default: '3' },
      connections: { type: 'string', default: '64,256' },
      variants: { type: 'string', default: Object.keys(VARIANTS).join(',') },
      json: { type: 'boolean', default: false },
    },
  });
  const seconds = Number(values.seconds);
  const names = values.variants.split(',');
  const dir = mkdtempSync(join(tmpdir(), 'receiver-bench-'));
  writeBodies(dir, 5_000);
  const servers = await Promise.all(names.map(async (name) => ({ name, ...(await start(name)) })));
  const results: Result[] = [];
  try {
    for (const server of servers) load(dir, server.port, 64, 3);
    for (let round = 0; round < Number(values.rounds); round += 1) {
      for (const connections of values.connections.split(',').map(Number)) {
        for (const { name, child, port } of servers) {
          const before = cpuMs(child);
          const { requests, seconds: took, p50Ms, p99Ms, failed } = load(dir, port, connections, seconds);
          const cpuUsPerRequest = Math.round(((cpuMs(child) - before) * 1_000) / requests);
          const result = {
            variant: name,
            connections,
            perSecond: Math.round(requests / took),
            p50Ms,
            p99Ms,
            failed,
            cpuUsPerRequest,
          };
          results.push(result);
          if (values.json) process.stdout.write(`${JSON.stringify({ round, ...result })}\n`);
        }
      }
    }
  } finally {
    for (const { child } of servers) child.disconnect();
    rmSync(dir, { recursive: true });
  }
  report(results);
}

function report(results: readonly Result[]): void {
  const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] as number;
  for (const connections of new Set(results.map((result) => result.connections))) {
    const of = (variant: string) => results.filter((r) => r.variant === variant && r.connections === connections);
    const ceiling = median(of('bare').map((result) => result.perSecond));
    for (const variant of new Set(results.map((result) => result.variant))) {
      const rows = of(variant);
      const rate = median(rows.map((row) => row.perSecond));
      process.stdout.write(
        `${String(connections).padStart(4)} connections  ${variant.padEnd(15)} ${String(rate).padStart(6)}/s ` +
          `${((100 * rate) / ceiling).toFixed(1).padStart(6)} %  p50 ${median(rows.map((row) => row.p50Ms))} ms  ` +
          `p99 ${median(rows.map((row) => row.p99Ms))} ms  cpu ${median(rows.map((row) => row.cpuUsPerRequest))} us/request  ` +
          `failed ${rows.reduce((sum, row) => sum + row.failed, 0)}\n`,
      );
    }
  }
}

async function start(variant: string): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(import.meta.filename, { env: { ...process.env, BENCH_VARIANT: variant } });
  const [port] = (await once(child, 'message')) as [number];
  return { child, port };
}

function load(dir: string, port: number, connections: number, seconds: number) {
  const script = join(import.meta.dirname, 'receiver/load.lua');
  const output = execFileSync(
    'wrk',
    ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '-s', script, `http://127.0.0.1:${port}`],
    {
      encoding: 'utf8',
      env: { ...process.env, BODIES: dir, WEBHOOK_PATH: `${WEBHOOK_PATH}${CONNECTION.connectionId}` },
    },
  );
  const line = /^RESULT (.*)$/m.exec(output)?.[1];
  if (line === undefined) throw new Error(`wrk gave no result:\n${output}`);
  return JSON.parse(line) as { requests: number; seconds: number; p50Ms: number; p99Ms: number; failed: number };
}

/** User and system time of a process, in steps of 10 ms (Linux). */
function cpuMs(child: ChildProcess): number {
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function writeBodies(dir: string, count: number): void {
  const bodies = Array.from({ length: count }, (_, i) => webhookBody(randomBytes(12).toString('hex'), 1 + (i % 50)));
  writeFileSync(join(dir, 'bodies.ndjson'), `${bodies.join('\n')}\n`);
  const signatures = bodies.map((body) => createHmac('sha256', TOKEN).update(body).digest('hex'));
  writeFileSync(join(dir, 'signatures.txt'), `${signatures.join('\n')}\n`);
}
