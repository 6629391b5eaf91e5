/**
 * Which operator may use which capability of which connection: `grant/<tenant>/<connection>/<operator>`. What cannot be read
 * grants nothing.
 */
import { z } from 'zod';
import type { Clock } from '../../base/clock.ts';
import { CodedError } from '../../base/errors.ts';
import type { Connection } from '../../fibric/connection.ts';
import { CAPABILITIES } from '../../fibric/policy/capabilities.ts';
import { MAX_NAME_LENGTH } from '../../fibric/policy/document.ts';
import { CONNECTOR_TEST, type Grants } from '../../fibric/policy/grants.ts';
import { OPERATOR } from '../../fibric/policy/parse.ts';
import { TENANT_ID } from '../../kafka/topics.ts';
import { CONNECTION_ID } from './connection-record.ts';
import type { DocumentKind, Documents } from './documents.ts';

/** What one operator was granted of one connection. */
export interface GrantEntry {
  readonly connectionId: string;
  readonly operator: string;
  /** By name; never empty. */
  readonly capabilities: readonly string[];
  readonly updatedAtMs: number;
  readonly by: string;
}

export interface GrantRequest {
  readonly tenantId: string;
  readonly connectionId: string;
  readonly operator: string;
  readonly capability: string;
  readonly by: string;
}

export interface GrantStore {
  /** For deciding. The same object until a grant of the connection, or whether it has a key, changes. */
  of(connection: Pick<Connection, 'tenantId' | 'connectionId' | 'hasApiKey'>): Grants;
  list(tenantId: string): readonly GrantEntry[];
  /** Throws `config_invalid` for what is no capability or no operator's name. */
  grant(request: GrantRequest): Promise<void>;
  revoke(request: GrantRequest): Promise<void>;
  /** Revokes everything, for a connection that is removed: another may come under its id. */
  forget(connection: Pick<Connection, 'tenantId' | 'connectionId'>): Promise<void>;
  onChange(listener: (tenantId: string) => void): () => void;
}

interface GrantRecord {
  readonly capabilities: readonly string[];
  readonly updatedAtMs: number;
  readonly by: string;
}

const record = z.strictObject({
  version: z.literal(1),
  capabilities: z.array(z.string().min(1)).min(1),
  updated_at_ms: z.number().int().nonnegative(),
  by: z.string(),
});

const GRANT_DOCUMENTS: DocumentKind<GrantRecord> = {
  prefix: 'grant',
  parse(value) {
    const parsed = record.safeParse(value);
    if (!parsed.success) throw new CodedError('document_unreadable', 'the grant is damaged or of a newer version');
    const { capabilities, updated_at_ms: updatedAtMs, by } = parsed.data;
    return { capabilities, updatedAtMs, by };
  },
  encode: ({ capabilities, updatedAtMs, by }) => ({ version: 1, capabilities, updated_at_ms: updatedAtMs, by }),
};

/** Without a key nothing can be called: such a connection senses only. */
const EXPOSED: ReadonlySet<string> = new Set(CAPABILITIES.map(({ name }) => name));
const NONE: ReadonlySet<string> = new Set();

export function openGrantStore(documents: Documents, clock: Pick<Clock, 'nowMs'>): GrantStore {
  const table = documents.table(GRANT_DOCUMENTS);
  const known = new Map<string, Grants>();
  const listeners = new Set<(tenantId: string) => void>();
  table.onChange((key) => {
    const [tenantId = '', connectionId = ''] = key.split('/');
    known.delete(`${tenantId}/${connectionId}`);
    for (const listener of listeners) listener(tenantId);
  });

  const granted = (scope: string): Grants['granted'] =>
    new Map(
      table
        .list(`${scope}/`)
        .map(([key, { capabilities }]) => [key.slice(scope.length + 1), new Set(capabilities)] as const),
    );

  return {
    of({ tenantId, connectionId, hasApiKey }) {
      const scope = `${tenantId}/${connectionId}`;
      const exposed = hasApiKey ? EXPOSED : NONE;
      const before = known.get(scope);
      if (before?.exposed === exposed) return before;
      const now = { exposed, granted: before?.granted ?? granted(scope) };
      known.set(scope, now);
      return now;
    },
    list: (tenantId) =>
      table.list(`${tenantId}/`).map(([key, one]) => {
        const [, connectionId = '', operator = ''] = key.split('/');
        return { connectionId, operator, ...one };
      }),
    async grant(request) {
      check(request);
      const { capability, by } = request;
      await table.update(keyOf(request), (now) => {
        if (now?.capabilities.includes(capability) === true) return now;
        const capabilities = [...(now?.capabilities ?? []), capability].sort();
        return { capabilities, updatedAtMs: clock.nowMs(), by };
      });
    },
    async revoke(request) {
      const { capability, by } = request;
      await table.update(keyOf(request), (now) => {
        if (now?.capabilities.includes(capability) !== true) return now;
        const capabilities = now.capabilities.filter((one) => one !== capability);
        return capabilities.length === 0 ? null : { capabilities, updatedAtMs: clock.nowMs(), by };
      });
    },
    async forget({ tenantId, connectionId }) {
      const scope = `${tenantId}/${connectionId}/`;
      const keys = [...table.list(scope).map(([key]) => key), ...table.unreadable(scope).map(({ key }) => key)];
      for (const key of keys) await table.discard(key);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

function keyOf({ tenantId, connectionId, operator }: GrantRequest): string {
  return `${tenantId}/${connectionId}/${operator}`;
}

function check({ tenantId, connectionId, operator, capability }: GrantRequest): void {
  const problems = [
    ...(TENANT_ID.test(tenantId) ? [] : ['the tenant id is none']),
    ...(CONNECTION_ID.test(connectionId) ? [] : ['the connection id is none']),
    ...(OPERATOR.test(operator) && operator.length <= MAX_NAME_LENGTH ? [] : ["the operator's name is none"]),
    ...(operator === CONNECTOR_TEST ? [`the operator ${CONNECTOR_TEST} is reserved; nothing is granted to it`] : []),
    ...(EXPOSED.has(capability) ? [] : [`there is no such capability; there are ${[...EXPOSED].join(', ')}`]),
  ];
  if (problems.length > 0) throw new CodedError('config_invalid', problems.join('; '));
}
