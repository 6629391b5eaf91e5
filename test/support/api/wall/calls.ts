/**
 * Calls across the wall, made from the table of routes: with the token of one tenant and, in at least one place, something of
 * the other. All of it comes from a seed, and nothing of it from what was answered.
 */
import type { Route } from '../../../../src/api/route.ts';
import type { Random } from '../../../../src/simulator/model/random.ts';
import type { Inventory } from './furnish.ts';
import { type Field, fieldsOf, KINDS, type Kind } from './kinds.ts';

/** A text, or the caller's own thing of that kind, which has another id in each world. */
export type Value = { readonly own: Kind; readonly index: number } | { readonly text: unknown };

export interface WallCall {
  readonly route: string;
  readonly method: string;
  readonly url: string;
  readonly path: Readonly<Record<string, Value>>;
  readonly query: Readonly<Record<string, Value>>;
  /** Undefined = none. */
  readonly body: Readonly<Record<string, Value>> | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/** Values of what names nothing. Where there is none of that name, the schema says what may stand there. */
const PLAIN: Readonly<Record<string, readonly unknown[]>> = {
  capability: ['conversation.note.write', 'conversation.read', 'customer.read', 'conversation.status.write'],
  config: [{}, { subdomain: 'acme' }, { subdomain: 'acme', poll_interval: '1s' }, { poll_interval: '90s' }],
  deadline: [null, '2031-01-01T00:00:00Z', 'soon'],
  event_type: ['conversation.*.*', 'conversation.created', '*'],
  expires_at: [null, '2031-01-01T00:00:00Z'],
  follow: ['false'],
  limit: ['1', '3', '100', '0'],
  listing: ['cn-kustomer'],
  name: ['a name', 'another'],
  note: [null, 'seen'],
  q: ['kustomer', 'far', ''],
  scopes: [['read_only'], ['admin'], ['events:read', 'keys:write']],
  since: ['7d', '2026-01-01T00:00:00Z', '2020-01-01', '2031-01-01T00:00:00Z'],
  source: ['kustomer', 'far'],
  tool: ['note.write', 'conversation.read', 'nothing'],
  value: [null, 1, 1e9],
  version: ['1', '2'],
  wait_ms: [0],
};

/** Without these a call would wait for what nobody does here, or ask Kustomer what it says differently every time. */
const ALWAYS = new Set(['follow', 'wait_ms', 'limit']);
const ASKS_KUSTOMER = new Set(['checkConnector', 'getWebhook']);
/** Never asked about the caller's own: that would wait for a sink there is none of, or take away what the next calls need. */
const OTHERS_ONLY = new Set([
  ...ASKS_KUSTOMER,
  ...['approveApproval', 'rejectApproval', 'resolveReceipt', 'revokeToken', 'removeConnector'],
]);
/** What is made under a name of the caller's choice is the caller's own afterwards: only names that say so may be taken. */
const CLAIMS: ReadonlySet<Kind> = new Set(['connectorName', 'operator', 'document']);

const NO_OWN: ReadonlySet<Kind> = new Set(['args', 'cursor', 'approval']);

export function callsAcross(routes: readonly Route[], far: Inventory, random: Random) {
  const known = routes.filter(({ scope }) => scope !== 'public').map((route) => ({ route, fields: fieldsOf(route) }));
  const everything = KINDS.flatMap((kind) => (CLAIMS.has(kind) ? [] : far.ids[kind]));
  const theirs = (kind: Kind): Value => {
    if (kind === 'args')
      return { text: { conversation_id: random.pick(far.ids.conversation), body: random.pick(everything) } };
    const strange = !CLAIMS.has(kind) && random.chance(0.1);
    return { text: random.pick(strange ? everything : far.ids[kind]) };
  };
  // Grants are listed in the order of connections' ids, which are random: a page of them must have them all.
  const plain = (route: string, field: Field): Value => ({
    text: route === 'listGrants' && field.name === 'limit' ? '100' : plainValue(field, random),
  });

  return function next(): WallCall {
    const { route, fields } = random.pick(known);
    const picked = fields.filter(
      ({ required, name, kind }) => required || ALWAYS.has(name) || random.chance(kind === null ? 0.3 : 0.6),
    );
    // Now and then only headers speak of the other tenant: what the caller sees of its own must hold nothing of it either.
    const isOwn = !OTHERS_ONLY.has(route.id) && random.chance(0.15);
    const naming = picked.filter(({ kind }) => kind !== null && !(isOwn && NO_OWN.has(kind)));
    // Otherwise one place at least is of the other tenant; the others may be the caller's own.
    const first = naming.length === 0 || isOwn ? undefined : random.pick(naming);
    const given = picked.filter((field) => field.kind === null || field.required || naming.includes(field));
    const values = given.map((field): readonly [Field, Value] => {
      if (field.kind === null) return [field, plain(route.id, field)];
      const mayBeOwn = field !== first && !NO_OWN.has(field.kind) && !OTHERS_ONLY.has(route.id);
      if (mayBeOwn && random.chance(isOwn ? 1 : 0.3)) {
        return [field, { own: field.kind, index: random.int(8) }];
      }
      return [field, theirs(field.kind)];
    });
    const of = (place: Field['place']) =>
      Object.fromEntries(values.filter(([field]) => field.place === place).map(([{ name }, value]) => [name, value]));
    const tenancy = !isOwn && (naming.length === 0 || random.chance(0.08));
    const named = { [random.pick(['tenant_id', 'reseller_id', 'workspace_id'])]: { text: far.tenantId } };
    const inBody = tenancy && route.body !== undefined && random.chance(0.7);
    const repeated = route.method === 'POST' && random.chance(0.3);
    const streams = !isOwn && route.streams !== undefined && random.chance(0.6);
    return {
      route: route.id,
      method: route.method,
      url: route.url,
      path: of('path'),
      query: { ...of('query'), ...(tenancy && !inBody && named) },
      body: route.body === undefined ? undefined : { ...of('body'), ...(inBody && named) },
      headers: {
        ...(repeated && { 'idempotency-key': random.pick(far.ids.idempotencyKey) }),
        ...(streams && { 'last-event-id': random.pick(far.ids.cursor) }),
        ...((isOwn || random.chance(0.05)) && { 'x-tenant-id': far.tenantId, 'x-forwarded-for': far.tenantId }),
      },
    };
  };
}

/** The other tenant's own requests again, word for word and under its own keys. */
export function repetitionsOf(far: Inventory): readonly WallCall[] {
  return far.repeatable.map(({ method, url, body }, i) => ({
    ...{ route: url, method, url, path: {}, query: {} },
    body: Object.fromEntries(Object.entries(body as object).map(([name, text]) => [name, { text }])),
    headers: { 'idempotency-key': far.ids.idempotencyKey[i] as string },
  }));
}

function plainValue({ name, schema }: Field, random: Random): unknown {
  const values = PLAIN[name];
  if (values !== undefined) return random.pick(values);
  const branches = [schema, ...(schema.anyOf ?? [])];
  for (const { enum: words, const: word, type } of branches) {
    if (words !== undefined) return random.pick(words);
    if (word !== undefined) return word;
    if (type === 'boolean') return random.chance(0.5);
    if (type === 'integer' || type === 'number') return random.int(3);
  }
  return 'text';
}

export interface Sent {
  readonly url: string;
  readonly body: unknown;
}

/** A call in one world: there the caller's own things have their own ids. */
export function inWorld({ url, path, query, body }: WallCall, own: Inventory): Sent {
  const text = (value: Value): unknown => {
    if ('text' in value) return value.text;
    const all = own.ids[value.own];
    return all[value.index % Math.max(1, all.length)] ?? 'none';
  };
  const filled = url.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(String(text(path[name] as Value))));
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(String(text(value)))}`);
  return {
    url: pairs.length === 0 ? filled : `${filled}?${pairs.join('&')}`,
    body: body && Object.fromEntries(Object.entries(body).map(([name, value]) => [name, text(value)])),
  };
}
