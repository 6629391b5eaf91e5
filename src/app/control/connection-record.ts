/**
 * A connection as a record of the control topic: key `connection/<tenant>/<connection>`, value JSON, secrets sealed.
 *
 * Fields may be added, never renamed or given another meaning: a process reads records of older ones (what they lack has
 * its default) and of newer ones (what it does not know it keeps when it writes the record again).
 */
import { z } from 'zod';
import { CodedError } from '../../base/errors.ts';
import { CONNECTION_SETTINGS, type Connection, type ConnectionWithTokens } from '../../fibric/connection.ts';
import { TENANT_ID } from '../../kafka/topics.ts';
import type { Keyring, SealContext } from './seal.ts';

const PREFIX = 'connection/';
export const CONNECTION_ID = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$/;

export interface ConnectionKey {
  readonly tenantId: string;
  readonly connectionId: string;
}

/** A connection with what the store must know of its record. */
export interface StoredConnection {
  readonly connection: ConnectionWithTokens;
  readonly createdAtMs: number;
  /** True when a secret is sealed by another master key than the first; `reseal` mends it. */
  readonly staleSeal: boolean;
  readonly unknown: UnknownFields;
}

/** Fields of the record that only newer versions understand. */
export interface UnknownFields {
  readonly record: Readonly<Record<string, unknown>>;
  readonly settings: Readonly<Record<string, unknown>>;
}

export const NO_UNKNOWN_FIELDS: UnknownFields = { record: {}, settings: {} };

export function connectionKey({ tenantId, connectionId }: ConnectionKey): string {
  return `${PREFIX}${tenantId}/${connectionId}`;
}

/** Undefined for keys that are no connection's: the topic holds other things too. */
export function parseConnectionKey(key: string): ConnectionKey | undefined {
  if (!key.startsWith(PREFIX)) return undefined;
  const [tenantId = '', connectionId = '', ...rest] = key.slice(PREFIX.length).split('/');
  if (rest.length > 0 || !TENANT_ID.test(tenantId) || !CONNECTION_ID.test(connectionId)) return undefined;
  return { tenantId, connectionId };
}

const settingsFields = {
  extended_events: z.boolean(),
  machine_user_id: z.string().nullable(),
  poll_interval_ms: z.number().positive().default(CONNECTION_SETTINGS.pollIntervalMs),
  backfill_since_ms: z.number().nullable().default(CONNECTION_SETTINGS.backfillSinceMs),
  order_klass: z.string().nullable().default(CONNECTION_SETTINGS.orderKlass),
};

const recordFields = {
  version: z.literal(1),
  reseller_id: z.string().nullable(),
  workspace_id: z.string().nullable(),
  name: z.string(),
  subdomain: z.string(),
  org_id: z.string().nullable(),
  api_base_url: z.string().nullable().default(null),
  settings: z.looseObject(settingsFields),
  webhook_tokens: z.array(z.string()),
  api_key: z.string().nullable().default(null),
  webhook_id: z.string().nullable().default(null),
  previous_webhook_id: z.string().nullable().default(null),
  created_at_ms: z.number(),
  started_at_ms: z.number().optional(),
};

const recordSchema = z.looseObject(recordFields);

export function encodeConnection(stored: Omit<StoredConnection, 'staleSeal'>, keyring: Keyring): Buffer {
  const { connection, unknown } = stored;
  const { settings } = connection;
  const record: z.input<typeof recordSchema> = {
    ...unknown.record,
    version: 1,
    reseller_id: connection.resellerId,
    workspace_id: connection.workspaceId,
    name: connection.name,
    subdomain: connection.subdomain,
    org_id: connection.orgId,
    api_base_url: connection.apiBaseUrl,
    settings: {
      ...unknown.settings,
      extended_events: settings.extendedEvents,
      machine_user_id: settings.machineUserId,
      poll_interval_ms: settings.pollIntervalMs,
      backfill_since_ms: settings.backfillSinceMs,
      order_klass: settings.orderKlass,
    },
    webhook_tokens: connection.webhookTokens.map((token) => keyring.seal(token, tokenContext(connection))),
    api_key: connection.apiKey === null ? null : keyring.seal(connection.apiKey, keyContext(connection)),
    webhook_id: connection.webhookId,
    previous_webhook_id: connection.previousWebhookId,
    created_at_ms: stored.createdAtMs,
    started_at_ms: connection.startedAtMs,
  };
  return Buffer.from(JSON.stringify(record));
}

