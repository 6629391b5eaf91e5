/**
 * After everything: is a secret anywhere it must not be? Looked for are the API keys, the webhook tokens, the bearer tokens
 * and the master key, as they are and as base64, base64url and hex would have them.
 */
import { type Dirent, readdirSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { GuideHouse } from './house.ts';

/** Larger ones are none of ours. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;

export async function expectNoSecret(house: GuideHouse, token: string): Promise<void> {
  const { site, serving, org, home } = house;
  const webhookTokens = org.webhooks.list().map((webhook) => webhook.token);
  expect(webhookTokens.length).toBeGreaterThan(0);
  const secrets = new Map<string, string>(
    [
      ...house.keys.map((key) => ['an API key', key] as const),
      ...webhookTokens.map((one) => ['a webhook token', one] as const),
      ['the token of the person', token],
      ['the admin token', house.adminToken],
      ['the master key', house.masterKey],
    ].map(([what, secret]) => [secret as string, what as string]),
  );
  const forms = [...secrets].flatMap(([secret, what]) =>
    formsOf(secret).map((form) => [what, Buffer.from(form)] as const),
  );
  const found: string[] = [];
  const look = (where: string, content: Buffer | string): void => {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    for (const [what, form] of forms) if (bytes.includes(form)) found.push(`${what} in ${where}`);
  };

  look('the log of the service', serving.process.output());
  // `tokens create` shows the person's token, once.
  const seen = house.seen();
  expect(seen.split(token)).toHaveLength(2);
  look('what the person saw', seen.replace(`${token}\n`, ''));
  look('the metrics', await house.metrics());
  look('/readyz', await (await fetch(`${serving.url}/readyz`)).text());
  for (const list of house.argumentLists) look('the arguments of a process', list);

  const topics = (await site.log.admin.describeTopics())
    .map(({ name }) => name)
    .filter((name) => name.startsWith(site.prefix));
  expect(topics).toEqual(
    expect.arrayContaining([site.names.raw, site.names.control, site.names.commands, site.names.receipts('t_acme')]),
  );
  for (const headersOnly of [false, true]) {
    const { records } = await site.read(topics, { headersOnly });
    expect(records.length).toBeGreaterThan(0);
    for (const { topic, key, value, headers } of records) {
      look(
        topic,
        Buffer.concat([key ?? Buffer.alloc(0), value ?? Buffer.alloc(0), Buffer.from(JSON.stringify(headers))]),
      );
    }
  }

  const credentials = join(home, '.fibric', 'credentials');
  expect(statSync(credentials).mode & 0o777).toBe(0o600);
  const kept = readFileSync(credentials, 'utf8');
  expect(kept).toContain(token);
  look('the credentials file, beside its token', kept.replace(token, ''));
  for (const file of [...filesBelow(site.folder), ...filesBelow(tmpdir(), house.openedAtMs)]) {
    if (file !== credentials) look(file, readOrNothing(file));
  }
  expect([...new Set(found)]).toEqual([]);
}

function formsOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  const asBytes = /^[0-9a-f]{64}$/.test(secret) ? [Buffer.from(secret, 'hex')] : [];
  return [
    secret,
    ...[bytes, ...asBytes].flatMap((one) => [
      one.toString('hex'),
      one.toString('base64').replace(/=+$/, ''),
      one.toString('base64url'),
    ]),
  ];
}

function filesBelow(folder: string, sinceMs = 0): readonly string[] {
  return entriesOf(folder).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(path, sinceMs);
    const stat = entry.isFile() ? statSync(path, { throwIfNoEntry: false }) : undefined;
    return stat !== undefined && stat.mtimeMs >= sinceMs && stat.size <= MAX_FILE_BYTES ? [path] : [];
  });
}

function entriesOf(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return []; // gone meanwhile, or of another user
  }
}

function readOrNothing(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    return Buffer.alloc(0); // gone meanwhile, or of another user
  }
}
