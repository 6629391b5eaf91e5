/** The sink as a service: commands on a real broker, policies and grants from the control topic, the simulated Kustomer. */
import { randomUUID } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { type Documents, openDocuments } from '../../../src/app/control/documents.ts';
import { openGrantStore } from '../../../src/app/control/grant-store.ts';
import { openPolicyStore } from '../../../src/app/control/policy-store.ts';
import { lookUpSchemaIds, openRegistry } from '../../../src/app/schemas.ts';
import { createLogger } from '../../../src/app/telemetry.ts';
import { Secret } from '../../../src/base/secret.ts';
import { createCommandType, createReceiptType } from '../../../src/fibric/commands/avro.ts';
import { type CommandInput, composeCommand } from '../../../src/fibric/commands/compose-command.ts';
import type { WireReceipt } from '../../../src/fibric/commands/receipt-fields.ts';
import { CONNECTION_SETTINGS } from '../../../src/fibric/connection.ts';
import { CAPABILITIES } from '../../../src/fibric/policy/capabilities.ts';
import { parsePolicy } from '../../../src/fibric/policy/parse.ts';
import { HEADER } from '../../../src/kafka/headers.ts';
import type { LogProducer } from '../../../src/kafka/port.ts';
import { WireEncoder } from '../../../src/kafka/wire.ts';
import type { Org } from '../../../src/simulator/org.ts';
import { createSimulator } from '../../../src/simulator/server.ts';
import { eventually, Installation, type Serving } from '../../support/installation.ts';
import { waitFor } from '../../support/wait-for.ts';

const TENANT = 't_sink';
const CONNECTION = 'cn_sink';
const API_KEY = 'canary-key-5b1f9d';
const OPERATOR = 'op-support';
const BODY = 'canary-body-77c1';
const WIRE_HEADER_BYTES = 5;
const POLICY = `policy: support-writes
rules:
  - allow: conversation.note.write
    single_flight: conversation_id
  - allow: conversation.status.write
    limit: { per: hour, max: 1 }
default: deny
`;

interface Site {
  readonly site: Installation;
  readonly org: Org;
  readonly documents: Documents;
  readonly conversations: readonly string[];
  api(path: string, body: object): Promise<void>;
  apply(policy: string): Promise<void>;
  grant(...capabilities: readonly string[]): Promise<void>;
  /** Appends commands and resolves to their receipts, in this order. */
  send(...inputs: readonly Partial<CommandInput>[]): Promise<readonly WireReceipt[]>;
  append(...inputs: readonly Partial<CommandInput>[]): Promise<readonly string[]>;
  /** All there are of the command. */
  receiptsOf(commandId: string): readonly WireReceipt[];
}