/** What a record says without its secrets: all that whoever takes no webhooks in needs to know. */
export interface DescribedConnection {
  readonly connection: Connection;
  readonly createdAtMs: number;
  readonly sealedTokens: readonly string[];
  readonly sealedApiKey: string | null;
  readonly unknown: UnknownFields;
}

/** Needs no master key. Throws `config_invalid` for a record that is not of this form. */
export function describeConnection(key: ConnectionKey, value: Buffer): DescribedConnection {
  const parsed = recordSchema.safeParse(jsonOrUndefined(value));
  if (!parsed.success) {
    const fields = parsed.error.issues.map((issue) => issue.path.join('.') || 'record').join(', ');
    throw new CodedError('config_invalid', `the record of the connection is not understood: ${fields}`, { ...key });
  }
  const record = parsed.data;
  return {
    connection: {
      connectionId: key.connectionId,
      tenantId: key.tenantId,
      resellerId: record.reseller_id,
      workspaceId: record.workspace_id,
      name: record.name,
      subdomain: record.subdomain,
      orgId: record.org_id,
      apiBaseUrl: record.api_base_url,
      hasApiKey: record.api_key !== null,
      startedAtMs: record.started_at_ms ?? record.created_at_ms,
      webhookId: record.webhook_id,
      previousWebhookId: record.previous_webhook_id,
      settings: {
        extendedEvents: record.settings.extended_events,
        machineUserId: record.settings.machine_user_id,
        pollIntervalMs: record.settings.poll_interval_ms,
        backfillSinceMs: record.settings.backfill_since_ms,
        orderKlass: record.settings.order_klass,
      },
    },
    createdAtMs: record.created_at_ms,
    sealedTokens: record.webhook_tokens,
    sealedApiKey: record.api_key,
    unknown: { record: without(record, recordFields), settings: without(record.settings, settingsFields) },
  };
}

/** Throws `secret_unreadable` for secrets that do not open. */
export function openSecrets(described: DescribedConnection, keyring: Keyring): StoredConnection {
  const { connection, createdAtMs, sealedTokens, sealedApiKey, unknown } = described;
  const sealed = [...sealedTokens, ...(sealedApiKey === null ? [] : [sealedApiKey])];
  return {
    connection: {
      ...connection,
      webhookTokens: sealedTokens.map((token) => keyring.open(token, tokenContext(connection))),
      apiKey: sealedApiKey === null ? null : keyring.open(sealedApiKey, keyContext(connection)),
    },
    createdAtMs,
    staleSeal: sealed.some((one) => keyring.isStale(one)),
    unknown,
  };
}

/** Both at once. */
export function decodeConnection(key: ConnectionKey, value: Buffer, keyring: Keyring): StoredConnection {
  return openSecrets(describeConnection(key, value), keyring);
}

function tokenContext({ tenantId, connectionId }: ConnectionKey): SealContext {
  return { tenantId, connectionId, purpose: 'webhook-token' };
}

function keyContext({ tenantId, connectionId }: ConnectionKey): SealContext {
  return { tenantId, connectionId, purpose: 'api-key' };
}

function without(record: object, known: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !Object.hasOwn(known, name)));
}

function jsonOrUndefined(value: Buffer): unknown {
  try {
    return JSON.parse(value.toString('utf8'));
  } catch {
    return undefined;
  }
}
