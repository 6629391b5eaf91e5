import { describe, expect, it } from 'vitest';
import { mayCall } from '../../../src/simulator/access.ts';
import { ROLE_TABLE, rolesOf } from '../../../src/simulator/api/roles.ts';
import { ROUTES } from '../../../src/simulator/api/routes.ts';
import { START_MS, simulated } from './simulated.ts';

describe('roles', () => {
  it('are known for every operation, and only for operations there are', () => {
    for (const route of ROUTES) expect(() => rolesOf(route, {})).not.toThrow();
    const operations = new Set(ROUTES.map(({ method, path }) => `${method} ${path}`));
    expect(Object.keys(ROLE_TABLE).filter((operation) => !operations.has(operation))).toEqual([]);
    expect(operations.size).toBe(ROUTES.length);
  });

  it('cover what is below them and nothing beside', () => {
    expect(mayCall(['org.permission'], ['org.permission.note.create'])).toBe(true);
    expect(mayCall(['org.permission.note'], ['org.permission.note.create', 'org.x'])).toBe(true);
    expect(mayCall(['org.permission.note'], ['org.permission.notes.create'])).toBe(false);
    expect(mayCall(['org.permission.note.create'], ['org.permission.note'])).toBe(false);
    expect(mayCall([], ['org'])).toBe(false);
    expect(mayCall([], [])).toBe(true);
  });

  it('open the operations they name and no others', async () => {
    const { api } = await simulated({
      access: { roles: ['org.permission.conversation.read', 'org.permission.kobject.kobject_order.read'] },
    });
    const [{ id, relationships }] = (await api('GET', '/v1/conversations')).body.data;
    const customer = relationships.customer.data.id;
    const refused: [string, string, unknown?][] = [
      ['PATCH', `/v1/conversations/${id}`, { status: 'done' }],
      ['POST', `/v1/conversations/${id}/notes`, { body: 'x' }],
      ['GET', `/v1/conversations/${id}/notes`],
      ['POST', '/v1/customers/search', {}],
      ['GET', `/v1/customers/${customer}`],
      ['GET', `/v1/customers/${customer}/klasses/order`],
      ['GET', '/v1/klasses/order'],
      ['GET', '/v1/outbound-webhooks'],
      ['POST', '/v1/outbound-webhooks', { name: 'x' }],
    ];
    for (const [method, path, body] of refused) {
      const answer = await api(method, path, body);
      expect({ path, status: answer.status }).toEqual({ path, status: 403 });
      expect(answer.body.errors[0].code).toBe('forbidden');
    }
    expect((await api('GET', `/v1/conversations/${id}`)).body.data.attributes.rev).toBe(1);
    // Allowed, and only then not there.
    expect((await api('GET', `/v1/klasses/order/${id}`)).status).toBe(404);
    for (const path of ['/v1/users/current', '/v1/auth/tokens/current']) {
      expect((await api('GET', path)).body.data.attributes.roles).toEqual([
        'org.permission.conversation.read',
        'org.permission.kobject.kobject_order.read',
      ]);
    }
  });

  it('are missed with 401 as in the old documentation, when told to', async () => {
    const { api } = await simulated({ access: { roles: [] }, behaviour: { missingRoleStatus: 401 } });
    expect((await api('GET', '/v1/conversations')).status).toBe(401);
    expect((await api('GET', '/v1/users/current')).status).toBe(200);
  });
});

describe('keys', () => {
  it('expire', async () => {
    const { api, clock } = await simulated({ access: { expiresAtMs: START_MS + 1000 } });
    const current = await api('GET', '/v1/auth/tokens/current');
    expect(current.body.data.attributes.expiresAt).toBe(new Date(START_MS + 1000).toISOString());
    clock.nowMs += 1000;
    const answer = await api('GET', '/v1/auth/tokens/current');
    expect(answer).toMatchObject({ status: 401, body: { errors: [{ title: 'Expired token' }] } });
  });

  it('belong to a pod', async () => {
    const { api } = await simulated({ access: { pod: 'prod2' } });
    const answer = await api('GET', '/v1/users/current');
    expect(answer.status).toBe(401);
    expect(answer.body.errors[0].title).toBe(
      'Auth token associated with pod prod2 but request is being handled by prod1',
    );
    const there = await simulated({ access: { pod: 'prod2' } }, { pod: 'prod2' });
    const own = await there.api('GET', '/v1/users/current');
    expect([own.status, own.headers.get('x-kustomer-pod')]).toEqual([200, 'prod2']);
  });

  it('without the right to read sensitive attributes see masks, not gaps', async () => {
    const { api } = await simulated({ access: { masked: ['emails', 'phones'] } });
    const made = await api('POST', '/v1/customers', { name: 'x', phones: [{ phone: '+15550001' }] });
    expect(made.body.data.attributes.phones).toEqual([{ type: 'mobile', phone: '**********', verified: false }]);
    const found = await api('POST', '/v1/customers/search', { and: [{ customer_phone: { equals: '+15550001' } }] });
    expect(found.body.data[0].attributes.phones[0].phone).toBe('**********');
    expect((await api('GET', '/v1/customers/phone=%2B15550001')).body.data.id).toBe(made.body.data.id);
  });

  it('change while the simulator runs', async () => {
    const { api } = await simulated();
    const access = { roles: ['org.user.conversation.read'] };
    expect((await api('POST', '/_simulator/settings', { org: 'acme', access })).status).toBe(200);
    expect((await api('GET', '/v1/conversations')).status).toBe(200);
    expect((await api('GET', '/v1/messages')).status).toBe(403);
  });
});
