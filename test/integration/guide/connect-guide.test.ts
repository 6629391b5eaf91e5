/** The guide "Connect Kustomer", followed line by line, every row of its table of failures included. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { agentAnswers, type Case, customerThanks, customerWrites, isLate } from '../../../src/app/demo/happenings.ts';
import { requestFaultsSchema } from '../../../src/simulator/requests/faults.ts';
import { eventually } from '../../support/installation.ts';
import { waitFor } from '../../support/wait-for.ts';
import { expectNoSecret } from './canary.ts';
import { GuideHouse } from './house.ts';
import {
  ADD,
  APPLY,
  addWith,
  CAPABILITIES,
  CONTRACT,
  DRY_RUN,
  EVENT_TYPES,
  FURTHER_ROLES,
  LISTED_ROLES,
  LOGIN,
  POLICY,
  SEARCH,
  TAIL,
  VALIDATE,
  WHOAMI,
} from './printed.ts';

const ROLES = [...LISTED_ROLES, ...FURTHER_ROLES];
const READING_ROLES = ROLES.filter((role) => role !== 'org.permission.note.create');
const QUICK = { subdomain: 'acme', poll_interval: '5s' };
/** A poll or two of those, and the seconds an organisation asks to wait. */
const POLLED_MS = 30_000;

test('the connect guide, line by line', { timeout: 150_000 }, async () => {
  const house = await GuideHouse.open();
  const token = await prerequisites(house);
  await installing(house);
  await granting(house);
  const about = await verifying(house);
  await failures(house, about);
  await readOnly(house, about);
  await expectNoSecret(house, token);
  await house.serving.stop();
});

async function prerequisites(house: GuideHouse): Promise<string> {
  const admin = { env: { FIBRIC_TOKEN: house.adminToken, FIBRIC_ENDPOINT: house.serving.url } };
  expect((await house.type('fibric tenants create Acme --id t_acme', admin)).code).toBe(0);
  const made = await house.type('fibric tokens create laptop --tenant t_acme --scopes admin', admin);
  const token = made.out.trim();
  expect(token).toMatch(/^sk_live_[0-9A-Za-z]{40}$/);
  const login = await house.type(LOGIN, { input: token, env: { FIBRIC_ENDPOINT: house.serving.url } });
  expect([login.code, login.text]).toEqual([0, expect.stringContaining(`Logged in to ${house.serving.url}.`)]);
  await house.expect(WHOAMI, 0, [/^tenant +Acme \(t_acme\)$/m, /^token +laptop \(key_\w+\)$/m]);
  return token;
}

/** "Create a role-scoped API key" and "Install the connector". */
async function installing(house: GuideHouse): Promise<void> {
  await house.expect(SEARCH, 0, [/^cn-kustomer +support/m]);
  const cut = house.freshKey(ROLES).slice(0, -4);
  house.keys.push(cut);
  await house.expect(ADD, 1, ['Probe: error', '401 Unauthorized', 're-run `fibric connectors add`'], cut);
  await house.expect(
    ADD,
    0,
    [
      'Probe: degraded',
      /FAIL +search .*org\.permission\.search/,
      /warn +webhook /,
      /ok +write_notes/,
      /ok +change_conv/,
    ],
    house.freshKey(LISTED_ROLES),
  );
  await house.expect(
    ADD,
    0,
    ['kustomer-prod (cn_', 'connected, bound to the role support', 'Probe: ready', 'Installing grants nothing'],
    house.freshKey(ROLES),
  );
  const shown = await house.expect('fibric connectors show kustomer-prod', 0, [
    /^subdomain +acme$/m,
    /^poll_interval +60s$/m,
    `${house.serving.url}/webhooks/kustomer/cn_`,
  ]);
  expect(shown.text).not.toContain('backfill_since');
  const key = house.keys.at(-1);
  const refusals: readonly (readonly [config: object, says: string])[] = [
    [{ colour: 'red' }, 'config.colour'],
    [{ subdomain: 'acme', poll: '5s' }, 'config.poll'],
    [{ subdomain: 'acme', poll_interval: 'often' }, 'config.poll_interval'],
    [{ subdomain: 'acme', backfill_since: 'yesterday' }, 'config.backfill_since'],
    [{ subdomain: 'acme', api_key: 'typed-here-by-mistake' }, 'credential_in_config'],
  ];
  await Promise.all(refusals.map(([config, says]) => house.expect(addWith(config), 2, [says], key)));
  // A new connection needs its subdomain.
  await house.expect(addWith({}).replace('kustomer-prod', 'kustomer-other'), 2, ['config.subdomain'], key);
  expect((await house.json('fibric connectors list')).data).toHaveLength(1);
}

