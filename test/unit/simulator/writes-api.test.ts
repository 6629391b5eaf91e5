import { describe, expect, it } from 'vitest';
import { type Simulated, simulated } from './simulated.ts';

async function withConversation(behaviour: object = {}) {
  const there = await simulated({ conversations: 2, behaviour });
  const [first, second] = (await there.api('GET', '/v1/conversations')).body.data;
  return { ...there, first, second, at: `/v1/conversations/${first.id}` };
}

const attributesOf = async ({ api }: Pick<Simulated, 'api'>, path: string) =>
  (await api('GET', path)).body.data.attributes;

describe('notes', () => {
  it('are made, listed, read, changed and deleted; duplicates are accepted', async () => {
    const { api, at, org, first } = await withConversation();
    const published = org.published;
    const made = await api('POST', `${at}/notes`, { body: 'Hello', externalId: 'key-1' });
    expect(made).toMatchObject({ status: 201, body: { data: { type: 'note', attributes: { externalId: 'key-1' } } } });
    expect(made.body.data.attributes).not.toHaveProperty('rev');
    expect(made.body.data.relationships).toMatchObject({
      createdBy: { data: { id: org.machineUserId } },
      conversation: { data: { id: first.id } },
      customer: { data: { id: first.relationships.customer.data.id } },
    });
    expect(org.published).toBe(published + 1);
    expect(await attributesOf({ api }, at)).toMatchObject({ noteCount: 1, rev: 2 });
    const again = await api('POST', `${at}/notes`, { body: 'Hello', externalId: 'key-1' });
    expect(again.status).toBe(201);
    expect(again.body.data.id).not.toBe(made.body.data.id);
    const listed = (await api('GET', `${at}/notes`)).body.data;
    expect(listed.map(({ attributes }: { attributes: object }) => attributes)).toMatchObject([
      { body: 'Hello' },
      { body: 'Hello' },
    ]);
    expect(listed[0].attributes).not.toHaveProperty('externalId');
    const note = `/v1/notes/${made.body.data.id}`;
    expect((await api('PATCH', note, { body: 'Changed' })).body.data.attributes.body).toBe('Changed');
    expect((await api('DELETE', note)).status).toBe(204);
    expect((await api('GET', note)).status).toBe(404);
    expect((await api('GET', `${at}/notes`)).body.meta.total).toBe(1);
    expect((await api('GET', `/v1/notes/externalId=key-1`)).status).toBe(404);
  });

  it('refuse what the vendor refuses', async () => {
    const { api, at } = await withConversation();
    const refused: [object, number][] = [
      [{ body: '' }, 400],
      [{ body: 'x'.repeat(10_241) }, 400],
      [{ body: 'x', externalId: 'x'.repeat(257) }, 400],
      [{ body: 'x', meta: {} }, 400],
      [{ body: 'x', custom: {} }, 400],
      [{ body: 'x', rev: 1 }, 400],
      [{}, 400],
    ];
    for (const [body, status] of refused) expect((await api('POST', `${at}/notes`, body)).status).toBe(status);
    expect((await api('POST', `${at}/notes`, { body: 'x'.repeat(10_240) })).status).toBe(201);
    expect((await api('GET', `${at}/notes`)).body.meta.total).toBe(1);
    expect((await api('POST', `/v1/conversations/${'f'.repeat(24)}/notes`, { body: 'x' })).status).toBe(404);
  });

  it('show their external id, stay silent and take ids of the caller as they are told to', async () => {
    const { api, at, org } = await withConversation({ notesShowExternalId: true, noteEmits: false });
    const published = org.published;
    const id = 'a'.repeat(24);
    const create = () => api('POST', `${at}/notes`, { body: 'x', externalId: 'key-1', id });
    expect((await create()).body.data.id).toBe(id);
    expect((await create()).status).toBe(409);
    const behaviour = (more: object) => api('POST', '/_simulator/settings', { org: 'acme', behaviour: more });
    await behaviour({ repeatedId: 'existing', noteEmits: false, notesShowExternalId: true });
    expect(await create()).toMatchObject({ status: 201, body: { data: { id } } });
    expect((await api('GET', `${at}/notes`)).body.data).toMatchObject([{ attributes: { externalId: 'key-1' } }]);
    await behaviour({ clientIds: 'ignored', noteEmits: false });
    expect((await create()).body.data.id).not.toBe(id);
    expect((await api('GET', `${at}/notes`)).body.meta.total).toBe(2);
    expect(org.published).toBe(published);
    expect((await attributesOf({ api }, at)).noteCount).toBe(2);
  });
});

