/** `bin/fibric` as a process: symlinks, pipes that close early, signals, and its environment. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { EXIT } from '../../../src/cli/exit.ts';
import { eventOf, TOKEN } from '../../support/fibric/fixtures.ts';
import { startFakeApi } from '../../support/fibric/start.ts';
import { folder } from '../../support/fibric/world.ts';
import { waitFor } from '../../support/wait-for.ts';

const BIN = new URL('../../../bin/fibric', import.meta.url).pathname;

interface Started {
  readonly child: ChildProcessWithoutNullStreams;
  readonly text: { out: string; notes: string };
  readonly exit: Promise<number | null>;
}

function start(args: readonly string[], env: Readonly<Record<string, string>>, bin = BIN): Started {
  const { FIBRIC_TOKEN: _token, FIBRIC_ENDPOINT: _endpoint, ...clean } = process.env;
  const child = spawn(bin, [...args], { env: { ...clean, FIBRIC_HOME: '/nonexistent/fibric-home', ...env } });
  const text = { out: '', notes: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text.out += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text.notes += chunk));
  child.stdin.on('error', () => undefined); // one that has ended reads no more
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exit;
  });
  return { child, text, exit };
}

describe('bin/fibric', () => {
  it('runs through symlinks, reads the token from a pipe and keeps it for its owner', async () => {
    const api = await startFakeApi();
    const home = folder();
    const link = join(home, 'fibric');
    symlinkSync(BIN, link);
    const login = start(['auth', 'login', '--endpoint', api.endpoint], { FIBRIC_HOME: home }, link);
    login.child.stdin.end(`${TOKEN}\n`);
    expect(await login.exit, login.text.notes).toBe(EXIT.ok);
    expect(login.text.out + login.text.notes).not.toContain(TOKEN);
    expect(statSync(join(home, 'credentials')).mode & 0o777).toBe(0o600);
    const who = start(['whoami', '--json'], { FIBRIC_HOME: home }, link);
    expect(await who.exit, who.text.notes).toBe(EXIT.ok);
    expect(JSON.parse(who.text.out)).toMatchObject({ tenant_id: 't_acme', endpoint: api.endpoint });
  });

  it('passes its exit code on, and waits for nobody’s stdin', async () => {
    const api = await startFakeApi();
    const env = { FIBRIC_ENDPOINT: api.endpoint, FIBRIC_TOKEN: TOKEN };
    const missing = start(['connectors', 'show', 'nothing'], env);
    expect(await missing.exit).toBe(EXIT.notFound);
    const loggedOut = start(['connectors', 'list'], {});
    expect(await loggedOut.exit).toBe(EXIT.forbidden);
  });

  it('ends a tail at Ctrl-C, in order', async () => {
    const api = await startFakeApi();
    const tail = start(['events', 'tail'], { FIBRIC_ENDPOINT: api.endpoint, FIBRIC_TOKEN: TOKEN });
    await waitFor(() => api.events.open === 1, { message: 'the stream' });
    api.events.publish(eventOf(1));
    await waitFor(() => tail.text.out.includes('conversation.created'), { message: 'the event' });
    tail.child.kill('SIGINT');
    expect(await tail.exit).toBe(EXIT.ok);
    expect(tail.text.notes).toBe('');
  });

  it('ends anything else at Ctrl-C with a code of its own', async () => {
    const api = await startFakeApi();
    api.fault = () => 'hang';
    const list = start(['connectors', 'list'], { FIBRIC_ENDPOINT: api.endpoint, FIBRIC_TOKEN: TOKEN });
    await waitFor(() => api.asked.length === 1, { message: 'the request' });
    list.child.kill('SIGINT');
    expect(await list.exit).toBe(EXIT.interrupted);
    expect(list.text.notes).toBe('error (interrupted): interrupted\n');
  });

  it('is quiet when whoever reads has seen enough', async () => {
    const api = await startFakeApi();
    for (let n = 1; n <= 2000; n++) api.events.entries.push(eventOf(n));
    const tail = start(['events', 'tail', '--since', '100000d', '--json'], {
      FIBRIC_ENDPOINT: api.endpoint,
      FIBRIC_TOKEN: TOKEN,
    });
    await waitFor(() => tail.text.out.includes('\n'), { message: 'the first events' });
    tail.child.stdout.destroy();
    for (let n = 2001; n <= 2100; n++) api.events.publish(eventOf(n));
    expect(await tail.exit).toBe(EXIT.ok);
    expect(tail.text.notes).toBe('');
  });

  it('takes a pipe that closes for an answer, not for a wait', async () => {
    const api = await startFakeApi();
    const login = start(['auth', 'login', '--endpoint', api.endpoint], {});
    login.child.stdin.end();
    expect(await login.exit).toBe(EXIT.usage);
    expect(login.text.notes).toMatch(/no token was given/);
    expect(api.asked).toEqual([]);
  });
});
