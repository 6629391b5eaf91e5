/** Events, receipts, actions and answers through the API of a running service, on a real broker with the simulated Kustomer. */
import { expect, onTestFinished, test } from 'vitest';
import { SseParser } from '../../src/cli/http/sse.ts';
import type { Org } from '../../src/simulator/org.ts';
import { createSimulator } from '../../src/simulator/server.ts';
import { type ApiClient, apiClient, newTenant } from '../support/api/http.ts';
import { eventually, Installation } from '../support/installation.ts';
import { waitFor } from '../support/wait-for.ts';

const ADMIN = 'admin-token-of-the-test-0123456789';
const KEY = 'key-acme-canary-77b2';

interface Row {
  readonly id: string;
  readonly cursor: string;
  readonly event_id: string;
}

/** One connection of a stream; ends when the test says so. */
function listen(url: string, token: string, lastId: string | null, take: (row: Row, id: string) => void) {
  const gone = new AbortController();
  const done = (async () => {
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${token}`, ...(lastId !== null && { 'last-event-id': lastId }) },
      signal: gone.signal,
    });
    expect(response.status).toBe(200);
    const parser = new SseParser();
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      for (const { data, id } of parser.push(decoder.decode(chunk, { stream: true }))) take(JSON.parse(data), id);
    }
  })();
  return {
    done,
    leave: async (): Promise<void> => {
      gone.abort();
      await done.catch(() => undefined);
    },
  };
}

async function all(api: ApiClient, path: string): Promise<Row[]> {
  const rows: Row[] = [];
  const question = path.includes('?') ? '&' : '?';
  let cursor = '';
  for (;;) {
    const { status, body, text } = await api('GET', `${path}${question}limit=100${cursor}`);
    if (status !== 200) throw new Error(text);
    rows.push(...body.data);
    if (!body.has_more) return rows;
    cursor = `&cursor=${body.next_cursor}`;
  }
}

test('a stream that is cut again and again during a flood, and the pages, have every envelope once', {
  timeout: 120_000,
}, async () => {
  const site = await Installation.open({ tenants: 1, env: { CN_ADMIN_TOKEN: ADMIN } });
  const serving = await site.serve({ roles: 'ingest,process,api' });
  const tenantId = 't_flood1';
  const token = await newTenant(apiClient(serving.url, ADMIN), tenantId);
  const api = apiClient(serving.url, token);
  const stream = `${serving.url}/v1/events/stream?since=1h`;
  const streamed: string[] = [];
  let lastId: string | null = null;
  let isOver = false;
  let cuts = 0;
  const follower = (async () => {
    while (!isOver) {
      let taken = 0;
      let enough = (): void => undefined;
      const full = new Promise<void>((resolve) => {
        enough = resolve;
      });
      const connection = listen(stream, token, lastId, (row, id) => {
        if (taken >= 150) return; // after that the client is deaf
        taken += 1;
        streamed.push(row.event_id);
        lastId = id;
        if (taken === 150) enough();
      });
      await Promise.race([
        full,
        connection.done.catch(() => undefined),
        waitFor(() => isOver, { message: 'the end', deadlineMs: 100_000 }),
      ]);
      await connection.leave();
      cuts += 1;
    }
  })();
  const flood = site.flood(serving.url, { count: 2000, duplicates: 0.2 });
  const during: number[] = [];
  const paged = (async () => {
    while (!isOver) {
      const startedAtMs = performance.now();
      expect((await api('GET', '/v1/events?limit=20')).status).toBe(200);
      during.push(performance.now() - startedAtMs);
    }
  })();
  await flood.done;
  await site.caughtUp();
  const { records } = await site.visibleEnvelopes();
  expect(records.length).toBeGreaterThan(1000);
  await waitFor(() => streamed.length >= records.length, { message: 'the whole stream', deadlineMs: 60_000 });
  isOver = true;
  await Promise.all([follower, paged]);
  expect(streamed).toHaveLength(records.length);
  expect(new Set(streamed).size).toBe(records.length);
  expect(cuts).toBeGreaterThan(records.length / 200);
  const listed = await all(api, '/v1/events');
  expect(listed.map((row) => row.event_id).sort()).toEqual([...streamed].sort());
  const [some] = listed.slice(records.length / 2);
  expect((await api('GET', `/v1/events/${some?.id}`)).body.event_id).toBe(some?.event_id);
  expect((await api('GET', `/v1/events/${some?.event_id}`)).body.id).toBe(some?.id);
  during.sort((a, b) => a - b);
  // However busy the log: a page never waits for an open transaction to end.
  expect(during[during.length >> 1]).toBeLessThan(300);
  await serving.stop();
});

const POLICY = `policy: support-writes
rules:
  - allow: conversation.note.write
  - require_confirmation: conversation.status.write
default: deny
`;

test('writes go through policy to their receipts, and people answer what waits', { timeout: 120_000 }, async () => {
  const simulator = createSimulator({ orgs: [{ name: 'acme', apiKey: KEY, conversations: 3 }] });
  onTestFinished(() => simulator.close());
  const [org] = simulator.orgs as readonly [Org];
  const { url: kustomer } = await simulator.listen();
  const site = await Installation.open({ tenants: 1, env: { CN_ADMIN_TOKEN: ADMIN, KUSTOMER_BASE_URL: kustomer } });
  const serving = await site.serve({ roles: 'sink,api' });
  const admin = apiClient(serving.url, ADMIN);
  const token = await newTenant(admin, 't_acme');
  const api = apiClient(serving.url, token);
  const other = apiClient(serving.url, await newTenant(admin, 't_other'));
  const installed = await api('POST', '/v1/connectors', {
    ...{ listing: 'cn-kustomer', name: 'kustomer-prod', role: 'support' },
    ...{ config: { subdomain: 'acme' }, api_key: KEY },
  });
  expect(installed.status).toBe(201);
  for (const capability of ['conversation.note.write', 'conversation.status.write', 'customer.read']) {
    const granted = await api('PUT', '/v1/grants', { operator: 'triage', capability, connection: 'kustomer-prod' });
    expect([capability, granted.status]).toEqual([capability, 200]);
  }
  const [conversation] = [...org.organisation.conversations.values()];
  const id = conversation?.id ?? '';
  let count = 0;
  const act = async (more: object = {}) => {
    count += 1;
    return api('POST', '/v1/actions', {
      ...{ connection: 'kustomer-prod', capability: 'conversation.note.write', operator: 'triage', mode: 'live' },
      ...{ args: { conversation_id: id, body: 'connectivity check' }, idempotency_key: `k${count}` },
      ...more,
    });
  };
  const received: Row[] = [];
  const stream = listen(`${serving.url}/v1/receipts/stream?since=1h`, token, null, (row) => received.push(row));

  const said = (answer: Awaited<ReturnType<typeof act>>) => {
    const { status, receipt } = answer.body;
    return [answer.status, status, receipt?.verdict.decision, receipt?.outcome];
  };
  expect(said(await act())).toEqual([200, 'disposed', 'BLOCK', 'refused']); // no policy yet
  expect((await api('POST', '/v1/policies', { document: POLICY })).status).toBe(201);
  expect(said(await act({ mode: 'dry_run' }))).toEqual([200, 'disposed', 'ALLOW', 'dry_run']);
  const first = await act({ idempotency_key: 'note' });
  expect(said(first)).toEqual([200, 'disposed', 'ALLOW', 'applied']);
  const again = await act({ idempotency_key: 'note' });
  expect(said(again)).toEqual([200, 'disposed', 'DEDUP', 'deduplicated']);
  expect(again.body.receipt.first_receipt_id).toBe(first.body.receipt.id);
  const stranger = await act({ operator: 'nobody' });
  expect(said(stranger)).toEqual([200, 'disposed', 'BLOCK', 'refused']);

  const status = { capability: 'conversation.status.write', args: { conversation_id: id, status: 'done' } };
  const held = await act({ ...status, idempotency_key: 'done' });
  expect([held.status, held.body.status]).toEqual([202, 'held']);
  const approvals = await api('GET', '/v1/approvals');
  expect(approvals.body.data).toMatchObject([
    { id: held.body.approval_id, state: 'waiting', operator: 'triage', connection: 'kustomer-prod', args: status.args },
  ]);
  expect((await other('GET', '/v1/approvals')).body.data).toEqual([]);
  expect((await other('POST', `/v1/approvals/${held.body.approval_id}/approve`, {})).status).toBe(404);
  const approved = await api('POST', `/v1/approvals/${held.body.approval_id}/approve`, { note: 'seen' });
  expect([approved.status, approved.body.state, approved.body.receipt?.outcome]).toEqual([200, 'approved', 'applied']);
  expect(approved.body.receipt.approver).toMatch(/^key_/);
  expect((await api('GET', `/v1/approvals/${held.body.approval_id}`)).status).toBe(404);
  const refused = await act({ ...status, args: { conversation_id: id, status: 'open' }, idempotency_key: 'open' });
  const rejected = await api('POST', `/v1/approvals/${refused.body.approval_id}/reject`, {});
  expect([rejected.body.state, rejected.body.receipt?.error?.code]).toEqual(['rejected', 'confirmation_rejected']);

  const notes = org.organisation.notes;
  expect(JSON.stringify([...notes.values()]).split('connectivity check')).toHaveLength(2); // one note
  const receipts = await all(api, '/v1/receipts');
  expect(receipts).toHaveLength(7);
  await waitFor(() => received.length >= receipts.length, { message: 'every receipt in the stream' });
  await stream.leave();
  expect(received.map((row) => row.id).sort()).toEqual(receipts.map((row) => row.id).sort());
  expect(await all(api, '/v1/receipts?verdict=BLOCK')).toHaveLength(3);
  expect((await api('GET', `/v1/receipts/${first.body.receipt.id}`)).body.command_id).toBe(first.body.command_id);
  expect((await other('GET', `/v1/receipts/${first.body.receipt.id}`)).status).toBe(404);
  expect(await all(other, '/v1/receipts')).toEqual([]);

  const read = await api('GET', `/v1/read/conversations/${id}`);
  expect([read.status, read.body.conversation_id, read.body.status]).toEqual([200, id, 'done']);
  const customer = await api('GET', `/v1/read/customers/${read.body.customer_id}?operator=triage`);
  expect([customer.status, customer.body.customer_id]).toEqual([200, read.body.customer_id]);
  expect(customer.body.contacts.map((one: { conversation_id: string }) => one.conversation_id)).toContain(id);
  expect((await api('GET', `/v1/read/conversations/${id}?operator=triage`)).body.error.code).toBe('grant_missing');
  expect((await api('GET', '/v1/read/conversations/000000000000000000000000')).status).toBe(404);

  // One whose receipt nobody waits for is found by its command all the same.
  const sent = await act({ wait_ms: 0, idempotency_key: 'later' });
  expect([sent.status, sent.body.status]).toEqual([202, 'pending']);
  const found = async () => expect((await api('GET', sent.body.receipt_url)).body.data).toHaveLength(1);
  await eventually(found, { message: 'the receipt' });
  await serving.stop();
});
