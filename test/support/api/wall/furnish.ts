/** Everything a tenant can have, so that there is something to leak: made through the API, and what only the log can bring by hand. */
import { createHash } from 'node:crypto';
import { createEnvelopeType } from '../../../../src/fibric/avro.ts';
import { createCommandType, createReceiptType } from '../../../../src/fibric/commands/avro.ts';
import { composeCommand } from '../../../../src/fibric/commands/compose-command.ts';
import { makeReceipt } from '../../../../src/fibric/commands/receipt.ts';
import { HEADER } from '../../../../src/kafka/headers.ts';
import type { Append } from '../../../../src/kafka/port.ts';
import { WireEncoder } from '../../../../src/kafka/wire.ts';
import { encodeEntry } from '../../../../src/sinks/ledger/codec.ts';
import { eventFixtures } from '../../event-fixtures.ts';
import { waitFor } from '../../wait-for.ts';
import type { Kind } from './kinds.ts';
import { ORG_KEYS, WALL_ADMIN, type WallAnswer, type WallSite, type WallTenant } from './site.ts';

/** What one tenant has, by kind, and what only it may ever read. */
export interface Inventory {
  readonly tenantId: WallTenant;
  readonly token: string;
  readonly ids: Readonly<Record<Kind, readonly string[]>>;
  /** Texts that nobody else sends: whoever else reads one has read across the wall. */
  readonly canaries: readonly string[];
  /** Requests that were answered under an Idempotency-Key. */
  readonly repeatable: readonly { readonly method: string; readonly url: string; readonly body: unknown }[];
}

const ENVELOPES = 6;
const RECEIPTS = 6;
const hex = (text: string, digits: number) => createHash('sha256').update(text).digest('hex').slice(0, digits);

