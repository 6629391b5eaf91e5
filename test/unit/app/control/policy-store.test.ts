import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Documents, openDocuments } from '../../../../src/app/control/documents.ts';
import { openGrantStore } from '../../../../src/app/control/grant-store.ts';
import { MAX_POLICY_BYTES, POLICY_DOCUMENTS } from '../../../../src/app/control/policy-record.ts';
import { openPolicyStore } from '../../../../src/app/control/policy-store.ts';
import { CAPABILITIES } from '../../../../src/fibric/policy/capabilities.ts';
import type { PolicyDocument } from '../../../../src/fibric/policy/document.ts';
import { evaluatePolicy } from '../../../../src/fibric/policy/evaluate.ts';
import { parsePolicy } from '../../../../src/fibric/policy/parse.ts';
import { currentVersion, MAX_POLICIES, type Policy } from '../../../../src/fibric/policy/versions.ts';
import { createMemoryLog, type MemoryLog } from '../../../../src/kafka/memory/index.ts';
import { waitFor } from '../../../support/wait-for.ts';

const TOPIC = 'fibric.control';
const CONNECTION = { tenantId: 't_a', connectionId: 'cn_a', hasApiKey: true };
const OPERATOR = 'op-support';

let log: MemoryLog;
let opened: Documents[];

beforeEach(async () => {
  log = createMemoryLog();
  opened = [];
  await log.admin.createTopics([{ name: TOPIC, partitions: 1, config: { 'cleanup.policy': 'compact' } }]);
});

afterEach(async () => {
  for (const documents of opened) await documents.close();
  await log.close();
});

async function open() {
  const process = log.connect();
  const documents = await openDocuments({
    log: process,
    topic: TOPIC,
    logger: pino({ level: 'silent' }),
    timeoutMs: 5_000,
  });
  opened.push(documents);
  return { policies: openPolicyStore(documents, process.clock), grants: openGrantStore(documents, process.clock) };
}

async function append(key: string, value: string): Promise<void> {
  const producer = await log.producer({ clientId: 'test' });
  await producer.append([{ topic: TOPIC, partition: 0, key: Buffer.from(key), value: Buffer.from(value) }]);
  await producer.close();
}

function policy(name: string, ...rules: string[]): PolicyDocument {
  const lines = rules.map((rule) => `  - ${rule}`).join('\n');
  const parsed = parsePolicy(`policy: ${name}\nrules:\n${lines}\ndefault: deny\n`, CAPABILITIES);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.document;
}

const NOTES = policy('notes', 'allow: conversation.note.write');
const MANY = policy(
  'notes',
  'allow: conversation.note.write',
  '{ allow: call.status.write, limit: { per: hour, max: 5 }, single_flight: call_id, max_value: 7.5 }',
  'deny: customer.read',
);

