/** The receiver as the vendor meets it, its connections managed by the command line while it runs. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { HEADER } from '../../src/kafka/headers.ts';
import { EVENT_NAMES } from '../../src/kustomer/event-names.ts';
import { eventually, Installation } from '../support/installation.ts';
import type { TestProcess } from '../support/process.ts';
import { type Answer, deliver, eventBody, newId } from '../support/webhooks.ts';

/** How soon a running receiver knows of a change. */
const PICKED_UP_MS = 2_000;
const TENANT = 't_acme';
const CONNECTION = 'cn_acme';
const UNKNOWN_NAME = 'kustomer.snooze.update';

const canary = (name: string) => `canary-${name}-${randomBytes(16).toString('hex')}`;

test('rotation, removal, wrong organisations, doubles, every event name; and no token anywhere', async () => {
  const site = await Installation.open({ tenants: 1 });
  const org = newId();
  const tokens = { old: canary('old'), new: canary('new'), foreign: canary('foreign') };
  const processes: TestProcess[] = [];

  /** `cn-kustomer connection …`, the token on its standard input. */
  const connection = async (args: readonly string[], token?: string): Promise<string> => {
    const process = site.launch(['connection', ...args]);
    processes.push(process);
    process.input(token === undefined ? '' : `${token}\n`);
    expect(await process.waitForExit()).toEqual({ code: 0, signal: null });
    return process.stdout();
  };
  const named = ['--tenant', TENANT, '--name', 'kustomer-prod'];
  await connection(
    ['add', ...named, '--subdomain', 'acme', '--org', org, '--id', CONNECTION, '--extended-events'],
    tokens.old,
  );

  const service = await site.serve({ roles: 'ingest,process' });
  processes.push(service.process);
  const url = `${service.url}/webhooks/kustomer/${CONNECTION}`;
  const send = (token: string, body = eventBody('kustomer.tag.update', { org })) => deliver({ url, token, body });
  const answers: Answer[] = [];
  const accepted = async (body: Buffer, token: string): Promise<void> => {
    const answer = await send(token, body);
    answers.push(answer);
    expect(answer).toEqual({ status: 200, retryAfter: null, errorCode: null });
  };
  /** The receiver needs no longer than it may, and the answer then stays. */
  const becomes = (token: string, expected: Partial<Answer>) =>
    eventually(async () => expect(await send(token)).toMatchObject(expected), {
      message: `the answer ${JSON.stringify(expected)}`,
      deadlineMs: PICKED_UP_MS,
    });

  // Every name the vendor documents, and one it does not; the first of them twice, byte for byte.
  const bodies = [...EVENT_NAMES, UNKNOWN_NAME].map((name) => eventBody(name, { org }));
  for (const body of bodies) await accepted(body, tokens.old);
  await accepted(bodies[0] as Buffer, tokens.old);

  // Not accepted, so not stored.
  const refused = { status: 401, errorCode: 'signature_invalid' };
  expect(await send(tokens.foreign)).toMatchObject(refused);
  const foreign = eventBody('kustomer.conversation.create', { org: newId() });
  expect(await send(tokens.old, foreign)).toMatchObject({ status: 403, errorCode: 'org_mismatch' });
  expect(await deliver({ url: `${url}x`, token: tokens.old, body: foreign })).toMatchObject({ status: 404 });

  await site.caughtUp();
  const raw = (await site.read([site.names.raw], { headersOnly: true })).records;
  const names = raw.map(({ headers }) => headers[HEADER.eventName]);
  expect(names.sort()).toEqual([...EVENT_NAMES, EVENT_NAMES[0], UNKNOWN_NAME].sort());
  for (const { headers } of raw) {
    expect(headers).toMatchObject({
      [HEADER.tenant]: TENANT,
      [HEADER.connection]: CONNECTION,
      [HEADER.channel]: 'webhook',
    });
  }
  const stored = (await site.read([site.names.raw])).records.map(({ value }) => value?.toString('hex'));
  expect(stored.sort()).toEqual([...bodies, bodies[0] as Buffer].map((body) => body.toString('hex')).sort());
  const envelopes = (await site.read([site.names.events(TENANT)], { headersOnly: true })).records;
  const changes = envelopes.map(({ headers }) => headers[HEADER.changeId]);
  expect(new Set(changes).size).toBe(changes.length);
  const types = envelopes.map(({ headers }) => headers[HEADER.eventType]).sort();
  expect(types).toEqual(ENVELOPES_OF_ALL_NAMES);
  expect((await site.read([site.names.dead])).records).toEqual([]);

  // Two tokens live, then the new one only, then none.
  await connection(['add', ...named, '--rotate'], tokens.new);
  await becomes(tokens.new, { status: 200 });
  expect(await send(tokens.old)).toMatchObject({ status: 200 });
  await connection(['add', ...named, '--drop-old']);
  await becomes(tokens.old, refused);
  expect(await send(tokens.new)).toMatchObject({ status: 200 });
  const listed = await connection(['list']);
  expect(listed).toContain(CONNECTION);
  await connection(['remove', CONNECTION]);
  await becomes(tokens.new, { status: 404, errorCode: 'connection_unknown' });
  expect(await connection(['list'])).not.toContain(CONNECTION);

  // The canaries, and the key that seals them.
  const topics = (await site.log.admin.describeTopics()).map(({ name }) => name);
  const ours = topics.filter((name) => name.startsWith(site.prefix));
  expect(ours.length).toBeGreaterThanOrEqual(6);
  const [values, headers] = [await site.read(ours), await site.read(ours, { headersOnly: true })];
  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  expect(metrics).toContain('cnk_webhooks_accepted_total');
  const ready = await (await fetch(`${service.url}/readyz`)).text();
  await service.stop();
  const files = readdirSync(site.folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const places: Readonly<Record<string, readonly (Buffer | string)[]>> = {
    records: values.records.flatMap(({ key, value }) => [key ?? '', value ?? '']),
    headers: headers.records.map((record) => JSON.stringify(record.headers)),
    output: processes.map((process) => process.output()),
    answers: answers.map((answer) => JSON.stringify(answer)),
    http: [metrics, ready],
    files: files.map(({ parentPath, name }) => readFileSync(join(parentPath, name))),
    topics: ours,
  };
  expect(values.records.length).toBeGreaterThan(bodies.length);
  for (const secret of [...Object.values(tokens), site.env['CN_MASTER_KEY'] as string]) {
    for (const form of formsOf(secret)) {
      for (const [place, contents] of Object.entries(places)) {
        const leaks = contents.filter((content) => content.includes(form)).length;
        expect(leaks, `a secret in ${place}`).toBe(0);
      }
    }
  }
});

/** As it is, and as a record or a log line may have dressed it up. */
function formsOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  return [secret, bytes.toString('hex'), bytes.toString('base64').replace(/=+$/, ''), bytes.toString('base64url')];
}

/** One delivery of each name, extended events on; the update of a conversation is a change of status. */
const ENVELOPES_OF_ALL_NAMES: readonly string[] = [
  'conversation.created',
  'conversation.message.created',
  'conversation.message.updated',
  'conversation.status.changed',
  'conversation.updated',
  'customer.created',
  'customer.updated',
  'tag.created',
  'tag.updated',
  'team.created',
  'team.updated',
  'user.created',
  'user.updated',
];
