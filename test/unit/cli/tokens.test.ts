/** Tenants and tokens: a token is shown once, where it can be sent to a file, and the admin token is for nothing else. */
import { expect, it } from 'vitest';
import { EXIT } from '../../../src/cli/exit.ts';
import { ADMIN_TOKEN, type Json, NEW_TOKEN, TOKEN } from '../../support/fibric/fixtures.ts';
import { withApi } from '../../support/fibric/world.ts';

const admin = { token: ADMIN_TOKEN };

it('the first token: a tenant, then a token of it, alone on stdout', async () => {
  const { api, fibric } = await withApi();
  expect((await fibric('tenants create Acme --id t_acme', admin)).out).toBe('t_acme: tenant Acme\n');
  const made = await fibric('tokens create laptop --tenant t_acme --scopes admin', admin);
  expect([made.code, made.out]).toEqual([EXIT.ok, `${NEW_TOKEN}\n`]);
  expect(made.notes).not.toContain(NEW_TOKEN);
  expect(api.asked.at(-1)).toMatchObject({
    path: '/v1/tenants/t_acme/tokens',
    body: { name: 'laptop', scopes: ['admin'] },
  });
  const json = await fibric('tokens create ci --tenant t_acme --scopes events:read,receipts:read --json', admin);
  expect(JSON.parse(json.out)).toMatchObject({ token: NEW_TOKEN, scopes: ['events:read', 'receipts:read'] });
  const list = await fibric('tokens ls --tenant t_acme', admin);
  expect(list.out).toContain('laptop');
  expect(list.transcript).not.toContain(NEW_TOKEN);
  expect((await fibric('tenants ls', admin)).out).toMatch(/t_acme +Acme/);
});

it('the own tokens, with an end, revoked when somebody has confirmed it', async () => {
  const { api, fibric } = await withApi();
  const made = await fibric('tokens create dashboard --scopes read_only --expires 90d');
  expect(made.notes).toContain('until 2026-05-01');
  const { path, body, headers } = api.asked.at(-1) ?? {};
  expect([path, (body as Json)['expires_at']]).toEqual(['/v1/tokens', '2026-05-01T12:00:00.000Z']);
  expect(headers?.['authorization']).toBe(`Bearer ${TOKEN}`);
  expect((await fibric('tokens revoke key_1a2b')).code).toBe(EXIT.usage);
  expect((await fibric('tokens revoke key_1a2b --yes')).out).toBe('key_1a2b: revoked\n');
  const missing = await fibric('tokens revoke key_none --yes');
  expect([missing.code, missing.notes]).toEqual([EXIT.notFound, expect.stringContaining('fibric tokens ls')]);
});

it('says what is wrong before anything is sent, and that the admin token is for nothing else', async () => {
  const { api, fibric } = await withApi();
  for (const line of ['tokens create x', "tokens create x --scopes ','", 'tokens create x --scopes a --expires soon']) {
    expect((await fibric(line)).code).toBe(EXIT.usage);
  }
  expect(api.asked).toEqual([]);
  expect((await fibric('connectors list', admin)).code).toBe(EXIT.forbidden);
});
