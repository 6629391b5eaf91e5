/** Whose a request is: the token says it, and nothing else. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TokenRecord } from '../../../src/api/auth/records.ts';
import { MAX_DEAD_TOKENS } from '../../../src/api/token-making.ts';
import { ADMIN_TOKEN, type Api, startApi } from '../../support/api/harness.ts';

let api: Api;
let a: string;
let b: string;
beforeEach(async () => {
  api = await startApi();
  await api.tenant('t_a', 're_one');
  await api.tenant('t_b');
  [a, b] = [await api.token('t_a'), await api.token('t_b')];
});
afterEach(() => api.server.close());

const POLICY = 'policy: support-writes\nrules:\n  - allow: conversation.note.write\ndefault: deny\n';

describe('tenancy comes from the token alone', () => {
  it('whoami says whose it is', async () => {
    const { body } = await api.call('GET', '/v1/whoami', { token: a });
    expect(body).toMatchObject({
      object: 'identity',
      tenant_id: 't_a',
      tenant_name: 'Tenant t_a',
      reseller_id: 're_one',
    });
  });

  it('a body or a query that names another tenant, reseller or workspace is refused', async () => {
    const scopes = ['events:read'];
    for (const other of [
      { tenant_id: 't_b' },
      { reseller_id: null },
      { workspace_id: 'ws_1' },
      { tenant_id: ['t_a'] },
    ]) {
      const answer = await api.call('POST', '/v1/tokens', { token: a, body: { name: 'x', scopes, ...other } });
      expect([answer.status, answer.body.error.code]).toEqual([403, 'tenant_mismatch']);
    }
    const query = await api.call('GET', '/v1/connectors?tenant_id=t_b', { token: a });
    expect(query.body.error.code).toBe('tenant_mismatch');
    expect(api.tokens.list()).toHaveLength(2);
  });

  it('one that names the own is taken, for it says nothing new', async () => {
    const own = { tenant_id: 't_a', reseller_id: 're_one', workspace_id: null };
    const made = await api.call('POST', '/v1/tokens', {
      token: a,
      body: { name: 'x', scopes: ['events:read'], ...own },
    });
    expect(made.status).toBe(201);
    expect((await api.call('GET', '/v1/connectors?tenant_id=t_a', { token: a })).status).toBe(200);
  });
});

describe("another tenant's id is answered as a missing one", () => {
  it('on every route with an id, whatever the method: same status, same words, nothing done', async () => {
    const { connectionId } = api.memory.addConnection('t_b', 'b-prod');
    await api.call('POST', '/v1/policies', { token: b, body: { document: POLICY } });
    const made = await api.call('POST', '/v1/tokens', { token: b, body: { name: 'x', scopes: ['admin'] } });
    const calls: readonly (readonly [method: string, theirs: string, missing: string, body?: unknown])[] = [
      ...[connectionId, 'b-prod'].flatMap((ref): (readonly [string, string, string, unknown?])[] => [
        ['GET', `/v1/connectors/${ref}`, '/v1/connectors/cn_missing'],
        ['DELETE', `/v1/connectors/${ref}`, '/v1/connectors/cn_missing'],
        ['GET', `/v1/connectors/${ref}/webhook`, '/v1/connectors/cn_missing/webhook'],
        ['GET', `/v1/connectors/${ref}/backfills`, '/v1/connectors/cn_missing/backfills'],
        ['POST', `/v1/connectors/${ref}/contract`, '/v1/connectors/cn_missing/contract', {}],
        ['POST', `/v1/connectors/${ref}/backfills`, '/v1/connectors/cn_missing/backfills', { since: '2026-01-01' }],
        ['POST', `/v1/connectors/${ref}/test`, '/v1/connectors/cn_missing/test', { tool: 'note.write', args: {} }],
        ['GET', `/v1/capabilities?connection=${ref}`, '/v1/capabilities?connection=cn_missing'],
        ['GET', `/v1/grants?connection=${ref}`, '/v1/grants?connection=cn_missing'],
        [
          'DELETE',
          `/v1/grants?operator=x&capability=conversation.read&connection=${ref}`,
          '/v1/grants?operator=x&capability=conversation.read&connection=cn_missing',
        ],
      ]),
      ['GET', '/v1/policies/support-writes', '/v1/policies/missing'],
      ['GET', '/v1/policies/support-writes?version=1', '/v1/policies/missing?version=1'],
      ['GET', '/v1/policies/support-writes/versions', '/v1/policies/missing/versions'],
      ['POST', '/v1/policies/support-writes/disable', '/v1/policies/missing/disable', {}],
      ['DELETE', '/v1/policies/support-writes', '/v1/policies/missing'],
      ['DELETE', `/v1/tokens/${made.body.id}`, '/v1/tokens/key_000000'],
    ];
    for (const [method, theirs, missing, body] of calls) {
      const options = { token: a, ...(body !== undefined && { body }) };
      const [one, other] = [await api.call(method, theirs, options), await api.call(method, missing, options)];
      expect([theirs, one.status]).toEqual([theirs, 404]);
      const strip = ({ body: { error } }: typeof one) => ({ ...error, request_id: null });
      expect(strip(one)).toEqual(strip(other));
    }
    const [connection, policy] = await Promise.all([
      api.call('GET', '/v1/connectors/b-prod', { token: b }),
      api.call('GET', '/v1/policies/support-writes', { token: b }),
    ]);
    expect([connection.status, policy.body.status]).toEqual([200, 'active']);
    expect((await api.call('GET', '/v1/whoami', { token: made.body.token })).status).toBe(200);
  });

  it('lists hold only what is their own', async () => {
    api.memory.addConnection('t_b', 'b-prod');
    await api.call('POST', '/v1/policies', { token: b, body: { document: POLICY } });
    await api.call('PUT', '/v1/grants', { token: b, body: { operator: 'triage', capability: 'conversation.read' } });
    for (const path of ['connectors', 'policies', 'capabilities', 'grants']) {
      const [own, theirs] = [
        await api.call('GET', `/v1/${path}`, { token: b }),
        await api.call('GET', `/v1/${path}`, { token: a }),
      ];
      expect([path, own.body.data.length > 0, theirs.body.data.length]).toEqual([path, true, 0]);
    }
    const tokens = await api.call('GET', '/v1/tokens', { token: a });
    expect(tokens.body.data.map((one: { tenant_id: string }) => one.tenant_id)).toEqual(['t_a']);
  });

  it('the same name in two tenants is two connections', async () => {
    const install = (token: string) =>
      api.call('POST', '/v1/connectors', {
        token,
        body: { name: 'prod', config: { subdomain: 'acme' }, api_key: 'key-12345678' },
      });
    const [one, other] = [await install(a), await install(b)];
    expect([one.status, other.status]).toEqual([201, 201]);
    expect(one.body.id).not.toBe(other.body.id);
  });
});

describe('tokens', () => {
  const whoami = (token: string) => api.call('GET', '/v1/whoami', { token });

  it('are refused at once when revoked, and told apart from those that never were', async () => {
    const made = await api.call('POST', '/v1/tokens', { token: a, body: { name: 'ci', scopes: ['read_only'] } });
    expect((await whoami(made.body.token)).status).toBe(200);
    const revoked = await api.call('DELETE', `/v1/tokens/${made.body.id}`, { token: a });
    expect(revoked.body).toMatchObject({ status: 'revoked' });
    expect((await whoami(made.body.token)).body.error.code).toBe('key_revoked');
    expect((await whoami('sk_live_0000000000000000000000000000000000000000')).body.error.code).toBe('key_invalid');
    for (const header of ['', 'Bearer', 'Bearer  ', 'Basic abc', `Bearer ${a} x`, a]) {
      const answer = await api.call('GET', '/v1/whoami', { headers: { authorization: header } });
      expect([header, answer.status, answer.body.error.code]).toEqual([header, 401, 'key_missing']);
      expect(answer.headers['www-authenticate']).toBe('Bearer');
    }
    expect((await api.call('GET', `/v1/whoami?token=${a}`)).status).toBe(401);
  });

  it('expire', async () => {
    const expires_at = new Date(api.time.nowMs + 60_000).toISOString();
    const made = await api.call('POST', '/v1/tokens', {
      token: a,
      body: { name: 'ci', scopes: ['read_only'], expires_at },
    });
    expect((await whoami(made.body.token)).body.expires_at).toBe(expires_at);
    api.time.nowMs += 60_000;
    expect((await whoami(made.body.token)).body.error.code).toBe('key_expired');
    const past = await api.call('POST', '/v1/tokens', {
      token: a,
      body: { name: 'ci', scopes: ['read_only'], expires_at },
    });
    expect(past.status).toBe(400);
  });

  it('may do what their scopes say, and no more', async () => {
    const reader = await api.token('t_a', ['read_only']);
    const refused = await api.call('POST', '/v1/policies', { token: reader, body: { document: POLICY } });
    expect([refused.status, refused.body.error.code]).toEqual([403, 'insufficient_scope']);
    expect(refused.body.error.message).toContain('policies:write');
    expect((await api.call('GET', '/v1/policies', { token: reader })).status).toBe(200);
    expect((await api.call('GET', '/v1/tokens', { token: reader })).status).toBe(403);
  });

  it('cannot give away more than they have', async () => {
    const keys = await api.token('t_a', ['keys:write', 'events:read']);
    const body = (scopes: string[]) => ({ name: 'x', scopes });
    expect((await api.call('POST', '/v1/tokens', { token: keys, body: body(['admin']) })).status).toBe(403);
    const made = await api.call('POST', '/v1/tokens', { token: keys, body: body(['events:read', 'events:read']) });
    expect([made.status, made.body.scopes]).toEqual([201, ['events:read']]);
  });

  it('N1: that end make none that go on after them', async () => {
    const at = (ms: number) => new Date(api.time.nowMs + ms).toISOString();
    const make = (by: string, expires_at?: string | null) =>
      api.call('POST', '/v1/tokens', { token: by, body: { name: 'x', scopes: ['admin'], expires_at } });
    const short = (await make(a, at(60_000))).body.token as string;
    const longer = await make(short, at(60_001));
    expect([longer.status, longer.body.error.code]).toEqual([403, 'insufficient_scope']);
    expect((await make(short, at(30_000))).body.expires_at).toBe(at(30_000));
    for (const none of [undefined, null]) expect((await make(short, none)).body.expires_at).toBe(at(60_000));
    expect((await make(a)).body.expires_at).toBeNull();
  });

  it('N3: made and revoked without end are forgotten, the oldest first', async () => {
    // Their order is that of random ids.
    const value = api.tokens.list().find(([, { tenant_id }]) => tenant_id === 't_a')?.[1] as TokenRecord;
    for (let n = 0; n < MAX_DEAD_TOKENS + 5; n += 1) {
      const key_id = `key_dead${n}`;
      const dead = { ...value, key_id, hash: String(n).padStart(64, '0'), revoked_at_ms: api.time.nowMs + n };
      await api.tokens.update(key_id, () => dead);
    }
    await api.token('t_a');
    const left = api.tokens.list('key_dead').map(([key]) => key);
    expect(left).toHaveLength(MAX_DEAD_TOKENS);
    expect(left).not.toContain('key_dead4');
    expect(left).toContain('key_dead5');
    expect((await whoami(a)).status).toBe(200);
  });

  it('are shown without their text, and when they were last used', async () => {
    const { body } = await api.call('GET', '/v1/tokens', { token: a });
    expect(body.data[0]).toMatchObject({ hint: `…${a.slice(-4)}`, last_used_at: '2026-03-01T12:00:00.000Z' });
    expect(JSON.stringify(body)).not.toContain(a);
    expect(api.tokens.bytes()).not.toContain(a);
  });

  it('are not written for being used, but once in an hour', async () => {
    const { writes } = api.tokens;
    for (let n = 0; n < 50; n += 1) await whoami(a);
    await api.book.writeUses();
    await api.book.writeUses();
    expect(api.tokens.writes).toBe(writes + 1);
    api.time.nowMs += 3_600_000;
    await whoami(a);
    await api.book.writeUses();
    expect(api.tokens.writes).toBe(writes + 2);
  });
});

describe("the platform's admin token", () => {
  it('is for tenants and their tokens only', async () => {
    for (const path of ['/v1/whoami', '/v1/connectors', '/v1/policies', '/v1/tokens', '/v1/grants']) {
      expect([path, (await api.call('GET', path, { token: ADMIN_TOKEN })).status]).toEqual([path, 403]);
    }
    const { body } = await api.call('GET', '/v1/tenants', { token: ADMIN_TOKEN });
    expect(body.data.map(({ id }: { id: string }) => id).sort()).toEqual(['t_a', 't_b']);
    expect((await api.call('GET', '/v1/tenants/t_a/tokens', { token: ADMIN_TOKEN })).body.data).toHaveLength(1);
    expect((await api.call('GET', '/v1/tenants/t_x/tokens', { token: ADMIN_TOKEN })).status).toBe(404);
    const [key] = (await api.call('GET', '/v1/tenants/t_a/tokens', { token: ADMIN_TOKEN })).body.data;
    expect((await api.call('DELETE', `/v1/tokens/${key.id}`, { token: ADMIN_TOKEN })).body.status).toBe('revoked');
    expect((await api.call('GET', '/v1/whoami', { token: a })).status).toBe(401);
  });

  it('is needed for them: no token of a tenant will do, also one with all scopes', async () => {
    for (const path of ['/v1/tenants', '/v1/tenants/t_a', '/v1/tenants/t_b/tokens']) {
      expect([path, (await api.call('GET', path, { token: a })).status]).toEqual([path, 403]);
    }
    expect((await api.call('POST', '/v1/tenants', { token: a, body: { name: 'x' } })).status).toBe(403);
  });

  it('cannot be revoked or listed as a tenant’s', async () => {
    expect((await api.call('DELETE', '/v1/tokens/platform', { token: ADMIN_TOKEN })).status).toBe(404);
  });
});
