import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import {
  decodeConnection,
  describeConnection,
  encodeConnection,
  NO_UNKNOWN_FIELDS,
} from '../../../../src/app/control/connection-record.ts';
import { showConnection } from '../../../../src/app/control/connection-text.ts';
import { createKeyring } from '../../../../src/app/control/seal.ts';
import { Secret } from '../../../../src/base/secret.ts';
import { CONNECTION_SETTINGS, type ConnectionWithTokens } from '../../../../src/fibric/connection.ts';

const CANARY = 'canary-key-5b1e0d77';
const ID = { tenantId: 't_a', connectionId: 'cn_a' };
const master = randomBytes(32);
const keyring = createKeyring([master]);

const connection: ConnectionWithTokens = {
  ...ID,
  resellerId: null,
  workspaceId: 'ws_1',
  name: 'prod',
  subdomain: 'acme',
  orgId: null,
  apiBaseUrl: 'https://api.prod2.kustomerapp.com',
  hasApiKey: true,
  startedAtMs: 2_000,
  webhookId: 'w2',
  previousWebhookId: 'w1',
  settings: {
    extendedEvents: true,
    machineUserId: 'u1',
    pollIntervalMs: 300_000,
    backfillSinceMs: 1_000,
    orderKlass: null,
  },
  webhookTokens: [new Secret('token-1-canary')],
  apiKey: new Secret(CANARY),
};

const encode = (unknown = NO_UNKNOWN_FIELDS) => encodeConnection({ connection, createdAtMs: 1_500, unknown }, keyring);
const json = (value: Buffer) => JSON.parse(value.toString()) as Record<string, unknown>;
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));

describe('the record of a connection', () => {
  it('reads back as it was written, the key with it', () => {
    const stored = decodeConnection(ID, encode(), keyring);
    expect(stored).toMatchObject({ createdAtMs: 1_500, staleSeal: false, unknown: NO_UNKNOWN_FIELDS });
    const { webhookTokens, apiKey, ...plain } = stored.connection;
    const { webhookTokens: tokens, apiKey: key, ...wanted } = connection;
    expect(plain).toEqual(wanted);
    expect(apiKey?.reveal()).toBe(key?.reveal());
    expect(webhookTokens.map((one) => one.reveal())).toEqual(tokens.map((one) => one.reveal()));
  });

  it('says without a master key whether there is a key, and all that is no secret', () => {
    const { webhookTokens: _tokens, apiKey: _key, ...plain } = connection;
    expect(describeConnection(ID, encode()).connection).toEqual(plain);
    const keyless = bytes({ ...json(encode()), api_key: null });
    expect(describeConnection(ID, keyless).connection.hasApiKey).toBe(false);
  });

  it('of a record from before there were keys has the defaults', () => {
    const old = {
      version: 1,
      reseller_id: null,
      workspace_id: null,
      name: 'prod',
      subdomain: 'acme',
      org_id: null,
      settings: { extended_events: true, machine_user_id: null },
      webhook_tokens: json(encode())['webhook_tokens'],
      created_at_ms: 77,
    };
    expect(decodeConnection(ID, bytes(old), keyring).connection).toMatchObject({
      hasApiKey: false,
      apiKey: null,
      apiBaseUrl: null,
      startedAtMs: 77,
      webhookId: null,
      previousWebhookId: null,
      settings: { ...CONNECTION_SETTINGS, extendedEvents: true },
    });
  });

  it('keeps what only a newer version understands when it writes the record again', () => {
    const written = json(encode());
    const newer = { ...written, policy: { strict: true }, settings: { ...(written['settings'] as object), shadow: 7 } };
    const again = json(encodeConnection(decodeConnection(ID, bytes(newer), keyring), keyring));
    expect(again).toMatchObject({ policy: { strict: true }, settings: { shadow: 7, poll_interval_ms: 300_000 } });
    expect(Object.keys(again).toSorted()).toEqual(Object.keys(newer).toSorted());
  });

  it('seals the key for its tenant, connection and purpose alone', () => {
    const written = json(encode());
    const swapped = bytes({ ...written, api_key: (written['webhook_tokens'] as string[])[0] });
    expect(() => decodeConnection(ID, swapped, keyring)).toThrow(/altered, or sealed for something else/);
    for (const other of [
      { ...ID, tenantId: 't_b' },
      { ...ID, connectionId: 'cn_b' },
    ]) {
      expect(() => decodeConnection(other, bytes({ ...written, webhook_tokens: [] }), keyring)).toThrow(/sealed/);
    }
  });

  it('knows a key under an older master key, also where no token is', () => {
    const tokenless = bytes({ ...json(encode()), webhook_tokens: [] });
    const both = createKeyring([randomBytes(32), master]);
    expect(decodeConnection(ID, tokenless, both).staleSeal).toBe(true);
    expect(decodeConnection(ID, tokenless, keyring).staleSeal).toBe(false);
  });

  it('tells the key to nobody', () => {
    const stored = decodeConnection(ID, encode(), keyring);
    const stranger = createKeyring([randomBytes(32)]);
    let error: unknown;
    try {
      decodeConnection(ID, encode(), stranger);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'secret_unreadable' });
    const told = [
      encode().toString(),
      JSON.stringify([stored, error]),
      inspect([stored, error], { depth: 9 }),
      showConnection(stored.connection).join('\n'),
      `${stored.connection.apiKey}`,
    ].join('\n');
    for (const form of ['utf8', 'base64', 'hex'] as const) {
      expect(told).not.toContain(Buffer.from(CANARY).toString(form).replace(/=+$/, ''));
    }
  });
});
