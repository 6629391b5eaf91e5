/** `connection webhook …` against a simulated Kustomer. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../../src/base/secret.ts';
import { EVENT_NAMES } from '../../../../src/kustomer/event-names.ts';
import { requestFaultsSchema } from '../../../../src/simulator/requests/faults.ts';
import { webhookSignature } from '../../../../src/simulator/webhooks/sender.ts';
import { type CommandRun, runCommand } from '../../../support/cli.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { API_KEY, ID, type Site, site } from '../control/simulated.ts';

const PUBLIC = 'https://hooks.example.com';
const URL = `${PUBLIC}/webhooks/kustomer/${ID}`;

let one: Site;

beforeEach(async () => {
  one = await site();
});

/** The store of the test follows what the command wrote. */
async function run(words: string, env: Record<string, string> = {}): Promise<CommandRun> {
  const done = await runCommand(['connection', ...words.split(' ')], {
    openLog: () => one.log.connect(),
    env: { CN_MASTER_KEY: one.masterKey.toString('hex'), ...env },
  });
  const { high } = await one.log.admin.watermarks({ topic: 'fibric.control', partition: 0 });
  await waitFor(() => one.store.readTo() >= high, { message: 'the store has read what was written' });
  const told = [...done.out, ...done.notes].join('\n');
  expect(told).not.toContain(API_KEY);
  for (const { token } of one.org.webhooks.list()) expect(told).not.toContain(token);
  return done;
}
const webhook = (words: string, env?: Record<string, string>) => run(`webhook ${words}`, env);
const tokens = () => one.connection().webhookTokens.map((token) => token.reveal());
const webhooks = () => one.org.webhooks.list();
const only = () => webhooks()[0] ?? expect.unreachable();

describe('connection webhook create', () => {
  it('makes one with all events, and stores its id and token', async () => {
    const { code, out } = await webhook(`create ${ID} --public-url ${PUBLIC}/`);
    expect({ code, out }).toEqual({
      code: 0,
      out: [`created webhook ${only().id} (${URL})`, 'stored its token; 1 live now'],
    });
    expect(only()).toMatchObject({ url: URL, events: EVENT_NAMES });
    expect(only().name).toBe(`Fibric prod (${ID})`);
    expect(one.connection()).toMatchObject({ webhookId: only().id, previousWebhookId: null });
    expect(tokens()).toEqual([only().token]);
    expect((await run('list')).out[1]).toMatch(/ yes +60s +- +own +1 /);
  });

  it('again does nothing; the address may come from PUBLIC_URL', async () => {
    await webhook(`create ${ID}`, { PUBLIC_URL: PUBLIC });
    const again = await webhook(`create ${ID}`, { PUBLIC_URL: PUBLIC });
    expect(again).toMatchObject({ code: 0, out: [`webhook ${only().id} is as it should be (${URL})`] });
    expect(webhooks()).toHaveLength(1);
    expect(await webhook(`create ${ID}`)).toMatchObject({ code: 2 });
    expect(await webhook(`create ${ID} --public-url http://hooks.example.com`)).toMatchObject({ code: 2 });
  });

  it('adopts and mends what a person or a broken-off run made: address, events, switched off', async () => {
    const body = { name: 'by hand', url: `https://old.example.com/webhooks/kustomer/${ID}`, headers: [] };
    const made = one.org.webhooks.create({ ...body, events: ['kustomer.message.create'] }, Date.now());
    made?.queue.disable();
    const { code, out } = await webhook(`create ${ID} --public-url ${PUBLIC}`);
    expect({ code, out }).toEqual({
      code: 0,
      out: [
        ...['adopted', 'pointed to us', 'added events to', 'switched on'].map(
          (done) => `${done} webhook ${made?.id} (${URL})`,
        ),
        'stored its token; 1 live now',
      ],
    });
    expect(only()).toMatchObject({ url: URL, events: EVENT_NAMES });
    expect(only().queue.enabled).toBe(true);
    expect(tokens()).toEqual([only().token]);
  });

  it("leaves other connections' webhooks alone", async () => {
    const foreign = { name: 'x', url: `${PUBLIC}/webhooks/kustomer/cn_ab`, headers: [], events: [...EVENT_NAMES] };
    one.org.webhooks.create(foreign, Date.now());
    await webhook(`create ${ID} --public-url ${PUBLIC}`);
    expect(webhooks().map(({ url }) => url)).toEqual([foreign.url, URL]);
  });

  it('when the answer is lost looks whether it is there, and makes no second one', async () => {
    const fault = { method: 'POST', path: '/v1/outbound-webhooks', kind: 'truncate' } as const;
    one.org.requestFaults.configure(requestFaultsSchema.parse([fault]));
    expect(await webhook(`create ${ID} --public-url ${PUBLIC}`)).toMatchObject({ code: 0 });
    expect(webhooks()).toHaveLength(1);
    expect(tokens()).toEqual([only().token]);
  });

  it('when it did not happen says so, and nothing is stored', async () => {
    const fault = { method: 'POST', path: '/v1/outbound-webhooks', kind: 'status', status: 500 } as const;
    one.org.requestFaults.configure(requestFaultsSchema.parse([fault]));
    const { code, notes } = await webhook(`create ${ID} --public-url ${PUBLIC}`);
    expect(code).toBe(1);
    expect(notes.join()).toMatch(/kustomer_ambiguous/);
    expect(one.connection()).toMatchObject({ webhookId: null, webhookTokens: [] });
  });

  it('names the five there are when there is no room for another', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      one.org.webhooks.create({ name, url: `${PUBLIC}/${name}`, headers: [], events: [...EVENT_NAMES] }, Date.now());
    }
    const { code, notes } = await webhook(`create ${ID} --public-url ${PUBLIC}`);
    expect(code).toBe(1);
    expect(notes.join()).toMatch(/5 webhooks, and there are 5: a, b, c, d, e\. Delete one first/);
  });

  it('without the permission says what to click, and what role is missing', async () => {
    one.org.access = { ...one.org.access, roles: ['org.permission.conversation', 'org.permission.search'] };
    const { code, notes } = await webhook(`create ${ID} --public-url ${PUBLIC}`);
    expect(code).toBe(1);
    const told = notes.join('\n');
    expect(told).toMatch(/acme\.kustomerapp\.com.*Settings › Platform › Outbound webhooks/);
    expect(told).toContain(`URL ${URL}; events ${EVENT_NAMES.join(', ')}`);
    expect(told).toContain(`connection add --tenant t_a --id ${ID} --rotate`);
    expect(told).toMatch(/error \(kustomer_permission\): .*403.*org\.permission\.outbound_webhook\.read/);
  });

  it('keeps the token of a webhook made elsewhere beside the new one, but no third', async () => {
    await one.store.add({ connection: one.connection(), token: new Secret('a-token-by-hand') });
    await webhook(`create ${ID} --public-url ${PUBLIC}`);
    expect(tokens()).toEqual(['a-token-by-hand', only().token]);
    one.org.webhooks.delete(only().id);
    const { code, notes } = await webhook(`create ${ID} --public-url ${PUBLIC}`);
    expect(code).toBe(1);
    expect(notes.join()).toMatch(/connection_conflict.*add --drop-old/);
    expect(webhooks()).toEqual([]);
  });
});

