/** A connection as a record of the control topic: key `connection/<tenant>/<connection>`, value JSON, tokens sealed. */
import { z } from 'zod';
import { CodedError } from '../../base/errors.ts';
import { CONNECTION_SETTINGS, type Connection, type ConnectionWithTokens } from '../../fibric/connection.ts';
import { TENANT_ID } from '../../kafka/topics.ts';
import type { Keyring, SealContext } from './seal.ts';

const PREFIX = 'connection/';
const PURPOSE = 'webhook-token';
export const CONNECTION_ID = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$/;

export interface ConnectionKey {
  readonly tenantId: string;
  readonly connectionId: string;
}

/** A connection with what the store must know of its record. */
export interface StoredConnection {
  readonly connection: ConnectionWithTokens;
  readonly createdAtMs: number;
  /** True when a token is sealed by another master key than the first; `reseal` mends it. */
  readonly staleSeal: boolean;
}

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

// Unknown fields are let through: an older process must be able to read what a newer one wrote.
const recordSchema = z.object({
  version: z.literal(1),
  reseller_id: z.string().nullable(),
  workspace_id: z.string().nullable(),
  name: z.string(),
  subdomain: z.string(),
  org_id: z.string().nullable(),
  settings: z.object({ extended_events: z.boolean(), machine_user_id: z.string().nullable() }),
  webhook_tokens: z.array(z.string()),
  created_at_ms: z.number(),
  started_at_ms: z.number().optional(),
});

export function encodeConnection(stored: Omit<StoredConnection, 'staleSeal'>, keyring: Keyring): Buffer {
  const { connection } = stored;
  const context = sealContext(connection);
  const record: z.input<typeof recordSchema> = {
    version: 1,
    reseller_id: connection.resellerId,
    workspace_id: connection.workspaceId,
    name: connection.name,
    subdomain: connection.subdomain,
    org_id: connection.orgId,
    settings: {
      extended_events: connection.settings.extendedEvents,
      machine_user_id: connection.settings.machineUserId,
    },
    webhook_tokens: connection.webhookTokens.map((token) => keyring.seal(token, context)),
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
      apiBaseUrl: null,
      hasApiKey: false,
      startedAtMs: record.started_at_ms ?? record.created_at_ms,
      settings: {
        ...CONNECTION_SETTINGS,
        extendedEvents: record.settings.extended_events,
        machineUserId: record.settings.machine_user_id,
      },
    },
    createdAtMs: record.created_at_ms,
    sealedTokens: record.webhook_tokens,
  };
}

/** Throws `secret_unreadable` for tokens that do not open. */
export function openTokens(described: DescribedConnection, keyring: Keyring): StoredConnection {
  const { connection, createdAtMs, sealedTokens } = described;
  const context = sealContext(connection);
  return {
    connection: {
      ...connection,
      webhookTokens: sealedTokens.map((sealed) => keyring.open(sealed, context)),
      apiKey: null,
    },
    createdAtMs,
    staleSeal: sealedTokens.some((sealed) => keyring.isStale(sealed)),
  };
}

/** Both at once. */
export function decodeConnection(key: ConnectionKey, value: Buffer, keyring: Keyring): StoredConnection {
  return openTokens(describeConnection(key, value), keyring);
}

function sealContext({ tenantId, connectionId }: ConnectionKey): SealContext {
  return { tenantId, connectionId, purpose: PURPOSE };
}

function jsonOrUndefined(value: Buffer): unknown {
  try {
    return JSON.parse(value.toString('utf8'));
  } catch {
    return undefined;
  }
}
