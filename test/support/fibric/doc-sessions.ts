/**
 * The sessions in docs/fibric.md, typed again: each block marked `console` is carried out against the API of the tests, one
 * after the other in one world, and written down as it went.
 *
 * A block is `$ command` lines with what they print. Known: quotes, `NAME=value` before a command, `< file` of FILES, a
 * `> file` (what goes there is not shown), a trailing backslash, `echo $?`. A tail that would go on is shown some events and ended by Ctrl-C.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FakeApi, openFakeApi } from './fake-api.ts';
import {
  ADMIN_TOKEN,
  API_KEY,
  eventOf,
  LIMITED_KEY,
  POLICY_YAML,
  READING_KEY,
  REVOKED_KEY,
  receiptOf,
  TOKEN,
} from './fixtures.ts';
import { runInProcess } from './run.ts';

const FILES: Readonly<Record<string, string>> = {
  'token.txt': `${TOKEN}\n`,
  'key.txt': `${API_KEY}\n`,
  'revoked-key.txt': `${REVOKED_KEY}\n`,
  'reading-key.txt': `${READING_KEY}\n`,
  'limited-key.txt': `${LIMITED_KEY}\n`,
};

const BAD_POLICY = POLICY_YAML.replace('allow: conversation.note.write', 'alow: conversation.note.write');
const CAREFUL_POLICY = `policy: careful
rules:
  - require_confirmation: conversation.assignment.write
default: deny
`;
const NEXT_POLICY = POLICY_YAML.replace('max: 25', 'max: 50');

const ENDPOINT = 'http://127.0.0.1:8080';
const BLOCK = /^```console\n([\s\S]*?)^```$/gm;

/** The document with every session as it really goes. */
export async function renderSessions(text: string): Promise<string> {
  const api = await openFakeApi();
  const home = mkdtempSync(join(tmpdir(), 'fibric-doc-'));
  try {
    for (const [name, policy] of [
      ['policy', POLICY_YAML],
      ['bad-policy', BAD_POLICY],
      ['next-policy', NEXT_POLICY],
      ['careful-policy', CAREFUL_POLICY],
    ]) {
      writeFileSync(join(home, `${name}.yaml`), policy as string);
    }
    fillWorld(api);
    const world: World = { api, home, lastCode: 0 };
    const parts: string[] = [];
    let from = 0;
    for (const match of text.matchAll(BLOCK)) {
      parts.push(text.slice(from, match.index), '```console\n', await renderBlock(match[1] as string, world), '```');
      from = match.index + match[0].length;
    }
    parts.push(text.slice(from));
    return parts.join('');
  } finally {
    await api.close();
    rmSync(home, { recursive: true, force: true });
  }
}

interface World {
  readonly api: FakeApi;
  readonly home: string;
  lastCode: number;
}

function fillWorld(api: FakeApi): void {
  for (let n = 1; n <= 3; n++) api.events.entries.push(eventOf(n));
  api.receipts.entries.push(
    receiptOf({}),
    receiptOf({
      id: 'rc_0002',
      capability: 'conversation.assignment.write',
      verdict: { decision: 'BLOCK', rule: null, tier: null },
      policy: null,
      outcome: 'refused',
      vendor: null,
      attempts: 0,
      error: { code: 'policy_blocked', message: 'no rule allows the action', next_step: '', problems: [] },
    }),
  );
  api.world.parked.push({
    object: 'parked',
    id: 'prk_9a2b',
    receipt_id: 'rc_0003',
    state: 'parked',
    capability: 'conversation.note.write',
    entity_key: 'conversation:63k1',
    idempotency_key: 'key-lost',
    held_at: '2026-01-31T11:40:00.000Z',
  });
}

async function renderBlock(block: string, world: World): Promise<string> {
  const commands = block.split(/^(?=\$ )/m).map((part) => commandOf(part));
  let rendered = '';
  for (const command of commands) rendered += `$ ${command}\n${await output(command, world)}`;
  return rendered;
}

/** The command with the lines that its backslashes carry on; what it printed before is left behind. */
function commandOf(part: string): string {
  const lines = part.slice(2).split('\n');
  let end = 0;
  while (lines[end]?.endsWith('\\') === true) end++;
  return lines.slice(0, end + 1).join('\n');
}

async function output(typed: string, world: World): Promise<string> {
  if (typed === 'echo $?') return `${world.lastCode}\n`;
  const { api, home } = world;
  const { env, args, stdin, toFile } = parseCommand(typed.replaceAll(/\\\n\s*/g, ''));
  const stop = new AbortController();
  const endless = args[1] === 'tail' && !args.includes('--max') && !args.includes('--no-follow');
  const stream = args[0] === 'events' ? api.events : api.receipts;
  const first = stream.entries.length;
  const isLogin = args[1] === 'login';
  const run = runInProcess(
    args.map((arg) => arg.replace(/^\.\/(?=[a-z-]+\.yaml$)/, `${home}/`).replace(ENDPOINT, api.endpoint)),
    {
      env: { FIBRIC_HOME: home, ...env },
      ...(isLogin ? {} : { endpoint: api.endpoint }),
      token: isLogin ? null : TOKEN,
      stdin,
      signal: stop.signal,
      onOutput: (text) => {
        if (endless && text.split('\n').length > 2) stop.abort();
      },
    },
  );
  if (endless) {
    while (stream.open === 0) await new Promise((resolve) => setImmediate(resolve));
    for (const n of [first + 1, first + 2]) {
      stream.publish(args[0] === 'events' ? eventOf(n) : receiptOf({ id: `rc_${n}`, idempotency_key: `key-${n}` }));
    }
  }
  const { code, transcript, notes } = await run;
  world.lastCode = code;
  return `${toFile ? notes : transcript}${endless ? '^C\n' : ''}`
    .replaceAll(api.endpoint, ENDPOINT)
    .replaceAll(`${home}/credentials`, '~/.fibric/credentials')
    .replaceAll(`${home}/`, './');
}

function parseCommand(line: string): { env: Record<string, string>; args: string[]; stdin: string; toFile: boolean } {
  const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? (plain as string));
  const env: Record<string, string> = {};
  while (/^[A-Z_]+=/.test(words[0] ?? '')) {
    const [name, ...value] = (words.shift() as string).split('=');
    env[name as string] = value.join('=').replace('$CN_ADMIN_TOKEN', ADMIN_TOKEN);
  }
  const into = words.indexOf('>');
  if (into !== -1) words.splice(into);
  const arrow = words.indexOf('<');
  const stdin = arrow === -1 ? '' : FILES[words[arrow + 1] ?? ''];
  if (words[0] !== 'fibric' || stdin === undefined) throw new Error(`no session can be made of: ${line}`);
  return { env, args: words.slice(1, arrow === -1 ? undefined : arrow), stdin, toFile: into !== -1 };
}