describe('connection webhook rotate and drop-old', () => {
  it('adds a second, accepts both, then deletes the old one and its token', async () => {
    await webhook(`create ${ID} --public-url ${PUBLIC}`);
    const old = only();
    const rotated = await webhook(`rotate ${ID}`);
    expect(rotated.code).toBe(0);
    expect(rotated.out[0]).toMatch(new RegExp(`^created webhook [0-9a-f]{24} beside ${old.id}$`));
    const [, fresh = expect.unreachable()] = webhooks();
    expect(fresh).toMatchObject({ url: URL, events: EVENT_NAMES });
    expect(fresh.token).not.toBe(old.token);
    expect(tokens()).toEqual([old.token, fresh.token]);
    expect(one.connection()).toMatchObject({ webhookId: fresh.id, previousWebhookId: old.id });
    expect((await run('list')).out[1]).toMatch(/ rotating +2 /);

    const again = await webhook(`rotate ${ID}`);
    expect(again.code).toBe(1);
    expect(again.notes.join()).toMatch(/connection_conflict.*webhook drop-old/);
    expect(webhooks()).toHaveLength(2);

    const dropped = await webhook(`drop-old ${ID}`);
    expect(dropped).toMatchObject({
      code: 0,
      out: [`deleted webhook ${old.id}`, expect.stringMatching(/only the token/)],
    });
    expect(webhooks().map(({ id }) => id)).toEqual([fresh.id]);
    expect(tokens()).toEqual([fresh.token]);
    expect(one.connection()).toMatchObject({ webhookId: fresh.id, previousWebhookId: null });
    expect(webhookSignature(fresh.token, Buffer.from('x'))).not.toBe(webhookSignature(old.token, Buffer.from('x')));
    expect(await webhook(`drop-old ${ID}`)).toMatchObject({ code: 1 });
  });

  it('adopts what a rotation that broke off has left behind', async () => {
    await webhook(`create ${ID} --public-url ${PUBLIC}`);
    const orphan = one.org.webhooks.create({ name: 'x', url: URL, headers: [], events: [...EVENT_NAMES] }, Date.now());
    const { out } = await webhook(`rotate ${ID}`);
    expect(out[0]).toMatch(new RegExp(`^adopted webhook ${orphan?.id} `));
    expect(webhooks()).toHaveLength(2);
    expect(tokens()).toEqual(webhooks().map(({ token }) => token));
  });

  it('keeps the old one while the new one does not work, and ends when the old one is gone already', async () => {
    await webhook(`create ${ID} --public-url ${PUBLIC}`);
    await webhook(`rotate ${ID}`);
    const [old, fresh] = webhooks();
    fresh?.queue.disable();
    const refused = await webhook(`drop-old ${ID}`);
    expect(refused.code).toBe(1);
    expect(refused.notes.join()).toMatch(/connection_conflict.*not switched on/);
    expect(webhooks()).toHaveLength(2);
    expect(tokens()).toHaveLength(2);
    fresh?.queue.enable();
    one.org.webhooks.delete(old?.id ?? '');
    expect(await webhook(`drop-old ${ID}`)).toMatchObject({ code: 0 });
    expect(tokens()).toEqual([fresh?.token]);
  });

  it('needs a webhook to begin with', async () => {
    const { code, notes } = await webhook(`rotate ${ID}`);
    expect(code).toBe(1);
    expect(notes.join()).toMatch(/connection webhook create/);
    expect(webhooks()).toEqual([]);
  });
});