describe('conversations', () => {
  it('refuse a stale rev and replace whole arrays', async () => {
    const { api, at, org } = await withConversation();
    const [a, b] = [...org.organisation.users.values()].map(({ id }) => id);
    expect((await api('PATCH', at, { assignedUsers: [a], rev: 1 })).status).toBe(200);
    const conflict = await api('PATCH', at, { assignedUsers: [b], rev: 1 });
    expect(conflict).toMatchObject({ status: 409, body: { errors: [{ code: 'conflict' }] } });
    expect((await attributesOf({ api }, at)).assignedUsers).toEqual([a]);
    await api('PATCH', at, { assignedUsers: [b] });
    expect((await attributesOf({ api }, at)).assignedUsers).toEqual([b]);
    await api('PATCH', at, { assignedUsers: [], assignedTeams: [] });
    expect((await attributesOf({ api }, at)).assignedUsers).toEqual([]);
  });

  it('gain and lose single tags, unknown ones made', async () => {
    const { api, at, org } = await withConversation();
    const before = org.organisation.tags.size;
    const [known] = [...org.organisation.tags.values()];
    const added = await api('POST', `${at}/tags`, ['brand-new', known?.id]);
    expect(added.body.data.attributes.tags).toHaveLength(2);
    expect(org.organisation.tags.size).toBe(before + 1);
    expect((await api('DELETE', `${at}/tags`, ['brand-new'])).body.data.attributes.tags).toEqual([known?.id]);
  });

  it('are read by external id and several at once', async () => {
    const { api, first, second } = await withConversation();
    await api('PATCH', `/v1/conversations/${second.id}`, { externalId: 'order/7 é' });
    const found = await api('GET', `/v1/conversations/externalId=${encodeURIComponent('order/7 é')}`);
    expect(found.body.data.id).toBe(second.id);
    const missing = await api('GET', '/v1/conversations/externalId=nope');
    expect(missing).toMatchObject({ status: 404, body: { errors: [{ source: { parameter: 'externalId' } }] } });
    const both = await api('GET', `/v1/conversations/${first.id},${second.id},${'f'.repeat(24)}`);
    expect(both.body.data).toHaveLength(2);
  });

  it('take defined custom attributes only, when told which', async () => {
    const { api, at } = await withConversation({ definedCustom: ['regionStr'] });
    expect((await api('PATCH', at, { custom: { regionStr: 'EU' } })).status).toBe(200);
    const refused = await api('PATCH', at, { custom: { regionStr: 'US', colourStr: 'red' } });
    expect(refused).toMatchObject({ status: 400, body: { errors: [{ source: { parameter: 'custom.colourStr' } }] } });
    expect((await attributesOf({ api }, at)).custom).toEqual({ regionStr: 'EU' });
  });

  it('are listed oldest first, or newest', async () => {
    const { api, first, second } = await withConversation();
    const ids = async (path: string) => (await api('GET', path)).body.data.map(({ id }: { id: string }) => id);
    expect(await ids('/v1/conversations')).toEqual([first.id, second.id]);
    expect(await ids('/v1/conversations?sort=desc')).toEqual([second.id, first.id]);
    expect((await api('GET', '/v1/conversations?sort=updatedAt')).status).toBe(400);
  });

  it('are deleted in silence and gone for readers, writers and search', async () => {
    const { api, at, org } = await withConversation();
    const published = org.published;
    expect((await api('DELETE', at)).status).toBe(204);
    expect(org.published).toBe(published);
    for (const [method, path, body] of [
      ['GET', at],
      ['PATCH', at, { status: 'done' }],
      ['DELETE', at],
      ['POST', `${at}/notes`, { body: 'x' }],
      ['POST', `${at}/messages`, { channel: 'email', app: 'a', direction: 'in' }],
    ] as const) {
      expect((await api(method, path, body)).status).toBe(404);
    }
    expect((await api('GET', '/v1/conversations')).body.meta.total).toBe(1);
    const search = { queryContext: 'conversation' };
    expect((await api('POST', '/v1/customers/search', search)).body.meta.total).toBe(1);
    const all = await api('POST', '/v1/customers/search', { ...search, includeDeleted: true });
    expect(all.body.meta.total).toBe(2);
    expect(all.body.data[0].attributes).toMatchObject({ deleted: true, rev: 2 });
  });

  it('merge: messages and notes move, the source points to the target', async () => {
    const { api, at, first, second, org } = await withConversation();
    await api('POST', `${at}/messages`, { channel: 'email', app: 'a', direction: 'in', preview: 'x' });
    await api('POST', `${at}/notes`, { body: 'x' });
    const published = org.published;
    const change = { kind: 'merge_conversations', source: first.id, target: second.id };
    expect((await api('POST', '/_simulator/change', { org: 'acme', change })).status).toBe(200);
    expect(org.published).toBe(published);
    expect(await attributesOf({ api }, at)).toMatchObject({ mergedTarget: second.id, status: 'done', messageCount: 0 });
    const target = `/v1/conversations/${second.id}`;
    expect(await attributesOf({ api }, target)).toMatchObject({ messageCount: 1, noteCount: 1 });
    expect((await api('GET', `${target}/messages`)).body.meta.total).toBe(1);
    expect((await api('GET', `${target}/notes`)).body.meta.total).toBe(1);
    expect((await api('GET', `${at}/notes`)).body.meta.total).toBe(0);
    expect((await api('POST', `${at}/notes`, { body: 'x' })).status).toBe(404);
    await api('POST', '/_simulator/settings', { org: 'acme', behaviour: { mergedWrites: 'accepted' } });
    expect((await api('POST', `${at}/notes`, { body: 'x' })).status).toBe(201);
  });
});