export async function furnish(site: WallSite, tenantId: WallTenant): Promise<Inventory> {
  const tag = tenantId.slice(2);
  const canary = (what: string): string => (what === 'machine' ? hex(`machine-${tag}`, 24) : `canary-${tag}-${what}`);
  const canaries = ['tenant', 'token', 'subdomain', 'machine', 'rule', 'note', 'held', 'parked', 'agent', 'vendor'].map(
    canary,
  );

  // biome-ignore lint/suspicious/noExplicitAny: answers of every form
  const ask = async (method: string, url: string, body?: unknown, as?: string, headers = {}): Promise<any> => {
    const answer = await site.send({ method, url, token: as ?? token, body, headers });
    if (answer.status >= 300) throw new Error(`${method} ${url}: ${answer.text}`);
    return answer.text.startsWith('{') ? JSON.parse(answer.text) : answer.text;
  };
  let token = '';
  await ask('POST', '/v1/tenants', { id: tenantId, name: canary('tenant') }, WALL_ADMIN);
  const scopes = ['admin'];
  const first = await ask('POST', `/v1/tenants/${tenantId}/tokens`, { name: canary('token'), scopes }, WALL_ADMIN);
  token = first.token;
  const repeatable = [
    { method: 'POST', url: '/v1/tokens', body: { name: 'spare', scopes: ['read_only'] } },
    { method: 'POST', url: '/v1/policies', body: { document: policy(`writes-${tag}`, null) } },
  ];
  const keys = repeatable.map((_, i) => `idem-${tag}-${i}`);
  const spare = await ask('POST', '/v1/tokens', repeatable[0]?.body, token, { 'idempotency-key': keys[0] });
  const install = (name: string, subdomain: string) =>
    ask('POST', '/v1/connectors', {
      ...{ name, role: 'support', api_key: ORG_KEYS[tenantId] },
      config: { subdomain, machine_user: canary('machine') },
    });
  const [prod, test] = [await install(`prod-${tag}`, 'acme'), await install(`test-${tag}`, canary('subdomain'))];
  const writes = await ask('POST', '/v1/policies', repeatable[1]?.body, token, { 'idempotency-key': keys[1] });
  const guard = await ask('POST', '/v1/policies', { document: policy(`guard-${tag}`, canary('rule')) });
  const operators = [`triage-${tag}`, `calls-${tag}`];
  for (const operator of operators) {
    for (const capability of ['conversation.note.write', 'customer.read']) {
      await ask('PUT', '/v1/grants', { operator, capability, connection: prod.id });
    }
  }
  await ask('POST', `/v1/connectors/${prod.id}/backfills`, { since: '2026-01-01' });

  const commands = [1, 2, 3, 4].map((n) => `cmd_${hex(`${tag}-${n}`, 24)}`);
  const eventIds = await appendEvents(site, tenantId, canary('agent'));
  const receiptIds = await appendReceipts(site, tenantId, { connection: prod, operators, commands, canary });
  const waiting = await appendWaiting(site, tenantId, { connection: prod, operators, commands, canary });
  await waitFor(
    async () => {
      const [held, parked] = [await ask('GET', '/v1/approvals'), await ask('GET', '/v1/parked')];
      return held.data.length === 2 && parked.data.length === 2;
    },
    { message: 'what waits to be listed' },
  );

  const paths = [
    'connectors',
    'policies',
    'events',
    'receipts',
    'approvals',
    'parked',
    'tokens',
    'grants',
    'capabilities',
  ];
  const cursors: string[] = [];
  const rows = { events: [] as { id: string }[] };
  for (const path of paths) {
    const page = await ask('GET', `/v1/${path}?limit=1`);
    if (page.next_cursor === null) throw new Error(`one page has all ${path}`);
    cursors.push(page.next_cursor);
    if (path === 'events') rows.events.push(...(await ask('GET', '/v1/events')).data);
  }
  const streams: string[] = [];
  for (const path of ['events', 'receipts']) {
    const text = await ask('GET', `/v1/${path}/stream?since=7d&follow=false`);
    streams.push(...[...text.matchAll(/^id: (\S+)$/gm)].map(([, id]) => id as string));
  }
  if (streams.length < ENVELOPES + RECEIPTS) throw new Error('the streams are not whole');
  const tokens = (await ask('GET', '/v1/tokens')).data as { id: string; hint: string }[];
  return {
    tenantId,
    token,
    repeatable,
    canaries: [...canaries, token, spare.token, ORG_KEYS[tenantId], ...tokens.map(({ hint }) => hint)],
    ids: {
      tenant: [tenantId],
      token: tokens.map(({ id }) => id),
      listing: [prod.id, `prod-${tag}`],
      connector: [prod.id, test.id, `prod-${tag}`, `test-${tag}`],
      connectorName: [`prod-${tag}`, `test-${tag}`],
      policy: [`guard-${tag}`, `writes-${tag}`, guard.id, writes.id],
      document: [policy(`guard-${tag}`, null), policy(`writes-${tag}`, null)],
      operator: operators,
      event: [...eventIds, ...rows.events.map(({ id }) => id)],
      receipt: receiptIds,
      approval: waiting.map(({ id }) => id),
      command: commands,
      entity: ['conversation', 'customer'].flatMap((kind) => site.conversations(tenantId).map((id) => `${kind}:${id}`)),
      idempotencyKey: [...keys, ...commands.map((_, n) => `work-${tag}-${n}`)],
      correlation: [`co_${tag}_1`, `co_${tag}_2`],
      conversation: site.conversations(tenantId),
      customer: site.conversations(tenantId),
      cursor: [...cursors, ...streams],
      secret: [`hook-${tag}-0123456789`],
      vendor: [canary('vendor').replace('canary-', 'vendor-')],
      args: [],
    },
  };
}

function policy(name: string, operator: string | null): string {
  const of = operator === null ? '' : `applies_to: ${operator}\n`;
  return `policy: ${name}\n${of}rules:\n  - allow: conversation.note.write\ndefault: deny\n`;
}

async function append(site: WallSite, records: readonly Append[]): Promise<void> {
  const producer = await site.log.producer({ clientId: 'furnish' });
  await producer.append(records);
  await producer.close();
}

async function appendEvents(site: WallSite, tenantId: string, agent: string): Promise<readonly string[]> {
  const encoder = new WireEncoder({ schemaId: site.ids.envelope, type: createEnvelopeType() as never });
  const kinds = eventFixtures().flatMap(([, { expected }]) => expected);
  const ids: string[] = [];
  for (let n = 0; n < ENVELOPES; n += 1) {
    const kind = kinds[n % kinds.length] as (typeof kinds)[number];
    const digits = hex(`${tenantId}-event-${n}`, 32);
    const id = digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    ids.push(id);
    const payload = { [kind.payload_record]: kind.envelope['payload'] };
    const envelope = { ...kind.envelope, tenant_id: tenantId, event_id: id, agent_id: agent, payload };
    await append(site, [
      {
        topic: site.names.events(tenantId),
        key: Buffer.from(kind.key),
        value: encoder.encode(envelope as never),
        headers: { [HEADER.eventType]: String(kind.envelope['event_type']) },
      },
    ]);
  }
  return ids;
}