describe('connection webhook check and enable', () => {
  it('tells what is wrong with exit code 3, and that it is mended', async () => {
    expect(await webhook(`check ${ID}`)).toMatchObject({
      code: 3,
      out: [expect.stringMatching(/^degraded: there is no webhook/)],
    });
    await webhook(`create ${ID} --public-url ${PUBLIC}`);
    const good = await webhook(`check ${ID}`);
    expect(good).toMatchObject({ code: 0, notes: [] });
    expect(good.out).toEqual([
      'connected: webhooks are as they should be',
      expect.stringMatching(/^WEBHOOK +ENABLED +ERROR +TOKEN/),
      expect.stringMatching(new RegExp(`^${only().id} +yes +no +ours +- +never +0 +-$`)),
    ]);
    only().queue.disable();
    const off = await webhook(`check ${ID}`);
    expect(off).toMatchObject({ code: 3 });
    expect(off.out[0]).toMatch(/^degraded: somebody switched the webhook off/);
    expect((await webhook(`enable ${ID}`)).out).toEqual([`switched webhook ${only().id} on`]);
    expect((await webhook(`enable ${ID}`)).out).toEqual([`webhook ${only().id} is switched on`]);
    expect(await webhook(`check ${ID}`)).toMatchObject({ code: 0 });
  });

  it('without the permission says that it cannot look, and what to click', async () => {
    one.org.access = { ...one.org.access, roles: ['org.permission.conversation'] };
    await one.store.add({ connection: one.connection(), token: new Secret('a-token-by-hand') });
    const { code, out, notes } = await webhook(`check ${ID}`);
    expect(code).toBe(0);
    expect(out[0]).toMatch(/^connected: not checked: the API key may not look at webhooks/);
    expect(notes.join()).toMatch(/Outbound webhooks/);
  });

  it('knows no connection of another tenant, and none without a key', async () => {
    expect(await webhook(`check ${ID} --tenant t_b`)).toMatchObject({
      code: 1,
      notes: [expect.stringMatching(/connection_unknown/)],
    });
    await one.store.add({ connection: one.connection(), token: new Secret('a-token-by-hand'), apiKey: null });
    expect(await webhook(`check ${ID}`)).toMatchObject({
      code: 2,
      notes: [expect.stringMatching(/connection add --api-key/)],
    });
  });
});

describe('connection show and remove', () => {
  it('shows everything that is no secret', async () => {
    await webhook(`create ${ID} --public-url ${PUBLIC}`);
    const { out } = await run(`show ${ID}`);
    const told = out.join('\n');
    expect(told).toMatch(/^API key +fingerprint [0-9a-f]{8}$/m);
    expect(told).toMatch(/^poll interval +60s$/m);
    expect(told).toMatch(/^backfill since +no history$/m);
    expect(told).toMatch(new RegExp(`^webhook +own, ${only().id}$`, 'm'));
    expect(await run('show cn_no')).toMatchObject({ code: 1 });
  });

  it('says that the webhook it made stays in Kustomer', async () => {
    await webhook(`create ${ID} --public-url ${PUBLIC}`);
    expect((await run(`remove ${ID}`)).notes).toEqual([
      `its webhook ${only().id} is still in Kustomer: delete it there`,
    ]);
  });
});
