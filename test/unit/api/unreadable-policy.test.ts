/** A policy that cannot be read closes its tenant, and whoever may write policies opens it again: over the real stores. */
import { expect, it, onTestFinished } from 'vitest';
import { furnish } from '../../support/api/wall/furnish.ts';
import { openWallKustomer, openWallSite } from '../../support/api/wall/site.ts';
import { waitFor } from '../../support/wait-for.ts';

it('is told, refuses to be changed, and can be deleted; the tenant of another is not touched', async () => {
  const kustomer = await openWallKustomer();
  const site = await openWallSite(kustomer);
  onTestFinished(async () => {
    await site.close();
    await kustomer.close();
  });
  const [near, far] = [await furnish(site, 't_near'), await furnish(site, 't_far')];
  const ask = async ({ token }: { readonly token: string }, method: string, path: string, body?: unknown) => {
    const answer = await site.send({ method, url: `/v1/${path}`, token, body });
    return { status: answer.status, body: JSON.parse(answer.text) };
  };
  const evaluate = (who: typeof near) =>
    ask(who, 'POST', 'policies/evaluate', {
      capability: 'conversation.note.write',
      args: { conversation_id: who.ids.conversation[0], body: 'x' },
      operator: who.ids.operator[0],
      connection: who.ids.connectorName[0],
    });
  expect((await evaluate(near)).body.decision).toBe('ALLOW');

  const producer = await site.log.producer({ clientId: 'a newer version' });
  const key = (name: string) => ({
    topic: site.names.control,
    partition: 0,
    key: Buffer.from(`policy/t_near/${name}`),
  });
  await producer.append([{ ...key('strange'), value: Buffer.from('{"version":2}') }]);
  await waitFor(async () => (await evaluate(near)).body.decision === 'BLOCK', { message: 'the tenant to be closed' });
  expect((await evaluate(far)).body.decision).toBe('ALLOW');

  const shown = await ask(near, 'GET', 'policies/strange');
  expect([shown.status, shown.body.error.code]).toEqual([409, 'state_conflict']);
  expect(shown.body.error.message).toContain('Delete it');
  expect((await ask(near, 'POST', 'policies/strange/disable', {})).status).toBe(409);
  expect((await ask(far, 'DELETE', 'policies/strange')).status).toBe(404);
  expect((await ask(far, 'GET', 'policies/strange')).status).toBe(404);
  expect((await evaluate(near)).body.decision).toBe('BLOCK');

  const gone = await ask(near, 'DELETE', 'policies/strange');
  expect([gone.status, gone.body]).toEqual([200, { object: 'policy_discarded', name: 'strange' }]);
  expect((await evaluate(near)).body.decision).toBe('ALLOW');
  expect((await ask(near, 'DELETE', 'policies/strange')).status).toBe(404);
  await producer.close();
}, 60_000);