interface Behind {
  readonly connection: { readonly id: string; readonly name: string };
  readonly operators: readonly string[];
  readonly commands: readonly string[];
  readonly canary: (what: string) => string;
}

async function appendReceipts(site: WallSite, tenantId: string, behind: Behind): Promise<readonly string[]> {
  const { connection, operators, commands, canary } = behind;
  const encoder = new WireEncoder({ schemaId: site.ids.receipt, type: createReceiptType() as never });
  const ids: string[] = [];
  for (let n = 0; n < RECEIPTS; n += 1) {
    const receiptId = `rc_${hex(`${tenantId}-receipt-${n}`, 32)}`;
    ids.push(receiptId);
    const receipt = makeReceipt({
      receiptId,
      position: `0:${n}`,
      facts: {
        commandId: commands[n % commands.length] as string,
        tenantId,
        connection: connection.name,
        capability: 'conversation.note.write',
        entityKey: `conversation:${site.conversations(tenantId as WallTenant)[n % 3]}`,
        idempotencyKey: `work-${tenantId.slice(2)}-${n}`,
        operator: operators[n % 2] as string,
        agentId: canary('note'),
        planId: null,
        actionId: null,
        eventId: null,
        correlationId: `co_${tenantId.slice(2)}_1`,
        requestedAtMs: null,
        mode: 'live',
      },
      connection: { connectionId: connection.id, resellerId: null, workspaceId: null },
      disposed: {
        outcome: 'applied',
        verdict: { decision: 'ALLOW', rule: 'allow', tier: 1 },
        unchanged: false,
        vendor: { type: 'note', id: canary('vendor') },
      },
      timings: { receivedAtMs: 1, startedAtMs: null, firstSentAtMs: null, lastSentAtMs: null, disposedAtMs: 2 },
    });
    await append(site, [
      {
        topic: site.names.receipts(tenantId),
        key: Buffer.from(receipt.entity_key ?? 'none'),
        value: encoder.encode(receipt as never),
        headers: { [HEADER.commandId]: receipt.command_id },
      },
    ]);
  }
  return ids;
}

/** Two that are held and two that are parked. */
async function appendWaiting(site: WallSite, tenantId: string, behind: Behind) {
  const { connection, operators, commands, canary } = behind;
  const encoder = new WireEncoder({ schemaId: site.ids.command, type: createCommandType() as never });
  const made: { readonly id: string; readonly receiptId: string }[] = [];
  for (const [n, commandId] of commands.entries()) {
    const kind = n < 2 ? 'held' : 'parked';
    const digits = hex(`${tenantId}-waiting-${n}`, 32);
    const conversation = site.conversations(tenantId as WallTenant)[n % 3] as string;
    const composed = composeCommand(
      {
        commandId,
        tenantId,
        connection: connection.name,
        capability: 'conversation.note.write',
        args: { conversation_id: conversation, body: canary(kind) },
        idempotencyKey: `work-${tenantId.slice(2)}-${n}`,
        operator: operators[n % 2] as string,
        correlationId: `co_${tenantId.slice(2)}_2`,
        mode: 'live',
        deadlineMs: null,
      },
      1000,
    );
    if ('problems' in composed) throw new Error(JSON.stringify(composed.problems));
    const entry = {
      kind,
      fingerprint: 'b'.repeat(32),
      receiptId: `rc_${digits}`,
      atMs: 1_000 + n,
      ...(kind === 'held' && { expiresAtMs: Date.parse('2030-01-01T00:00:00Z') }),
      subject: {
        tenantId,
        connectionId: connection.id,
        capability: 'conversation.note.write',
        entityKey: `conversation:${conversation}`,
        idempotencyKey: `work-${tenantId.slice(2)}-${n}`,
        commandId,
      },
      policy: { policy: `guard-${tenantId.slice(2)}`, version: 1, rule: canary('rule'), tier: 2 },
      record: { key: composed.key, value: encoder.encode(composed.wire as never), offset: n, appendedAtMs: 1000 },
    };
    await append(site, [
      { topic: site.names.ledger, key: Buffer.from(digits), value: encodeEntry(entry as never), headers: {} },
    ]);
    made.push({ id: `${kind === 'held' ? 'apr' : 'prk'}_${digits}`, receiptId: `rc_${digits}` });
  }
  return made;
}

export type { WallAnswer };
