/** What becomes of a connection when it is added or changed. Pure. */
import { CodedError } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import type { Connection, ConnectionWithTokens } from '../../fibric/connection.ts';

/** The vendor has no rotation of its own: the old webhook's token and the new one's are both live for a while. */
export const MAX_LIVE_TOKENS = 2;

export interface ConnectionChange {
  readonly connection: Connection;
  /** What the change was made from: where somebody else has changed other fields since, theirs stay. */
  readonly base?: Connection | undefined;
  /** Joins the live ones. A connection needs one of them or an API key, or nothing would ever come of it. */
  readonly token?: Secret | undefined;
  /** Afterwards only the newest token is live. */
  readonly dropOld?: boolean | undefined;
  /** Takes the place of the present one; null forgets it; undefined keeps it. */
  readonly apiKey?: Secret | null | undefined;
}

export interface PlanContext {
  /** The connection as it is, under the same tenant and id. */
  readonly existing: ConnectionWithTokens | undefined;
  /** All connections there are. */
  readonly all: readonly Connection[];
}

/** Throws `connection_conflict` when the change cannot be made. */
export function planConnection(change: ConnectionChange, { existing, all }: PlanContext): ConnectionWithTokens {
  const connection = mergeOnto(change, existing);
  const { tenantId, connectionId, name } = connection;
  const others = all.filter((other) => other.tenantId !== tenantId || other.connectionId !== connectionId);
  if (others.some((other) => other.connectionId === connectionId)) {
    throw conflict('the connection id belongs to another tenant', connection);
  }
  if (others.some((other) => other.tenantId === tenantId && other.name === name)) {
    throw conflict(`the tenant has another connection of the name ${name}`, connection);
  }
  const apiKey = change.apiKey === undefined ? (existing?.apiKey ?? null) : change.apiKey;
  const webhookTokens = planTokens(existing?.webhookTokens ?? [], change);
  if (webhookTokens.length === 0 && apiKey === null) {
    throw conflict('a connection needs a webhook token or an API key', connection);
  }
  return { ...connection, hasApiKey: apiKey !== null, webhookTokens, apiKey };
}

/** Fields that differ from the base are the change; all others are as they are now. */
function mergeOnto({ connection, base }: ConnectionChange, existing: ConnectionWithTokens | undefined): Connection {
  if (base === undefined || existing === undefined) return connection;
  const { webhookTokens: _tokens, apiKey: _key, ...now } = existing;
  return {
    ...now,
    ...changed(connection, base),
    settings: { ...now.settings, ...changed(connection.settings, base.settings) },
  };
}

function changed<T extends object>(made: T, from: T): Partial<T> {
  const names = Object.keys(made) as (keyof T)[];
  const differing = names.filter((name) => name !== 'settings' && made[name] !== from[name]);
  return Object.fromEntries(differing.map((name) => [name, made[name]])) as Partial<T>;
}

function planTokens(live: readonly Secret[], { connection, token, dropOld }: ConnectionChange): readonly Secret[] {
  const known = live.some((one) => one.reveal() === token?.reveal());
  const all = token === undefined || known ? live : [...live, token];
  const kept = dropOld ? all.slice(-1) : all;
  if (kept.length > MAX_LIVE_TOKENS) {
    throw conflict(`${MAX_LIVE_TOKENS} tokens are live already; drop the old one first`, connection);
  }
  return kept;
}

function conflict(message: string, { tenantId, connectionId }: Connection): CodedError {
  return new CodedError('connection_conflict', message, { tenantId, connectionId });
}