async function siteWith(env: Readonly<Record<string, string>> = {}): Promise<Site> {
  const limits = { orgPerMinute: 1_000_000, searchPerMinute: 1_000_000 };
  // So many that each partition has some: their ids, and so their partitions, are others at each run.
  const simulator = createSimulator({ orgs: [{ name: 'acme', apiKey: API_KEY, conversations: 40, limits }] });
  const { url } = await simulator.listen();
  onTestFinished(() => simulator.close());
  const org = simulator.orgs[0] as Org;
  const site = await Installation.open({ tenants: 1, env: { COMMAND_PARTITIONS: '2', ...env } });
  const connection = {
    ...{ connectionId: CONNECTION, tenantId: TENANT, resellerId: null, workspaceId: null, name: 'kustomer-prod' },
    ...{ subdomain: 'acme', orgId: null, apiBaseUrl: url, hasApiKey: true, startedAtMs: Date.now() },
    ...{ webhookId: null, previousWebhookId: null },
    settings: { ...CONNECTION_SETTINGS, machineUserId: org.machineUserId },
  };
  await site.store.add({ connection, token: new Secret('token'), apiKey: new Secret(API_KEY), dropOld: false });
  const logger = createLogger('silent');
  const documents = await openDocuments({ log: site.log, topic: site.names.control, logger });
  onTestFinished(() => documents.close());
  const policies = openPolicyStore(documents, site.log.clock);
  const grants = openGrantStore(documents, site.log.clock);
  const conversations = [...org.organisation.conversations.values()].map(({ id }) => id);
  const receipts: WireReceipt[] = [];
  const producer = await producerOf(site);
  const encode = await commandEncoder(site);
  const following = follow(site, receipts);

  const append = async (...inputs: readonly Partial<CommandInput>[]): Promise<readonly string[]> => {
    const composed = inputs.map((input) => {
      const commandId = `cmd-${randomUUID()}`;
      const made = composeCommand(
        {
          ...{ commandId, tenantId: TENANT, connection: 'kustomer-prod', operator: OPERATOR, mode: 'live' },
          ...{ capability: 'conversation.note.write', args: { conversation_id: conversations[0], body: BODY } },
          ...{ idempotencyKey: commandId, correlationId: `corr-${commandId}` },
          ...input,
        },
        Date.now(),
      );
      if ('problems' in made) throw new Error(JSON.stringify(made.problems));
      return { commandId: made.wire.command_id, key: Buffer.from(made.key), value: encode(made.wire) };
    });
    // As the API does it: so whatever was granted before is known to the sink when the command is judged.
    const headers = { [HEADER.controlAt]: String(documents.controlAt()) };
    await producer.append(composed.map(({ key, value }) => ({ topic: site.names.commands, key, value, headers })));
    return composed.map(({ commandId }) => commandId);
  };
  const receiptsOf = (commandId: string) => receipts.filter((one) => one.command_id === commandId);
  return {
    site,
    org,
    documents,
    conversations,
    append,
    receiptsOf,
    api: async (path, body) => {
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
      expect(answer.status).toBeLessThan(300);
    },
    apply: async (text) => {
      const parsed = parsePolicy(text, CAPABILITIES);
      if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
      await policies.apply(TENANT, parsed.document, 'test');
    },
    grant: async (...capabilities) => {
      for (const capability of capabilities) {
        await grants.grant({
          ...{ tenantId: TENANT, connectionId: CONNECTION, operator: OPERATOR, by: 'test' },
          capability,
        });
      }
    },
    send: async (...inputs) => {
      const ids = await append(...inputs);
      following.begin();
      await waitFor(() => ids.every((id) => receiptsOf(id).length > 0), {
        message: `receipts of ${ids.length} commands`,
        deadlineMs: 40_000,
      });
      return ids.map((id) => receiptsOf(id)[0] as WireReceipt);
    },
  };
}

async function producerOf({ log }: Installation): Promise<LogProducer> {
  const producer = await log.producer({ clientId: 'test' });
  onTestFinished(() => producer.close());
  return producer;
}

async function commandEncoder({ settings, log }: Installation) {
  const { command } = await lookUpSchemaIds(['command'], {
    registry: openRegistry(settings),
    clock: log.clock,
    logger: createLogger('silent'),
    deadlineMs: 10_000,
    signal: new AbortController().signal,
  });
  const encoder = new WireEncoder({ schemaId: command as number, type: createCommandType() });
  return encoder.encode.bind(encoder);
}

/** The topic is made by the sink, when it first has something to say. */
function follow({ log, names, settings }: Installation, receipts: WireReceipt[]): { begin(): void } {
  const type = createReceiptType();
  const topic = names.receipts(TENANT);
  let begun = false;
  const begin = async (): Promise<void> => {
    await waitFor(async () => (await log.admin.describeTopics([topic])).length > 0, {
      message: topic,
      deadlineMs: 40_000,
    });
    const reader = await log.reader({ clientId: 'receipts', topics: [topic] });
    onTestFinished(() => reader.close());
    for (let partition = 0; partition < settings.eventPartitions; partition += 1) {
      reader.follow({
        ...{ topic, partition, fromOffset: 0 },
        failed: (error) => {
          throw error;
        },
        records: ({ records }) => {
          for (const { value } of records) {
            receipts.push(type.fromBuffer((value as Buffer).subarray(WIRE_HEADER_BYTES)));
          }
        },
      });
    }
  };
  return {
    begin: () => {
      if (begun) return;
      begun = true;
      void begin();
    },
  };
}

const shapes = (receipts: readonly WireReceipt[]) =>
  receipts.map(({ verdict, outcome, error }) => `${verdict.decision} ${outcome} ${error?.code ?? '-'}`);

async function metric({ url }: Serving, line: RegExp): Promise<void> {
  const check = async () => expect(await (await fetch(`${url}/metrics`)).text()).toMatch(line);
  await eventually(check, { message: String(line), deadlineMs: 10_000 });
}

