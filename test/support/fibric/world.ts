/** What tests of commands begin with: an API, and `fibric` against it as typed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { EXIT } from '../../../src/cli/exit.ts';
import type { FakeApi } from './fake-api.ts';
import { API_KEY, POLICY_YAML } from './fixtures.ts';
import { type FibricRun, type RunOptions, runInProcess } from './run.ts';
import { startFakeApi } from './start.ts';

export async function withApi(): Promise<{
  api: FakeApi;
  fibric: (line: string, options?: RunOptions) => Promise<FibricRun>;
}> {
  const api = await startFakeApi();
  const fibric = (line: string, options: RunOptions = {}): Promise<FibricRun> =>
    runInProcess(wordsOf(line), { endpoint: api.endpoint, ...options });
  return { api, fibric };
}

/** As a shell would, for single quotes. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? (plain as string));
}

export async function installed(key = API_KEY): Promise<Awaited<ReturnType<typeof withApi>>> {
  const both = await withApi();
  await both.fibric(
    `connectors add cn-kustomer --as support --connection kustomer-prod --config '{"subdomain":"acme"}'`,
    {
      stdin: key,
    },
  );
  return both;
}

export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'fibric-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export const NOTE = `--args '{"conversation_id":"63k1","body":"hello"}'`;
export const SEND = `actions send conversation.note.write --operator triage-analyst ${NOTE}`;

export async function apply({ fibric }: Awaited<ReturnType<typeof withApi>>, yaml = POLICY_YAML): Promise<void> {
  expect((await fibric('policy apply -', { stdin: yaml })).code).toBe(EXIT.ok);
}
