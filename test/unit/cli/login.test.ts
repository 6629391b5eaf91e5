/** Logging in: the token is kept for its owner, sent to its own API, and printed nowhere. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EXIT } from '../../../src/cli/exit.ts';
import { TOKEN } from '../../support/fibric/fixtures.ts';
import { runInProcess } from '../../support/fibric/run.ts';
import { startFakeApi } from '../../support/fibric/start.ts';
import { folder, withApi } from '../../support/fibric/world.ts';

describe('logging in', () => {
  it('keeps the token for its owner alone, and prints it nowhere', async () => {
    const { api, fibric } = await withApi();
    const home = folder();
    const run = await fibric('auth login --no-browser', {
      token: null,
      env: { FIBRIC_HOME: home },
      stdin: `${TOKEN}\n`,
    });
    expect(run.code).toBe(EXIT.ok);
    expect(run.transcript).not.toContain(TOKEN);
    expect(statSync(join(home, 'credentials')).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(join(home, 'credentials'), 'utf8'))).toMatchObject({
      endpoint: api.endpoint,
      token: TOKEN,
    });
    const who = await runInProcess(['whoami', '--json'], { token: null, env: { FIBRIC_HOME: home } });
    expect(Object.keys(JSON.parse(who.out))[0]).toBe('workspace');
    expect((await runInProcess(['auth', 'logout'], { token: null, env: { FIBRIC_HOME: home } })).code).toBe(EXIT.ok);
    expect((await runInProcess(['whoami'], { token: null, env: { FIBRIC_HOME: home } })).code).toBe(EXIT.forbidden);
  });

  it('asks on a terminal for endpoint and token, and echoes no token', async () => {
    const { api } = await withApi();
    const home = folder();
    const run = await runInProcess(['auth', 'login', '--endpoint', api.endpoint], {
      token: null,
      env: { FIBRIC_HOME: home },
      terminal: { columns: 80, typed: `${TOKEN}\r` },
    });
    expect(run.code).toBe(EXIT.ok);
    expect(run.notes).toContain('Token: ');
    expect(run.transcript).not.toContain(TOKEN);
  });

  it('keeps nothing where the API does not know the token', async () => {
    const { fibric } = await withApi();
    const home = folder();
    const wrong = 'sk_live_WrongWrongWrongWrong';
    const run = await fibric('auth login', { token: null, env: { FIBRIC_HOME: home }, stdin: wrong });
    expect(run.code).toBe(EXIT.forbidden);
    expect(run.notes).toMatch(/key_invalid/);
    expect(run.transcript).not.toContain(wrong);
    expect(() => statSync(join(home, 'credentials'))).toThrow(/ENOENT/);
  });

  it('sends the kept token to no other API than its own', async () => {
    const { api, fibric } = await withApi();
    const other = await startFakeApi();
    const home = folder();
    await fibric('auth login', { token: null, env: { FIBRIC_HOME: home }, stdin: TOKEN });
    const run = await runInProcess(['events', 'ls', '--endpoint', other.endpoint], {
      token: null,
      env: { FIBRIC_HOME: home },
    });
    expect(run.code).toBe(EXIT.forbidden);
    expect(other.asked).toEqual([]);
    expect(api.asked).toHaveLength(1);
  });

  it('says so where others could read the file, and makes it its owner’s again', async () => {
    const { api } = await withApi();
    const home = folder();
    const path = join(home, 'credentials');
    writeFileSync(path, JSON.stringify({ version: 1, endpoint: api.endpoint, token: TOKEN }), { mode: 0o644 });
    const run = await runInProcess(['whoami'], { token: null, env: { FIBRIC_HOME: home } });
    expect(run.code).toBe(EXIT.ok);
    expect(run.notes).toMatch(/others can read/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('quotes nothing of a file that is damaged', async () => {
    const home = folder();
    writeFileSync(join(home, 'credentials'), `{"token":"${TOKEN}`, { mode: 0o600 });
    const run = await runInProcess(['whoami'], { token: null, env: { FIBRIC_HOME: home } });
    expect(run.code).toBe(EXIT.forbidden);
    expect(run.transcript).not.toContain('Canary');
  });
});
