import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ManifestEntry, readManifest } from '../../../../src/app/verify/manifest.ts';
import { realClock } from '../../../../src/base/clock.ts';

const HEADER = { kind: 'header', version: 1, startedAtMs: 1, targets: [{ tenantId: 't_a', connectionId: 'cn_a' }] };
const SEND = {
  kind: 'send',
  tenant: 't_a',
  connection: 'cn_a',
  resource_type: 'conversation',
  resource_id: 'é',
  rev: 1,
  answeredAtMs: null,
  status: 0,
  expect: [],
};
const lines = (...values: unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('');

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cn-manifest-'));
  path = join(folder, 'manifest.jsonl');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function read(text: string | Buffer | null, signal = new AbortController().signal): Promise<ManifestEntry[]> {
  if (text !== null) await writeFile(path, text);
  const entries: ManifestEntry[] = [];
  for await (const batch of readManifest({ path, follow: false, clock: realClock, signal })) entries.push(...batch);
  return entries;
}
const kinds = async (text: string | Buffer) => (await read(text)).map((entry) => entry.kind);

describe('a manifest after the fact', () => {
  test('is read whole, over chunks and multi-byte characters', async () => {
    const many = Array.from({ length: 5_000 }, (_, rev) => ({ ...SEND, rev }));
    const entries = await read(lines(HEADER, ...many, { kind: 'footer' }));
    expect(entries.length).toBe(5_002);
    expect(entries[4_321]).toMatchObject({ resource_id: 'é', rev: 4_320 });
  });

  test('needs no footer; half a last line is torn, a whole one without its line break is not', async () => {
    expect(await kinds(lines(HEADER, SEND))).toEqual(['header', 'send']);
    expect(await kinds(lines(HEADER, SEND).slice(0, -20))).toEqual(['header', 'torn']);
    expect(await kinds(lines(HEADER, SEND).slice(0, -1))).toEqual(['header', 'send']);
    expect(await kinds(lines(HEADER))).toEqual(['header']);
    expect(await kinds('')).toEqual([]);
  });

  test.each([
    ['no header', lines(SEND)],
    ['a second header', lines(HEADER, HEADER)],
    ['another version', lines({ ...HEADER, version: 2 })],
    ['a line that is not JSON', `${lines(HEADER)}{\n${lines(SEND)}`],
    ['a line of another kind', lines(HEADER, { kind: 'other' })],
    ['a send without its revision', lines(HEADER, { ...SEND, rev: null })],
  ])('is refused with %s', async (_name, text) => {
    await expect(read(text)).rejects.toMatchObject({ code: 'manifest_invalid' });
  });

  test('is refused when it is not there', async () => {
    await expect(read(null)).rejects.toMatchObject({ code: 'manifest_invalid' });
  });
});

describe('a manifest that is still being written', () => {
  test('is waited for, followed to its footer and no further', async () => {
    const { signal } = new AbortController();
    const batches = readManifest({ path, follow: true, clock: realClock, signal });
    const first = batches.next();
    await writeFile(path, lines(HEADER));
    expect((await first).value?.map((entry: ManifestEntry) => entry.kind)).toEqual(['header']);
    const [half, rest] = [lines(SEND).slice(0, 30), lines(SEND).slice(30)];
    const second = batches.next();
    await appendFile(path, half);
    await appendFile(path, `${rest}${lines({ kind: 'footer' })}`);
    const seen = [...((await second).value ?? [])];
    for await (const batch of batches) seen.push(...batch);
    expect(seen.map((entry) => entry.kind)).toEqual(['send', 'footer']);
  });

  test('stops when told to, without a footer', async () => {
    const stop = new AbortController();
    await writeFile(path, lines(HEADER, SEND));
    const batches = readManifest({ path, follow: true, clock: realClock, signal: stop.signal });
    expect((await batches.next()).value?.length).toBe(2);
    const end = batches.next();
    stop.abort();
    expect(await end).toEqual({ done: true, value: undefined });
  });
});
