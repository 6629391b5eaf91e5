/**
 * What every parameter and field of the API stands for, by its name and where it stands. A route whose fields are all known
 * is covered by the wall as soon as it is in the table of routes; one with a field that is not known here fails the wall.
 */
import { z } from 'zod';
import type { Route } from '../../../../src/api/route.ts';

/** Things a tenant has, and that have a name another tenant could guess. */
export const KINDS = [
  'tenant',
  'token',
  'listing',
  'connector',
  'connectorName',
  'policy',
  'document',
  'operator',
  'event',
  'receipt',
  'approval',
  'command',
  'entity',
  'idempotencyKey',
  'correlation',
  'conversation',
  'customer',
  'cursor',
  'secret',
  'vendor',
  'args',
] as const;
export type Kind = (typeof KINDS)[number];

export type Place = 'path' | 'query' | 'body';

export interface Field {
  readonly place: Place;
  readonly name: string;
  /** Null for what names nothing: a number, a word of a list, free text. */
  readonly kind: Kind | null;
  readonly required: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: a JSON Schema is anything
  readonly schema: any;
}

/** Of `/v1/<word>/:id`. */
const OF_PATH: Readonly<Record<string, Kind>> = {
  tenants: 'tenant',
  tokens: 'token',
  listings: 'listing',
  connectors: 'connector',
  policies: 'policy',
  events: 'event',
  receipts: 'receipt',
  approvals: 'approval',
  conversations: 'conversation',
  customers: 'customer',
};

const NAMED: Readonly<Record<string, Kind | null>> = {
  args: 'args',
  api_key: 'secret',
  capability: null,
  command_id: 'command',
  config: null,
  connection: 'connector',
  correlation_id: 'correlation',
  cursor: 'cursor',
  deadline: null,
  document: 'document',
  entity_key: 'entity',
  event_id: 'event',
  event_type: null,
  expires_at: null,
  follow: null,
  idempotency_key: 'idempotencyKey',
  limit: null,
  listing: null,
  mode: null,
  note: null,
  operator: 'operator',
  outcome: null,
  q: null,
  resend: null,
  reseller_id: 'tenant',
  role: null,
  scopes: null,
  since: null,
  source: null,
  state: null,
  status: null,
  tool: null,
  value: null,
  vendor_id: 'vendor',
  verdict: null,
  version: null,
  wait_ms: null,
  webhook_token: 'secret',
  workspace_id: 'tenant',
};

/** Where the same name means several things. */
const OF_ROUTE: Readonly<Record<string, Kind | null>> = {
  'createTenant body id': 'tenant',
  'createTenant body name': null,
  'createTenantToken body name': null,
  'createToken body name': null,
  'installConnector body name': 'connectorName',
};

/** Throws for a field that nobody has said the meaning of. */
export function fieldsOf(route: Route): readonly Field[] {
  const { id, url, params, query, body } = route;
  const named = [...url.matchAll(/\/([a-z_]+)\/:(\w+)/g)].map(([, word = '', name = '']) => [name, word] as const);
  const words = new Map(named);
  const inUrl = [...url.matchAll(/:(\w+)/g)].map(([, name = '']) => name);
  const path = inUrl.map((name): Field => {
    const kind = OF_PATH[words.get(name) ?? ''];
    if (kind === undefined) throw new Error(`${id}: what is :${name} of ${url}? Say it in wall/kinds.ts`);
    const schema = params === undefined ? {} : (jsonSchema(params).properties?.[name] ?? {});
    return { place: 'path', name, kind, required: true, schema };
  });
  return [...path, ...inObject(id, 'query', query), ...inObject(id, 'body', body)];
}

function inObject(id: string, place: Place, schema: z.ZodType | undefined): readonly Field[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = jsonSchema(schema);
  return Object.entries(properties).map(([name, one]): Field => {
    const own = OF_ROUTE[`${id} ${place} ${name}`];
    const kind = own === undefined ? NAMED[name] : own;
    if (kind === undefined) throw new Error(`${id}: what is ${name} in its ${place}? Say it in wall/kinds.ts`);
    return { place, name, kind, required: required.includes(name), schema: one };
  });
}

// biome-ignore lint/suspicious/noExplicitAny: a JSON Schema is anything
function jsonSchema(schema: z.ZodType): any {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
}