describe('outbound webhooks', () => {
  const hook = { name: 'x', url: 'https://example.org/hook', events: ['kustomer.customer.update'] };

  it('show their token again, are switched off and on, and belong to keys that may', async () => {
    const { api } = await simulated();
    const made = (await api('POST', '/v1/outbound-webhooks', hook)).body.data;
    const at = `/v1/outbound-webhooks/${made.id}`;
    expect(await attributesOf({ api }, at)).toMatchObject({
      token: made.attributes.token,
      enabled: true,
      isError: false,
    });
    expect((await api('PATCH', at, { enabled: false })).body.data.attributes.enabled).toBe(false);
    expect((await api('PATCH', at, { enabled: true })).body.data.attributes.enabled).toBe(true);
    expect((await api('PATCH', at, { token: 'mine' })).status).toBe(400);
    const roles = (...names: string[]) =>
      api('POST', '/_simulator/settings', { org: 'acme', access: { roles: names } });
    await roles('org.permission.outbound_webhook.read');
    expect((await api('GET', at)).status).toBe(200);
    expect((await api('GET', `${at}/transactions`)).status).toBe(200);
    expect((await api('PATCH', at, { enabled: false })).status).toBe(403);
    expect((await api('POST', '/v1/outbound-webhooks', hook)).status).toBe(403);
    expect((await api('DELETE', at)).status).toBe(403);
    await roles('org.permission.outbound_webhook.create', 'org.permission.outbound_webhook.delete');
    expect((await api('GET', at)).status).toBe(403);
    expect((await api('PATCH', at, { enabled: false })).status).toBe(200);
    expect((await api('DELETE', at)).status).toBe(204);
  });
});