/** "Grant capabilities". */
async function granting(house: GuideHouse): Promise<void> {
  const capabilities = [
    'conversation.read',
    'customer.read',
    'conversation.note.write',
    'conversation.status.write',
    'conversation.assignment.write',
    'call.status.write',
  ];
  // `ready` may be a look later than the install: the one under way found the key before it.
  await eventually(
    async () => {
      const { out } = await house.expect(CAPABILITIES, 0, []);
      const rows = out.split('\n').slice(1, -1);
      expect(rows.map((line) => line.split(/ {2,}/))).toEqual(
        capabilities.map((capability) => [capability, 'cn-kustomer', 'ready', '-']),
      );
    },
    { message: 'every capability ready', everyMs: 500 },
  );
  for (const capability of ['conversation.read', 'conversation.note.write']) {
    await house.expect(`fibric capabilities grant ${capability} --operator triage-analyst`, 0, ['triage-analyst has']);
  }
  await house.expect(CAPABILITIES, 0, [/^conversation\.note\.write +cn-kustomer +ready +triage-analyst$/m]);
  await house.expect(DRY_RUN, 6, [/^verdict +BLOCK$/m, 'A block here is the system working.']);
  writeFileSync(join(house.home, 'policy.yaml'), POLICY);
  await house.expect(APPLY, 0, ['support-writes: version 1, active (created)', '100 per hour', 'conversation_id']);
  await house.expect(VALIDATE, 0, ['support-writes']);
  await house.expect(APPLY, 0, ['unchanged']);
  expect(house.writes()).toBe(0);
}

/** "Verify events are flowing". */
async function verifying(house: GuideHouse): Promise<Case> {
  const tail = await house.tail(TAIL);
  const lineOf = (type: string): RegExp =>
    new RegExp(`^\\[\\d\\d:\\d\\d:\\d\\d\\] envelope ${type.replaceAll('.', '\\.')} src=kustomer `, 'm');
  const shows = (type: string) =>
    house.until(() => lineOf(type).test(tail.text()), `${type} in the tail`, { deadlineMs: POLLED_MS });
  const about = customerWrites(house.perform);
  await shows('conversation.message.created');
  await waitFor(() => isLate(house.org, about), { message: 'the SLA to be breached' });
  agentAnswers(house.perform, about);
  customerThanks(house.perform, about);
  // "You tune the poll interval": a minute is long for what only polls find.
  await house.expect(addWith(QUICK), 0, ['Probe: ready'], house.keys.at(-1));
  await house.expect('fibric connectors show kustomer-prod', 0, [/^poll_interval +5s$/m]);
  for (const [type] of EVENT_TYPES) await shows(type);
  await waitFor(() => /status\.changed .*reopened=true/.test(tail.text()), { message: 'the conversation reopened' });
  expect(await tail.stop()).toBe(0);
  const ways = await waysOf(house);
  for (const [type, kind] of EVENT_TYPES) {
    // A change of a customer comes by webhook too, where there is one; without it by poll: see the row on lagging.
    if (type !== 'customer.updated') expect([type, ways(type)]).toEqual([type, expect.arrayContaining([kind])]);
  }
  await house.expect(DRY_RUN, 0, [
    'Dry run of note.write (conversation.note.write) on kustomer-prod as connector-test',
    /^validation +ok$/m,
    /^verdict +ALLOW$/m,
    /^rule +allow: conversation\.note\.write$/m,
    /^policy +support-writes version 1$/m,
    'nothing was sent',
  ]);
  expect(house.writes()).toBe(0);
  await eventually(
    async () =>
      void (await house.expect(CONTRACT, 0, [
        /ok +webhook_health/,
        /ok +signature/,
        /ok +poll_lag/,
        /ok +write_notes/,
        /ok +budget/,
      ])),
    { message: 'the contract to hold', everyMs: 500 },
  );
  return about;
}