describe('the policy store', () => {
  it('applies, versions, disables, deletes and brings back, the same in every process and after a restart', async () => {
    const [mine, other] = [(await open()).policies, (await open()).policies];
    expect(await mine.apply('t_a', NOTES, 'me')).toMatchObject({ outcome: 'created', policy: { status: 'active' } });
    expect(await mine.apply('t_a', NOTES, 'me')).toMatchObject({ outcome: 'unchanged' });
    await waitFor(() => other.set('t_a').has('notes'), { message: 'the other process knows it' });
    expect(await other.apply('t_a', MANY, 'you')).toMatchObject({ outcome: 'changed' });
    await waitFor(() => mine.of('t_a').byCapability.has('call.status.write'), { message: 'the change is seen' });
    expect(await mine.disable('t_a', 'notes')).toMatchObject({ outcome: 'disabled' });
    expect(mine.of('t_a').policies).toBe(0);
    expect(await mine.delete('t_a', 'notes')).toMatchObject({ outcome: 'deleted' });
    expect(await mine.disable('t_a', 'notes')).toMatchObject({ outcome: 'unknown' });
    expect(await mine.delete('t_a', 'none')).toMatchObject({ outcome: 'unknown', policy: null });
    expect(await mine.apply('t_a', NOTES, 'me')).toMatchObject({ outcome: 'changed' });
    log.compact(TOPIC);
    const later = (await open()).policies;
    expect(later.set('t_a')).toEqual(mine.set('t_a'));
    const versions = later.set('t_a').get('notes')?.versions ?? [];
    expect(versions.map(({ version, appliedBy }) => [version, appliedBy])).toEqual([
      [1, 'me'],
      [2, 'you'],
      [3, 'me'],
    ]);
    expect(versions[1]?.document).toEqual(MANY);
    expect(later.set('t_b').size).toBe(0);
  });

  it('gives the same compiled policies until one of the tenant changes', async () => {
    const { policies } = await open();
    await policies.apply('t_a', NOTES, 'me');
    const before = policies.of('t_a');
    await policies.apply('t_b', NOTES, 'me');
    expect(policies.of('t_a')).toBe(before);
    await policies.apply('t_a', MANY, 'me');
    expect(policies.of('t_a')).not.toBe(before);
  });

  it('K2: gives no version number twice, whoever applies in the same moment', async () => {
    const stores = await Promise.all([0, 1, 2].map(async () => (await open()).policies));
    const contents = Array.from({ length: 9 }, (_, at) =>
      policy('notes', `{ allow: conversation.note.write, max_value: ${at} }`),
    );
    const changes = await Promise.all(
      contents.map((document, at) => (stores[at % 3] as (typeof stores)[number]).apply('t_a', document, `p${at % 3}`)),
    );
    const numbers = changes.map(({ policy: made }) => (made === null ? 0 : currentVersion(made).version));
    expect(numbers.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('K2: never has more policies in force than the bound, whoever applies in the same moment', async () => {
    const [one, other] = [(await open()).policies, (await open()).policies];
    for (let at = 0; at < MAX_POLICIES - 1; at += 1)
      await one.apply('t_a', policy(`p-${at}`, 'deny: customer.read'), 'me');
    await waitFor(() => other.set('t_a').size === MAX_POLICIES - 1, { message: 'the other process knows all' });
    const outcomes = await Promise.all([
      one.apply('t_a', policy('last', 'deny: customer.read'), 'me'),
      other.apply('t_a', policy('too-many', 'deny: customer.read'), 'me'),
    ]);
    expect(outcomes.map(({ outcome }) => outcome).toSorted()).toEqual(['created', 'full']);
    expect((await open()).policies.of('t_a').policies).toBe(MAX_POLICIES);
  });

  it.each([
    ['damaged', 'no json'],
    ['of a newer version', '{"version":2}'],
    [
      'with a rule it does not understand',
      JSON.stringify(POLICY_DOCUMENTS.encode(sample())).replace('"kind":"deny"', '"kind":"warn"'),
    ],
    [
      'with a field it does not understand',
      JSON.stringify(POLICY_DOCUMENTS.encode(sample())).replace('"max_value"', '"max_wealth"'),
    ],
  ])('K1: closes the tenant of a policy %s, and no other', async (_, damage) => {
    const { policies, grants } = await open();
    for (const tenantId of ['t_a', 't_b']) await policies.apply(tenantId, NOTES, 'me');
    await grants.grant({
      tenantId: 't_a',
      connectionId: 'cn_a',
      operator: OPERATOR,
      capability: 'conversation.note.write',
      by: 'me',
    });
    const decide = (tenantId: string) =>
      evaluatePolicy(
        { capability: 'conversation.note.write', operator: OPERATOR, args: {}, value: null },
        { policies: policies.of(tenantId), grants: grants.of(CONNECTION), nowMs: 0, used: () => 0 },
      );
    expect(decide('t_a').decision).toBe('ALLOW');
    await append('policy/t_a/forbids', damage);
    await waitFor(() => policies.unreadable('t_a').length === 1, { message: 'the damage is seen' });
    expect(decide('t_a')).toMatchObject({
      decision: 'BLOCK',
      cause: 'unreadable',
      reason: expect.stringContaining('forbids'),
    });
    expect(decide('t_b').decision).toBe('ALLOW');
    await expect(policies.apply('t_a', policy('forbids', 'deny: customer.read'), 'me')).rejects.toMatchObject({
      code: 'document_unreadable',
    });
    // Others can be changed; the tenant stays closed until this one is gone.
    await policies.apply('t_a', MANY, 'me');
    expect(decide('t_a').cause).toBe('unreadable');
    expect(await policies.discard('t_a', 'forbids')).toBe(true);
    expect(decide('t_a').decision).toBe('ALLOW');
  });

  it('drops old versions before the document becomes too large, and never the newest', () => {
    const big = sample();
    const [version] = big.versions;
    if (version === undefined) return expect.unreachable();
    const versions = Array.from({ length: 100 }, (_, at) => ({
      ...version,
      version: at + 1,
      appliedBy: 'x'.repeat(20_000),
    }));
    const read = POLICY_DOCUMENTS.parse(JSON.parse(JSON.stringify(POLICY_DOCUMENTS.encode({ ...big, versions }))));
    expect(JSON.stringify(POLICY_DOCUMENTS.encode(read)).length).toBeLessThan(MAX_POLICY_BYTES + 1_000);
    expect(read.versions.at(-1)?.version).toBe(100);
    expect(read.versions.length).toBeGreaterThan(20);
  });
});

function sample(): Policy {
  const document = MANY;
  const version = { version: 1, hash: 'h', document, appliedAtMs: 1, appliedBy: 'me' };
  return { name: 'forbids', status: 'active', versions: [version], createdAtMs: 1, updatedAtMs: 1 };
}

describe('the grant store', () => {
  const request = (over: object = {}) => ({
    tenantId: 't_a',
    connectionId: 'cn_a',
    operator: OPERATOR,
    capability: 'conversation.note.write',
    by: 'me',
    ...over,
  });

  it('grants, revokes and lists, and grants nothing by itself', async () => {
    const { grants } = await open();
    expect(grants.of(CONNECTION).granted.size).toBe(0);
    await grants.grant(request());
    await grants.grant(request({ capability: 'call.status.write' }));
    const first = grants.of(CONNECTION);
    expect([...(first.granted.get(OPERATOR) ?? [])]).toEqual(['call.status.write', 'conversation.note.write']);
    expect(grants.of(CONNECTION)).toBe(first);
    expect(grants.of({ ...CONNECTION, connectionId: 'cn_b' }).granted.size).toBe(0);
    expect(grants.of({ ...CONNECTION, tenantId: 't_b' }).granted.size).toBe(0);
    expect(grants.list('t_a')).toMatchObject([{ connectionId: 'cn_a', operator: OPERATOR, by: 'me' }]);
    await grants.revoke(request());
    await grants.revoke(request({ operator: 'nobody' }));
    await grants.revoke(request({ capability: 'call.status.write' }));
    expect(grants.of(CONNECTION).granted.size).toBe(0);
    expect(grants.list('t_a')).toEqual([]);
  });

  it('exposes nothing of a connection without a key, and takes it back when the key goes', async () => {
    const { grants } = await open();
    await grants.grant(request());
    expect([...grants.of(CONNECTION).exposed]).toEqual(CAPABILITIES.map(({ name }) => name));
    expect(grants.of({ ...CONNECTION, hasApiKey: false }).exposed.size).toBe(0);
    expect(grants.of(CONNECTION).exposed.size).toBe(CAPABILITIES.length);
  });

  it.each([
    { capability: 'conversation.delete' },
    { operator: 'a/b' },
    { operator: '' },
    { tenantId: 't/a' },
    { connectionId: '' },
  ])('refuses %j', async (over) => {
    const { grants } = await open();
    await expect(grants.grant(request(over))).rejects.toMatchObject({ code: 'config_invalid' });
    expect(grants.list('t_a')).toEqual([]);
  });

  it('forgets all of a connection, and takes an unreadable grant for none', async () => {
    const { grants } = await open();
    await grants.grant(request());
    await grants.grant(request({ connectionId: 'cn_b' }));
    await append('grant/t_a/cn_a/op-other', '{"version":2,"capabilities":["conversation.note.write"]}');
    await grants.grant(request({ operator: 'op-third' }));
    expect([...grants.of(CONNECTION).granted.keys()].toSorted()).toEqual([OPERATOR, 'op-third']);
    await grants.forget(CONNECTION);
    expect(grants.of(CONNECTION).granted.size).toBe(0);
    expect(grants.list('t_a').map(({ connectionId }) => connectionId)).toEqual(['cn_b']);
    expect(opened[0]?.health().detail.unreadable).toEqual([]);
  });
});