describe('messages', () => {
  it('are found by external id; PATCH replaces meta, or merges when told to', async () => {
    const { api, at } = await withConversation();
    const call = {
      channel: 'voice',
      app: 'fibric',
      direction: 'in',
      externalId: 'call-1',
      meta: { status: 'ringing' },
    };
    const { id } = (await api('POST', `${at}/messages`, call)).body.data;
    for (const key of ['externalId', 'externalid']) {
      expect((await api('GET', `/v1/messages/${key}=call-1`)).body.data.id).toBe(id);
    }
    const patch = (meta: object) => api('PATCH', `/v1/messages/${id}`, { meta });
    expect((await patch({ answeredAt: 't' })).body.data.attributes.meta).toEqual({ answeredAt: 't' });
    await api('POST', '/_simulator/settings', { org: 'acme', behaviour: { messageMeta: 'merge' } });
    expect((await patch({ status: 'done' })).body.data.attributes.meta).toEqual({ answeredAt: 't', status: 'done' });
    for (const refused of [{ channel: 'sms' }, { app: 'x' }, { direction: 'out' }, { auto: true }, { rev: 1 }]) {
      expect((await api('PATCH', `/v1/messages/${id}`, refused)).status).toBe(400);
    }
  });

  it('open a conversation for a customer without one', async () => {
    const { api } = await withConversation();
    const { id } = (await api('POST', '/v1/customers', { name: 'x' })).body.data;
    await api('POST', '/v1/messages', { channel: 'voice', app: 'a', direction: 'in', customer: id });
    expect((await api('GET', `/v1/customers/${id}/conversations`)).body.meta.total).toBe(1);
    expect((await api('GET', `/v1/customers/${id}/messages`)).body.meta.total).toBe(1);
  });
});

describe('customers', () => {
  it('are found by phone, email and external id; a naked plus is a space', async () => {
    const { api } = await simulated();
    const body = {
      name: 'x',
      externalId: 'c 1',
      phones: [{ phone: '+15550001' }],
      emails: [{ email: 'a+b@example.org' }],
    };
    const { id } = (await api('POST', '/v1/customers', body)).body.data;
    const found = async (key: string) => (await api('GET', `/v1/customers/${key}`)).body.data?.id;
    expect(await found('phone=%2B15550001')).toBe(id);
    expect(await found('phone=+15550001')).toBeUndefined();
    expect(await found('email=a%2Bb%40example.org')).toBe(id);
    expect(await found('email=a%2Bb@example.org')).toBe(id);
    expect(await found('externalId=c%201')).toBe(id);
    expect(await found('externalId=c1')).toBeUndefined();
  });

  it("merge for ever: everything of the source becomes the target's", async () => {
    const { api, org, first, second } = await withConversation();
    const [source, target] = [first, second].map(({ relationships }) => relationships.customer.data.id);
    await api('POST', '/v1/klasses/order', { title: 'Order', customer: source });
    const before = await attributesOf({ api }, `/v1/customers/${target}`);
    const published = org.published;
    const merged = await api('POST', '/v1/customers/merges', { source, target });
    expect(merged).toMatchObject({
      status: 201,
      body: { data: { type: 'customer_merge', attributes: { status: 'success' } } },
    });
    expect(org.published).toBe(published + 2);
    expect((await api('GET', `/v1/customers/${source}`)).status).toBe(404);
    expect((await api('GET', `/v1/customers/${target}/conversations`)).body.meta.total).toBe(2);
    expect((await api('GET', `/v1/customers/${target}/klasses/order`)).body.meta.total).toBe(1);
    const after = await attributesOf({ api }, `/v1/customers/${target}`);
    expect(after).toMatchObject({ name: before.name, conversationCounts: { open: 2, all: 2 } });
    expect((await api('GET', merged.body.data.links.self)).body.data.id).toBe(merged.body.data.id);
    expect((await api('GET', `/v1/customers/${target}/merges`)).body.meta.total).toBe(1);
    expect((await api('POST', '/v1/customers/merges', { source, target })).status).toBe(404);
    expect((await api('POST', '/v1/customers/merges', { source: target, target })).status).toBe(400);
  });
});