/** How the events of a type were observed. */
async function waysOf(house: GuideHouse): Promise<(type: string) => readonly unknown[]> {
  const { data } = await house.json('fibric events ls --since 1h --limit 1000');
  return (type) =>
    data
      .filter(({ event_type }) => event_type === type)
      .map(({ payload }) => (payload as Record<string, unknown>)['observed_via']);
}

const noteOn = ({ conversationId }: Case, body: string, more = ''): string =>
  `fibric connectors test cn-kustomer note.write --live --connection kustomer-prod --args '${JSON.stringify({ conversation_id: conversationId, body })}'${more}`;

/** "Common failures", row by row. */
async function failures(house: GuideHouse, about: Case): Promise<void> {
  await unauthorized(house);
  await forbidden(house, about);
  await deduplicated(house, about);
  await laggingAndLimited(house, about);
  await blocked(house, about);
}

async function unauthorized(house: GuideHouse): Promise<void> {
  const fresh = house.freshKey(ROLES);
  await house.expect(CONTRACT, 3, [/FAIL +authentication/, '401 Unauthorized']);
  const cut = fresh.slice(1);
  house.keys.push(cut);
  await house.expect(ADD, 1, ['Probe: error', '401 Unauthorized', 'The key was not stored'], cut);
  await house.expect(ADD, 0, ['Probe: ready'], fresh);
  await eventually(async () => void (await house.expect(CONTRACT, 0, [])), {
    message: 'the new key in use',
    everyMs: 500,
  });
}

async function forbidden(house: GuideHouse, about: Case): Promise<void> {
  await house.expect(ADD, 0, ['Probe: degraded', /FAIL +write_notes/], house.freshKey(READING_ROLES));
  await house.expect(`fibric read conversation ${about.conversationId}`, 0, ['Where is order 10002']);
  await house.expect(noteOn(about, 'from the guide'), 8, [
    '403',
    'org.permission.note write',
    'Create a new key with the write permission and reinstall the connection',
  ]);
  expect(house.notes('from the guide')).toBe(0);
  await house.expect(ADD, 0, ['Probe: ready'], house.freshKey(ROLES));
  await house.expect(noteOn(about, 'from the guide'), 0, [/^outcome +applied/m, /^wrote +note /m]);
  expect(house.notes('from the guide')).toBe(1);
}

async function deduplicated(house: GuideHouse, about: Case): Promise<void> {
  await house.expect(noteOn(about, 'from the guide'), 0, [/^verdict +DEDUP$/m, 'No action needed.']);
  await house.expect('fibric receipts ls --verdict DEDUP', 0, [/DEDUP +deduplicated +conversation\.note\.write/]);
  expect(house.notes('from the guide')).toBe(1);
}