test('commands are judged, carried out once and receipted, over a killed process and its successor', {
  timeout: 150_000,
}, async () => {
  const { site, org, conversations, apply, grant, send, append, receiptsOf } = await siteWith();
  const [first, second] = conversations;
  const note = { args: { conversation_id: first, body: BODY } };
  const before = await site.serve({ roles: 'sink' });

  // Closed by default: no policy, then no grant.
  expect(shapes(await send({}))).toEqual(['BLOCK refused policy_blocked']);
  await apply(POLICY);
  const [ungranted] = await send({});
  expect(ungranted?.error).toMatchObject({ code: 'grant_missing', message: expect.stringMatching(/no grant/) });
  await grant('conversation.note.write', 'conversation.status.write');
  expect(shapes(await send({ mode: 'dry_run' }))).toEqual(['ALLOW dry_run -']);
  expect(org.writes.list()).toHaveLength(0);

  // Live, and again; another write of no rule; a limit.
  const [live] = await send({ ...note, idempotencyKey: 'order-1' });
  expect(live).toMatchObject({
    outcome: 'applied',
    verdict: { decision: 'ALLOW', rule: 'allow: conversation.note.write' },
    policy: { name: 'support-writes', version: 1 },
    vendor: { type: 'note', id: org.writes.list()[0]?.objectId },
    connection_id: CONNECTION,
  });
  const [again] = await send({ ...note, idempotencyKey: 'order-1' });
  expect(again).toMatchObject({ outcome: 'deduplicated', first_receipt_id: live?.receipt_id });
  const assignment = {
    capability: 'conversation.assignment.write',
    args: { conversation_id: first, mode: 'set', users: [] },
  };
  const [unruled] = await send(assignment);
  expect(unruled).toMatchObject({ outcome: 'refused', verdict: { decision: 'BLOCK', rule: null } });
  const status = (conversation_id: string | undefined) => ({
    capability: 'conversation.status.write',
    args: { conversation_id, status: 'done' },
  });
  expect(shapes(await send(status(first)))).toEqual(['ALLOW applied -']);
  expect(shapes(await send(status(second)))).toEqual(['BLOCK refused limit_reached']);
  expect(shapes(await send({ connection: 'cn_other' }))).toEqual(['BLOCK refused connection_unknown']);
  expect(org.writes.list()).toHaveLength(2);
  await metric(before, /^cnk_sink_commands_total\{decision="ALLOW",outcome="applied"\} 2$/m);
  await metric(before, /^cnk_sink_ledger_entries \d+$/m);
  await metric(before, /^cnk_sink_lag_records\{partition="1"\} \d+$/m);

  // Killed with commands on their way: the next takes them up, and nothing is written twice.
  // What was under way is read back first, which takes as long as Kustomer may need to show it.
  const keys = Array.from({ length: 16 }, (_, at) => `flood-${at}`);
  const flood = keys.map((idempotencyKey, at) => ({
    args: { conversation_id: conversations[at % 4], body: `${BODY} ${at}` },
    idempotencyKey,
  }));
  const ids = await append(...flood, ...flood);
  await waitFor(() => org.writes.list().length > 4, { message: 'some of them', everyMs: 1 });
  before.process.signal('SIGKILL');
  await before.process.waitForExit();
  const after = await site.serve({ roles: 'sink' });
  await waitFor(() => ids.every((id) => receiptsOf(id).length > 0), { message: 'all receipts', deadlineMs: 90_000 });
  expect(org.writes.list()).toHaveLength(2 + keys.length);
  expect(ids.filter((id) => receiptsOf(id).length !== 1)).toEqual([]);
  const outcomes = ids.map((id) => receiptsOf(id)[0]?.outcome);
  expect(outcomes.filter((outcome) => outcome === 'applied')).toHaveLength(keys.length);
  expect(outcomes.filter((outcome) => outcome === 'deduplicated')).toHaveLength(keys.length);
  expect(shapes(await send({ ...note, idempotencyKey: 'order-1' }))).toEqual(['DEDUP deduplicated -']);
  await after.stop();

  const lines = [...before.lines('sink.disposed'), ...after.lines('sink.disposed')];
  expect(lines.find(({ receiptId }) => receiptId === live?.receipt_id)).toMatchObject({
    ...{ tenantId: TENANT, connectionId: CONNECTION, decision: 'ALLOW', outcome: 'applied', attempts: 1 },
    ...{ policy: 'support-writes', policyVersion: 1, operator: OPERATOR, mode: 'live' },
  });
  for (const { process } of [before, after]) {
    expect(process.output()).not.toContain(API_KEY);
    expect(process.output()).not.toContain(BODY);
  }
});

