/** What `cn-kustomer connection add|list|remove|reseal` do. Secrets come in through `readToken` and go out nowhere. */
import { createHash, randomBytes } from 'node:crypto';
import { CodedError } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { CONNECTION_SETTINGS, type Connection, type ConnectionWithTokens } from '../../fibric/connection.ts';
import { alignColumns, printable } from '../text-table.ts';
import { type ConnectionInput, checkToken, parseConnectionInput } from './connection-input.ts';
import type { ConnectionStore, Resealed } from './store.ts';

export interface AddOptions {
  readonly store: ConnectionStore;
  /** As commander gives them: tenant, id, name, subdomain, org, reseller, workspace, machineUser, flags. */
  readonly options: unknown;
  /** Called only when a token is needed: for a new connection, and for `--rotate`. */
  readonly readToken: () => Promise<Secret>;
  readonly random?: (bytes: number) => Buffer;
  readonly nowMs?: number;
}

export interface AddResult {
  readonly connection: ConnectionWithTokens;
  readonly created: boolean;
}

/**
 * Adds a connection, or changes the one with the same id or the same tenant and name; options not given keep what they
 * were. `rotate` adds a token beside the live one, `dropOld` leaves only the newest.
 */
export async function addConnection({
  store,
  options,
  readToken,
  random = randomBytes,
  nowMs = Date.now(),
}: AddOptions): Promise<AddResult> {
  const input = parseConnectionInput(options);
  const existing = find(store, input);
  if (existing === undefined && (input.rotate || input.dropOld)) {
    throw new CodedError('connection_unknown', 'there is no such connection whose tokens could be changed');
  }
  const connection = existing === undefined ? create(input, random, nowMs) : update(existing, input);
  const token = existing === undefined || input.rotate ? checkToken(await readToken()) : undefined;
  const added = await store.add({ connection, token, dropOld: input.dropOld });
  return { connection: added, created: existing === undefined };
}

export interface RemoveOptions {
  readonly store: ConnectionStore;
  readonly connectionId: string;
  readonly tenant?: string | undefined;
}

export async function removeConnection({ store, connectionId, tenant }: RemoveOptions): Promise<void> {
  await store.remove(connectionId, tenant);
}

/**
 * A table for people: which tokens are live is told by fingerprint, so that two ends can be compared. No store = nothing
 * was ever added.
 */
export function listConnections(store: Pick<ConnectionStore, 'list' | 'health'> | undefined): string {
  const rows = (store?.list() ?? [])
    .toSorted((a, b) => a.tenantId.localeCompare(b.tenantId) || a.name.localeCompare(b.name))
    .map((one) => [
      one.connectionId,
      one.tenantId,
      one.name,
      one.subdomain,
      one.orgId ?? '-',
      one.settings.extendedEvents ? 'yes' : 'no',
      String(one.webhookTokens.length),
      one.webhookTokens.map(fingerprint).join(' '),
    ]);
  const head = ['CONNECTION', 'TENANT', 'NAME', 'SUBDOMAIN', 'ORG', 'EXTENDED', 'TOKENS', 'FINGERPRINTS'];
  const problems = store === undefined ? [] : describeProblems(store);
  const stale = store?.health().stale ?? 0;
  return [
    ...alignColumns([head, ...rows]),
    ...(problems.length > 0 ? ['', 'Not usable:', ...problems] : []),
    ...(stale > 0
      ? ['', `${stale} under an older master key: \`cn-kustomer connection reseal\` seals them again.`]
      : []),
  ].join('\n');
}

/** One line for each connection that cannot be used. */
export function describeProblems(store: Pick<ConnectionStore, 'health'>): readonly string[] {
  return store
    .health()
    .problems.map(({ connectionId, tenantId, code, message }) =>
      printable(`${connectionId} of ${tenantId}: ${code}: ${message}`),
    );
}

export function describeResealed({ sealed, stale }: Resealed): string {
  return `sealed ${sealed} connection(s) under the newest master key; ${stale} of them were still under an older one`;
}

/** Enough to tell tokens apart, too little to find one. */
export function fingerprint(token: Secret): string {
  return createHash('sha256').update(token.reveal()).digest('hex').slice(0, 8);
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
    apiBaseUrl: null,
    hasApiKey: false,
    startedAtMs: nowMs,
    webhookId: null,
    previousWebhookId: null,
    settings: {
      ...CONNECTION_SETTINGS,
      extendedEvents: input.extendedEvents ?? false,
      machineUserId: input.machineUser ?? null,
    },
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
    settings: {
      ...connection.settings,
      extendedEvents: input.extendedEvents ?? connection.settings.extendedEvents,
      machineUserId: input.machineUser ?? connection.settings.machineUserId,
    },
  };
}
