/** What `cn-kustomer connection add|remove` do. Secrets come in through callbacks and go out nowhere. */
import { randomBytes } from 'node:crypto';
import { CodedError } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import {
  CONNECTION_SETTINGS,
  type Connection,
  type ConnectionSettings,
  type ConnectionWithTokens,
} from '../../fibric/connection.ts';
import { type ConnectionInput, checkApiKey, checkToken, parseConnectionInput } from './connection-input.ts';
import type { KeyReport } from './key-check.ts';
import type { ConnectionStore } from './store.ts';

export interface AddOptions {
  readonly store: ConnectionStore;
  /** As commander gives them: tenant, id, name, subdomain, org, …, flags. */
  readonly options: unknown;
  /** Called only when a token is needed: for a new connection, and for `--rotate`. */
  readonly readToken: () => Promise<Secret>;
  /** Called for `--api-key`, after the token where both are needed. */
  readonly readApiKey?: () => Promise<Secret>;
  /** Called once nothing more is to be read; may refuse what was given beyond. */
  readonly secretsRead?: () => void;
  /** Asks Kustomer about the key; called for a new key unless `--no-check`, and for `--check`. */
  readonly checkKey?: (connection: Connection & { readonly apiKey: Secret }) => Promise<KeyReport>;
  /** The connection will make its own webhook: a new one then needs no token. */
  readonly ownWebhook?: boolean;
  readonly random?: (bytes: number) => Buffer;
  readonly nowMs?: number;
}

export interface AddResult {
  readonly connection: ConnectionWithTokens;
  readonly created: boolean;
  /** Null when Kustomer was not asked. */
  readonly key: KeyReport | null;
}

/**
 * Adds a connection, or changes the one with the same id or the same tenant and name; options not given keep what they
 * were. `rotate` adds a token beside the live one, `dropOld` leaves only the newest. Nothing is stored when the key is
 * found to be bad.
 */
export async function addConnection(options: AddOptions): Promise<AddResult> {
  const { store, random = randomBytes, nowMs = Date.now() } = options;
  const input = parseConnectionInput(options.options, nowMs);
  const existing = find(store, input);
  if (existing === undefined && (input.rotate || input.dropOld)) {
    throw new CodedError('connection_unknown', 'there is no such connection whose tokens could be changed');
  }
  const planned = existing === undefined ? create(input, random, nowMs) : update(existing, input);
  const { token, apiKey } = await readSecrets(options, input, existing);
  const usedKey = apiKey === undefined ? (existing?.apiKey ?? null) : apiKey;
  if (options.ownWebhook === true && usedKey === null) {
    throw new CodedError('config_invalid', '--create-webhook needs an API key to create it with: add --api-key');
  }
  const key = (input.check ?? input.apiKey === true) ? await learn(options, planned, usedKey) : null;
  const connection = key === null ? planned : withLearned(planned, input, key);
  const added = await store.add({ connection, base: existing, token, apiKey, dropOld: input.dropOld });
  return { connection: added, created: existing === undefined, key };
}

async function readSecrets(
  { readToken, readApiKey, secretsRead, ownWebhook }: AddOptions,
  input: ConnectionInput,
  existing: ConnectionWithTokens | undefined,
): Promise<{ readonly token: Secret | undefined; readonly apiKey: Secret | null | undefined }> {
  const tokenNeeded = input.rotate === true || (existing === undefined && ownWebhook !== true);
  const token = tokenNeeded ? checkToken(await readToken()) : undefined;
  const apiKey = input.apiKey === true && readApiKey !== undefined ? checkApiKey(await readApiKey()) : undefined;
  secretsRead?.();
  return { token, apiKey: input.apiKey === false ? null : apiKey };
}

async function learn(
  { checkKey }: AddOptions,
  connection: Connection,
  apiKey: Secret | null,
): Promise<KeyReport | null> {
  if (apiKey === null) throw new CodedError('config_invalid', '--check needs an API key: add --api-key');
  return (await checkKey?.({ ...connection, apiKey })) ?? null;
}

/** Throws `org_mismatch` for the key of another organisation than the connection is known to be of. */
function withLearned(connection: Connection, input: ConnectionInput, key: KeyReport): Connection {
  const { orgId, settings } = connection;
  if (orgId !== null && key.orgId !== null && orgId !== key.orgId) {
    throw new CodedError(
      'org_mismatch',
      `the API key is of organisation ${key.orgId}, the connection of ${orgId}; nothing was changed`,
    );
  }
  const machineUserId = input.machineUser ?? key.machineUserId;
  return { ...connection, orgId: orgId ?? key.orgId, settings: { ...settings, machineUserId } };
}

export interface RemoveOptions {
  readonly store: ConnectionStore;
  readonly connectionId: string;
  readonly tenant?: string | undefined;
}

export async function removeConnection({ store, connectionId, tenant }: RemoveOptions): Promise<void> {
  await store.remove(connectionId, tenant);
}

export function newConnectionId(random: (bytes: number) => Buffer): string {
  return `cn_${random(6).toString('hex')}`;
}

function find(store: ConnectionStore, input: ConnectionInput): ConnectionWithTokens | undefined {
  return store
    .list()
    .find(
      (one) =>
        one.tenantId === input.tenant &&
        (input.id === undefined ? one.name === input.name : one.connectionId === input.id),
    );
}

function create(input: ConnectionInput, random: (bytes: number) => Buffer, nowMs: number): Connection {
  const { name, subdomain } = input;
  if (name === undefined || subdomain === undefined) {
    const missing = [...(name === undefined ? ['--name'] : []), ...(subdomain === undefined ? ['--subdomain'] : [])];
    throw new CodedError('config_invalid', `a new connection needs ${missing.join(' and ')}`);
  }
  return {
    connectionId: input.id ?? newConnectionId(random),
    tenantId: input.tenant,
    resellerId: input.reseller ?? null,
    workspaceId: input.workspace ?? null,
    name,
    subdomain,
    orgId: input.org ?? null,
    apiBaseUrl: input.apiBaseUrl ?? null,
    hasApiKey: false,
    startedAtMs: nowMs,
    webhookId: null,
    previousWebhookId: null,
    settings: changedSettings(CONNECTION_SETTINGS, input),
  };
}

function update(existing: ConnectionWithTokens, input: ConnectionInput): Connection {
  const { webhookTokens: _tokens, apiKey: _key, ...connection } = existing;
  return {
    ...connection,
    resellerId: input.reseller ?? connection.resellerId,
    workspaceId: input.workspace ?? connection.workspaceId,
    name: input.name ?? connection.name,
    subdomain: input.subdomain ?? connection.subdomain,
    orgId: input.org ?? connection.orgId,
    apiBaseUrl: input.apiBaseUrl === undefined ? connection.apiBaseUrl : input.apiBaseUrl,
    settings: changedSettings(connection.settings, input),
  };
}

function changedSettings(settings: ConnectionSettings, input: ConnectionInput): ConnectionSettings {
  return {
    extendedEvents: input.extendedEvents ?? settings.extendedEvents,
    machineUserId: input.machineUser ?? settings.machineUserId,
    pollIntervalMs: input.pollInterval ?? settings.pollIntervalMs,
    backfillSinceMs: input.backfillSince === undefined ? settings.backfillSinceMs : input.backfillSince,
    orderKlass: input.orderKlass === undefined ? settings.orderKlass : input.orderKlass,
  };
}
