/** Installing and removing connections: where keys come from, and where they must not be. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EXIT } from '../../../src/cli/exit.ts';
import { envelope } from '../../support/fibric/fake-api.ts';
import { API_KEY, type Json, REVOKED_KEY, TOKEN } from '../../support/fibric/fixtures.ts';
import { folder, installed, withApi } from '../../support/fibric/world.ts';

describe('installing', () => {
  it('takes the key from the variable or a pipe, never shows it, and keeps it nowhere', async () => {
    const { api, fibric } = await withApi();
    const home = folder();
    for (const given of [{ stdin: `${API_KEY}\n` }, { env: { KUSTOMER_API_KEY: API_KEY } }]) {
      const run = await fibric(`connectors add cn-kustomer --connection k --config '{"subdomain":"acme"}'`, {
        ...given,
        env: { FIBRIC_HOME: home, ...given.env },
      });
      expect(run.code).toBe(EXIT.ok);
      expect(run.transcript).not.toContain(API_KEY);
    }
    const sent = api.asked.filter(({ method }) => method === 'POST').map(({ body }) => (body as Json)['api_key']);
    expect(sent).toEqual([API_KEY, API_KEY]);
    expect(() => statSync(join(home, 'credentials'))).toThrow(/ENOENT/);
  });

  it('asks for the key on a terminal without echo', async () => {
    const { fibric } = await withApi();
    const run = await fibric(`connectors add cn-kustomer --config '{"subdomain":"acme"}'`, {
      terminal: { columns: 100, typed: `${API_KEY}\r` },
    });
    expect(run.code).toBe(EXIT.ok);
    expect(run.notes).toContain('Kustomer API key: ');
    expect(run.transcript).not.toContain(API_KEY);
  });

  it('ends at Ctrl-C while asking, and sends nothing', async () => {
    const { api, fibric } = await withApi();
    const run = await fibric(`connectors add cn-kustomer --config '{"subdomain":"acme"}'`, {
      terminal: { columns: 100, typed: 'eyJhalf\u0003' },
    });
    expect(run.code).toBe(EXIT.interrupted);
    expect(run.transcript).not.toContain('eyJhalf');
    expect(api.asked.filter(({ method }) => method === 'POST')).toEqual([]);
  });

  it('refuses a credential in --config before anything is sent, and repeats none of it', async () => {
    const { api, fibric } = await withApi();
    const run = await fibric(`connectors add cn-kustomer --config '{"subdomain":"acme","token":"${API_KEY}"}'`, {
      stdin: API_KEY,
    });
    expect(run.code).toBe(EXIT.usage);
    expect(run.notes).toContain('credential_in_config');
    expect(run.transcript).not.toContain(API_KEY);
    expect(api.asked).toEqual([]);
  });

  it('says what the API refuses of the configuration', async () => {
    const { fibric } = await withApi();
    const run = await fibric(`connectors add cn-kustomer --config '{"subdomain":"acme","colour":"red"}'`, {
      stdin: API_KEY,
    });
    expect(run.code).toBe(EXIT.usage);
    expect(run.notes).toContain('config.colour: is no parameter');
  });

  it('shows no secret that an answer repeats', async () => {
    const { api, fibric } = await withApi();
    api.fault = ({ method, body, headers }) =>
      method === 'POST'
        ? { status: 500, body: envelope(500, 'internal', `leak ${JSON.stringify(body)} ${headers['authorization']}`) }
        : undefined;
    for (const json of ['', ' --json']) {
      const run = await fibric(`connectors add cn-kustomer --config '{"subdomain":"acme"}'${json}`, { stdin: API_KEY });
      expect(run.notes).toContain('[secret]');
      expect(run.transcript).not.toContain(API_KEY);
      expect(run.transcript).not.toContain(TOKEN);
    }
  });

  it('replaces the key of the one there is, and leaves a good one where the new one is refused', async () => {
    const { api, fibric } = await installed();
    const run = await fibric('connectors add cn-kustomer --connection kustomer-prod', { stdin: REVOKED_KEY });
    expect(run.code).toBe(EXIT.failed);
    expect(run.out).toContain('The key was not stored');
    expect(api.asked.at(-1)?.body).toEqual({ listing: 'cn-kustomer', name: 'kustomer-prod', api_key: REVOKED_KEY });
    expect(api.world.connectors).toHaveLength(1);
  });

  it('removes only what somebody has confirmed', async () => {
    const { api, fibric } = await installed();
    expect((await fibric('connectors remove kustomer-prod')).code).toBe(EXIT.usage);
    const no = await fibric('connectors remove kustomer-prod', { terminal: { columns: 80, typed: 'no\r' } });
    expect(no.code).toBe(EXIT.failed);
    expect(api.world.connectors).toHaveLength(1);
    const yes = await fibric('connectors remove kustomer-prod', { terminal: { columns: 80, typed: 'yes\r' } });
    expect(yes.code).toBe(EXIT.ok);
    expect(api.world.connectors).toEqual([]);
  });
});
