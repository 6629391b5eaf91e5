/** Installs and removals of one connector at the same time: what stands in the end is whole. */
import { expect, it, onTestFinished } from 'vitest';
import { ORG_KEYS, openWallKustomer, openWallSite, WALL_ADMIN } from '../../support/api/wall/site.ts';

async function open() {
  const kustomer = await openWallKustomer();
  const site = await openWallSite(kustomer, { PUBLIC_URL: 'https://hooks.example' });
  onTestFinished(async () => {
    await site.close();
    await kustomer.close();
  });
  const ask = async (method: string, url: string, token: string, body?: unknown) => {
    const answer = await site.send({ method, url, token, body });
    return { status: answer.status, body: JSON.parse(answer.text) };
  };
  await ask('POST', '/v1/tenants', WALL_ADMIN, { id: 't_near', name: 'Near' });
  const made = await ask('POST', '/v1/tenants/t_near/tokens', WALL_ADMIN, { name: 'x', scopes: ['admin'] });
  const token = made.body.token as string;
  const install = () =>
    ask('POST', '/v1/connectors', token, {
      ...{ name: 'prod', role: 'support', api_key: ORG_KEYS.t_near },
      config: { subdomain: 'acme' },
    });
  const list = async () => (await ask('GET', '/v1/connectors', token)).body.data;
  const webhooks = () => kustomer.orgs[0]?.webhooks.list() ?? [];
  return { site, ask, token, install, list, webhooks };
}

it('of several installs of one name one makes it and its webhook, and the others change it', async () => {
  const { install, list, webhooks } = await open();
  const answers = await Promise.all(Array.from({ length: 4 }, install));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 201]);
  expect(await list()).toHaveLength(1);
  expect(webhooks()).toHaveLength(1);
}, 60_000);

it('a removal between installs leaves nothing of what it removed', async () => {
  const { ask, token, install, list } = await open();
  const { id } = (await install()).body;
  await ask('PUT', '/v1/grants', token, { operator: 'triage', capability: 'customer.read' });
  const [removed, again] = await Promise.all([
    ask('DELETE', `/v1/connectors/${id}`, token),
    install(),
    ask('PUT', '/v1/grants', token, { operator: 'late', capability: 'customer.read', connection: id }),
  ]);
  expect([removed.status, again.status]).toEqual([200, 201]);
  const [one, ...more] = await list();
  expect([one.id !== id, one.role, more]).toEqual([true, 'support', []]);
  expect((await ask('GET', '/v1/grants', token)).body.data).toEqual([]);
}, 60_000);