test('several threads carry out commands side by side; a key that is refused marks its connection until it is well', async () => {
  const { site, org, conversations, apply, grant, send, api } = await siteWith({ THREADS: '2' });
  await apply(POLICY);
  await grant('conversation.note.write');
  const serving = await site.serve({ roles: 'sink' });
  // Ready is who has joined; one of them has everything until the other has its share.
  const owners = () => new Map(serving.lines('sink.opened').map(({ partition, thread }) => [partition, thread]));
  await waitFor(() => new Set(owners().values()).size === 2, { message: 'a partition for each thread' });
  const all = conversations.map((conversation_id) => ({ args: { conversation_id, body: BODY } }));
  expect(new Set(shapes(await send(...all)))).toEqual(new Set(['ALLOW applied -']));
  expect(org.writes.list()).toHaveLength(all.length);
  // Each thread had its share: it is a member of its own.
  const threads = serving.lines('sink.disposed').map(({ thread }) => thread);
  expect(new Set(threads)).toEqual(new Set([0, 1]));

  await api('/_simulator/faults', {
    org: 'acme',
    requests: [
      { method: 'POST', path: '/v1/conversations/*/notes', kind: 'status', status: 403, when: 'before', count: 1 },
    ],
  });
  const [refused] = await send({});
  expect(refused).toMatchObject({ outcome: 'failed', error: { code: 'kustomer_permission' } });
  expect(refused?.error?.message).toContain('org.permission.note.create');
  await metric(serving, /^cnk_sink_faulty_connections\{fault="role_missing"\} 1$/m);
  expect(shapes(await send({}))).toEqual(['ALLOW applied -']);
  await metric(serving, /^cnk_sink_faulty_connections\{fault="role_missing"\} 0$/m);
  await serving.stop();
});

test('a policy that cannot be read closes its tenant at once, in a running sink', async () => {
  const { site, org, apply, grant, send } = await siteWith();
  await apply(POLICY);
  await grant('conversation.note.write');
  const serving = await site.serve({ roles: 'sink' });
  expect(shapes(await send({}))).toEqual(['ALLOW applied -']);
  const producer = await producerOf(site);
  const key = Buffer.from(`policy/${TENANT}/newer`);
  await producer.append([{ topic: site.names.control, partition: 0, key, value: Buffer.from('{"version":2}') }]);
  await waitFor(() => serving.lines('control.document_unreadable').length > 0, { message: 'the damage to be told' });
  const [closed] = await send({});
  expect(closed).toMatchObject({ outcome: 'refused', error: { code: 'policy_blocked' } });
  expect(closed?.error?.message).toContain('newer');
  expect(org.writes.list()).toHaveLength(1);
  await serving.stop();
});

test('stopped with a write under way, it waits for the answer, writes the receipt and begins nothing new', async () => {
  const { site, org, conversations, apply, grant, append, send, api, receiptsOf } = await siteWith();
  await apply(POLICY);
  await grant('conversation.note.write');
  const before = await site.serve({ roles: 'sink' });
  expect(shapes(await send({}))).toEqual(['ALLOW applied -']);
  await api('/_simulator/settings', { org: 'acme', service: { minMs: 1500 } });
  const [underWay, behind] = await append(
    { args: { conversation_id: conversations[0], body: `${BODY} under way` } },
    { args: { conversation_id: conversations[0], body: `${BODY} behind it` } },
  );
  await waitFor(() => org.writes.list().length === 2, { message: 'the write under way', everyMs: 5 });
  await before.stop();
  // What is answered in time is written down by whom it was answered; nobody has to read it back.
  await waitFor(() => receiptsOf(underWay as string).length > 0, { message: 'its receipt' });
  expect(receiptsOf(underWay as string)).toMatchObject([{ outcome: 'applied', reconciled: false, attempts: 1 }]);
  expect(receiptsOf(behind as string)).toEqual([]);
  expect(org.writes.list()).toHaveLength(2);
  await api('/_simulator/settings', { org: 'acme', service: {} });
  const after = await site.serve({ roles: 'sink' });
  await waitFor(() => receiptsOf(behind as string).length > 0, {
    message: 'the receipt behind it',
    deadlineMs: 60_000,
  });
  expect(receiptsOf(behind as string)).toMatchObject([{ outcome: 'applied' }]);
  expect(org.writes.list()).toHaveLength(3);
  await after.stop();
});