/** Both rows at once: the webhook is off, so the poll has to carry a message; and Kustomer asks the poll to wait. */
async function laggingAndLimited(house: GuideHouse, { conversationId }: Case): Promise<void> {
  const { org, serving } = house;
  const [webhook] = org.webhooks.list();
  if (webhook === undefined) throw new Error('no webhook was made');
  await waitFor(() => webhook.queue.pending === 0, { message: 'the webhooks so far' });
  org.webhooks.update(webhook.id, { enabled: false }, Date.now());
  await house.expect(CONTRACT, 3, [
    /FAIL +webhook_health/,
    'Webhook delivery is failing and the poll backfill is carrying the stream. Expected degradation, not data loss.',
  ]);
  const tail = await house.tail(`${TAIL} --type conversation.message.created`);
  const retryAfterS = 4;
  const refused = { path: '/v1/customers/search', kind: 'status', status: 429, retryAfterS, count: 1 } as const;
  org.requestFaults.configure(requestFaultsSchema.parse([refused]));
  const answers: { atMs: number; status: number }[] = [];
  org.observeAnswers(({ atMs, path, status }) => {
    if (path === '/v1/customers/search') answers.push({ atMs, status });
  });
  const inbound = { direction: 'in', channel: 'email', app: 'postmark', preview: 'Is anybody there?' } as const;
  const events = house.perform((organisation, nowMs) => organisation.createMessage(nowMs, conversationId, inbound));
  const messageId = events.find(({ type }) => type === 'message')?.id ?? '';
  await waitFor(() => answers.some(({ status }) => status === 429), { message: 'a 429', deadlineMs: POLLED_MS });
  await waitFor(() => tail.text().includes(messageId), { message: 'the message, by poll', deadlineMs: POLLED_MS });
  const limitedAtMs = answers.find(({ status }) => status === 429)?.atMs as number;
  const next = answers.find(({ atMs, status }) => atMs >= limitedAtMs && status !== 429);
  expect((next?.atMs ?? 0) - limitedAtMs).toBeGreaterThanOrEqual(retryAfterS * 1000 - 50);
  expect(serving.process.output()).toContain('kustomer_rate_limited');
  await eventually(async () => expect((await waysOf(house))('customer.updated')).toContain('poll'), {
    message: 'the change of the customer, by poll',
    deadlineMs: POLLED_MS,
    everyMs: 500,
  });
  expect(await tail.stop()).toBe(0);
  org.webhooks.update(webhook.id, { enabled: true }, Date.now());
  await house.expect(CONTRACT, 0, [
    /ok +webhook_health/,
    /warn +budget .* refused with 429/,
    'Raise poll_interval. The connector honors Retry-After and backs off; nothing is lost, only delayed.',
  ]);
}

async function blocked(house: GuideHouse, about: Case): Promise<void> {
  const args = JSON.stringify({ conversation_id: about.conversationId, status: 'done' });
  const line = `fibric connectors test cn-kustomer status.write --live --connection kustomer-prod --args '${args}'`;
  const before = house.writes();
  const notesOnly = POLICY.replace(/- allow: conversation\.status\.write[\s\S]*?(?=default)/, '');
  writeFileSync(join(house.home, 'notes-only.yaml'), notesOnly);
  await house.expect('fibric policy apply ./notes-only.yaml', 0, ['support-writes: version 2']);
  await house.expect(line, 6, [/^verdict +BLOCK$/m, 'evaluation is default-closed', 're-run `fibric policy apply`']);
  await house.expect('fibric receipts ls --capability conversation.status.write', 0, [/BLOCK +refused/]);
  expect(house.writes()).toBe(before);
  await house.expect(APPLY, 0, ['support-writes: version 3']);
  await house.expect(line, 0, [/^verdict +ALLOW$/m, /^outcome +applied/m, /^policy +support-writes version 3$/m]);
  expect(house.org.organisation.conversations.get(about.conversationId)?.attributes['status']).toBe('done');
}

/** "A key that cannot write is a second, independent wall." */
async function readOnly(house: GuideHouse, about: Case): Promise<void> {
  await house.expect(ADD, 0, ['Probe: degraded'], house.freshKey(READING_ROLES));
  const send = `fibric actions send conversation.note.write --live --operator triage-analyst --args '${JSON.stringify({ conversation_id: about.conversationId, body: 'behind the wall' })}'`;
  await house.expect(send, 8, ['403']);
  await house.expect('fibric capabilities revoke conversation.note.write --operator triage-analyst', 0, []);
  await house.expect(send, 6, ['fibric capabilities grant conversation.note.write --operator triage-analyst']);
  expect(house.notes('behind the wall')).toBe(0);
}
