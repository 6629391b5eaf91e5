/** Installs and removals of one connector at the same time: what stands in the end is whole. */
import { randomBytes } from 'node:crypto';
import { expect, it, onTestFinished } from 'vitest';
import type { MemoryLog } from '../../../src/kafka/memory/index.ts';
import { ORG_KEYS, openWallKustomer, openWallSite, WALL_ADMIN, type WallSite } from '../../support/api/wall/site.ts';
import { waitFor } from '../../support/wait-for.ts';

const ENV = { PUBLIC_URL: 'https://hooks.example', CN_MASTER_KEY: randomBytes(32).toString('hex') };

/** `processes` of them on one broker. */
async function open(processes = 1) {
  const kustomer = await openWallKustomer();
  const site = await openWallSite(kustomer, ENV);
  const sites = [site];
  while (sites.length < processes) sites.push(await openWallSite(kustomer, ENV, (site.log as MemoryLog).connect()));
  onTestFinished(async () => {
    for (const one of sites.toReversed()) await one.close();
    await kustomer.close();
  });
  const ask = async (method: string, url: string, token: string, body?: unknown, at = site) => {
    const answer = await at.send({ method, url, token, body });
    return { status: answer.status, body: JSON.parse(answer.text) };
  };
  await ask('POST', '/v1/tenants', WALL_ADMIN, { id: 't_near', name: 'Near' });
  const made = await ask('POST', '/v1/tenants/t_near/tokens', WALL_ADMIN, { name: 'x', scopes: ['admin'] });
  const token = made.body.token as string;
  const known = async (at: WallSite) => (await ask('GET', '/v1/whoami', token, undefined, at)).status === 200;
  for (const at of sites) await waitFor(() => known(at), { message: 'every process knows the token' });
  const install = (at = site) =>
    ask(
      'POST',
      '/v1/connectors',
      token,
      { name: 'prod', role: 'support', api_key: ORG_KEYS.t_near, config: { subdomain: 'acme' } },
      at,
    );
  const list = async (at = site) => (await ask('GET', '/v1/connectors', token, undefined, at)).body.data;
  const webhooks = () => kustomer.orgs[0]?.webhooks.list() ?? [];
  return { sites, ask, token, install, list, webhooks };
}

it('of several installs of one name one makes it and its webhook, and the others change it', async () => {
  const { install, list, webhooks } = await open();
  const answers = await Promise.all(Array.from({ length: 4 }, () => install()));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 201]);
  expect(await list()).toHaveLength(1);
  expect(webhooks()).toHaveLength(1);
}, 60_000);

it('so it is over several processes: one webhook, and all show the same connection', async () => {
  const { sites, install, list, webhooks } = await open(3);
  const answers = await Promise.all(sites.flatMap((at) => [install(at), install(at)]));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 200, 201]);
  expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
  expect(webhooks()).toHaveLength(1);
  for (const at of sites) {
    const shown = await waitFor(async () => (await list(at)).length === 1 && list(at), { message: 'each shows it' });
    expect(shown[0].id).toBe(answers[0]?.body.id);
  }
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