describe('orders', () => {
  it('are custom objects whose creation touches the customer', async () => {
    const { api, org, first } = await withConversation();
    const customer = first.relationships.customer.data.id;
    const before = await attributesOf({ api }, `/v1/customers/${customer}`);
    const published = org.published;
    const made = await api('POST', '/v1/klasses/order', {
      title: 'Order 1',
      externalId: 'o-1',
      customer,
      custom: { totalNum: 7 },
    });
    expect(made).toMatchObject({
      status: 201,
      body: { data: { type: 'kobject.order', relationships: { klass: { link: { self: '/v1/klasses/order' } } } } },
    });
    const { id } = made.body.data;
    expect(made.body.data.links.self).toBe(`/v1/klasses/orders/${id}`);
    expect(org.published).toBe(published + 1);
    const after = await attributesOf({ api }, `/v1/customers/${customer}`);
    expect(after).toMatchObject({ rev: before.rev + 1, recentItems: [{ type: 'kobject.order', id }] });
    expect((await api('GET', `/v1/klasses/order/externalId=o-1`)).body.data.id).toBe(id);
    expect(
      (await api('PUT', `/v1/klasses/order/${id}`, { custom: { totalNum: 8 }, rev: 1 })).body.data.attributes,
    ).toMatchObject({
      title: 'Order 1',
      custom: { totalNum: 8 },
      rev: 2,
    });
    expect((await api('PUT', `/v1/klasses/order/${id}`, { title: 'x', rev: 1 })).status).toBe(409);
    expect((await api('PATCH', `/v1/klasses/order/${id}`, { title: 'x' })).status).toBe(404);
    expect((await api('POST', '/v1/klasses/order', { custom: {} })).status).toBe(400);
    expect((await api('POST', '/v1/klasses/return', { title: 'x' })).status).toBe(404);
    expect((await api('GET', '/v1/klasses/order')).body.meta.total).toBe(1);
    const [klass] = (await api('GET', '/v1/klasses')).body.data;
    expect((await api('GET', `/v1/klasses/${klass.id}`)).body.data.attributes.name).toBe('order');
    expect((await api('GET', `/v1/customers/${customer}/klasses/order`)).body.data[0].id).toBe(id);
    expect((await api('DELETE', `/v1/klasses/order/${id}`)).status).toBe(204);
    expect((await api('GET', `/v1/customers/${customer}/klasses/order`)).body.data).toEqual([]);
  });
});

describe('survey answers', () => {
  it('are read by the id on the conversation, also after a later survey took its place', async () => {
    const { api, first, at } = await withConversation();
    const change = (kind: string, more: object = {}) =>
      api('POST', '/_simulator/change', { org: 'acme', change: { kind, conversation: first.id, ...more } });
    await change('offer_survey');
    const { formResponse } = (await attributesOf({ api }, at)).satisfactionLevel;
    const read = async () => (await api('GET', `/v1/satisfaction-responses/${formResponse}`)).body.data.attributes;
    expect(await read()).toMatchObject({ status: 'offered', answers: [] });
    expect(await read()).not.toHaveProperty('score');
    await change('rate_survey', { rating: 9, score: 1 });
    expect(await read()).toMatchObject({ status: 'rated', rating: 9, score: 1 });
    await change('comment_survey', { comment: 'Quick' });
    await change('offer_survey');
    expect(await read()).toMatchObject({ status: 'commented', answers: [{ value: 'Quick' }] });
    expect((await api('GET', `/v1/satisfaction-responses/${first.id}`)).status).toBe(404);
    const search = { queryContext: 'conversation', and: [{ conversation_satisfaction_status: { equals: 'offered' } }] };
    expect((await api('POST', '/v1/customers/search', search)).body.meta.total).toBe(1);
  });
});
