/** The routes of the contract, over the small world of the tests. */
import { CAPABILITIES } from '../../../src/fibric/policy/capabilities.ts';
import { parsePolicy } from '../../../src/fibric/policy/parse.ts';
import { tryAction } from './fake-actions.ts';
import { type Answer, type Asked, type FakeApi, Refusal, type World } from './fake-api.ts';
import { installConnector } from './fake-connectors.ts';
import { matchesGlob, pageOf } from './fake-http.ts';
import { CAPABILITY_NAMES, IDENTITY, type Json, LISTING, NEW_TOKEN, NOW, receiptOf } from './fixtures.ts';

type Handler = (asked: Asked, ids: readonly string[], world: World, api: Streams) => Answer;
type Streams = Pick<FakeApi, 'events' | 'receipts'>;

const ok = (body: unknown): Answer => ({ status: 200, body });

const TABLE: readonly (readonly [method: string, path: RegExp, handler: Handler])[] = [
  ['GET', /^\/v1\/whoami$/, () => ok(IDENTITY)],
  [
    'GET',
    /^\/v1\/listings$/,
    (asked) =>
      list(
        JSON.stringify(LISTING)
          .toLowerCase()
          .includes((asked.query['q'] ?? '').toLowerCase())
          ? [LISTING]
          : [],
        asked,
      ),
  ],
  ['GET', /^\/v1\/listings\/([^/]+)$/, (_, [id]) => ok(id === 'cn-kustomer' ? LISTING : missing('listing'))],
  ['GET', /^\/v1\/connectors$/, (asked, _, world) => list(world.connectors, asked)],
  ['POST', /^\/v1\/connectors$/, (asked, _, world) => installConnector(asked.body as Json, world)],
  ['GET', /^\/v1\/connectors\/([^/]+)$/, (_, [ref], world) => ok(connector(world, ref))],
  [
    'DELETE',
    /^\/v1\/connectors\/([^/]+)$/,
    (_, [ref], world) => {
      const one = connector(world, ref);
      world.connectors = world.connectors.filter((other) => other !== one);
      return ok(one);
    },
  ],
  [
    'POST',
    /^\/v1\/connectors\/([^/]+)\/test$/,
    (asked, [ref], world) => tryAction(asked.body as Json, connector(world, ref), world),
  ],
  ['POST', /^\/v1\/connectors\/([^/]+)\/contract$/, (_, [ref], world) => ok(contractOf(connector(world, ref)))],
  ['GET', /^\/v1\/connectors\/([^/]+)\/webhook$/, (_, [ref], world) => ok(webhookOf(connector(world, ref)))],
  [
    'GET',
    /^\/v1\/connectors\/([^/]+)\/backfills$/,
    (asked, [ref], world) => list(backfillsOf(connector(world, ref)), asked),
  ],
  [
    'POST',
    /^\/v1\/connectors\/([^/]+)\/backfills$/,
    (asked, [ref], world) => {
      const one = connector(world, ref);
      one['backfill'] = (asked.body as Json)['since'];
      return { status: 202, body: { object: 'list', data: backfillsOf(one), has_more: false, next_cursor: null } };
    },
  ],
  [
    'GET',
    /^\/v1\/capabilities$/,
    (asked, _, world) =>
      list(
        world.connectors.flatMap((one) => capabilitiesOf(one, world)),
        asked,
      ),
  ],
  ['GET', /^\/v1\/grants$/, (asked, _, world) => list(grantsOf(world, asked.query['operator']), asked)],
  [
    'PUT',
    /^\/v1\/grants$/,
    (asked, _, world) => {
      const { operator, capability } = asked.body as { operator: string; capability: string };
      if (!CAPABILITY_NAMES.includes(capability))
        throw new Refusal(
          422,
          'validation_failed',
          `capability is no capability; there are ${CAPABILITY_NAMES.join(', ')}`,
        );
      world.grants.push({ operator, capability });
      return ok(grantsOf(world, operator)[0]);
    },
  ],
  [
    'DELETE',
    /^\/v1\/grants$/,
    (asked, _, world) => {
      const { operator, capability } = asked.query;
      world.grants = world.grants.filter((one) => one.operator !== operator || one.capability !== capability);
      return ok(grantsOf(world, operator)[0] ?? { object: 'grant', operator, capabilities: [] });
    },
  ],
  ['GET', /^\/v1\/policies$/, (asked, _, world) => list(world.policies, asked)],
  ['POST', /^\/v1\/policies$/, (asked, _, world) => applyPolicy(asked.body as Json, world)],
  [
    'POST',
    /^\/v1\/policies\/validate$/,
    (asked) => ok({ object: 'policy_validation', problems: problemsOf(String((asked.body as Json)['document'])) }),
  ],
  ['GET', /^\/v1\/policies\/([^/]+)$/, (asked, [name], world) => ok(policy(world, name, asked.query['version']))],
  [
    'POST',
    /^\/v1\/policies\/([^/]+)\/disable$/,
    (_, [name], world) => ok(Object.assign(policy(world, name), { status: 'disabled' })),
  ],
  [
    'DELETE',
    /^\/v1\/policies\/([^/]+)$/,
    (_, [name], world) => {
      const one = policy(world, name);
      world.policies = world.policies.filter((other) => other !== one);
      return ok({ ...one, status: 'deleted' });
    },
  ],
  [
    'GET',
    /^\/v1\/events$/,
    (asked, _ids, _world, { events }) => list(filtered(events.entries, asked.query).toReversed(), asked),
  ],
  [
    'GET',
    /^\/v1\/events\/([^/]+)$/,
    (_, [id], _world, { events }) => ok(events.entries.find((one) => one['id'] === id) ?? missing('event')),
  ],
  ['POST', /^\/v1\/actions$/, (asked, _, world) => tryAction(asked.body as Json, undefined, world)],
  [
    'GET',
    /^\/v1\/receipts$/,
    (asked, _ids, _world, { receipts }) => list(receiptsLike(receipts.entries, asked.query).toReversed(), asked),
  ],
  [
    'GET',
    /^\/v1\/receipts\/([^/]+)$/,
    (_, [id], _world, { receipts }) => ok(receipts.entries.find((one) => one['id'] === id) ?? missing('receipt')),
  ],
  [
    'POST',
    /^\/v1\/receipts\/([^/]+)\/resolve$/,
    (asked, [id], world) => {
      world.resolved.push({ id, ...(asked.body as Json) });
      const { outcome, resend } = asked.body as Json;
      return ok({ object: 'parked', id, state: outcome, receipt: null, command_id: resend === true ? 'cmd_2' : null });
    },
  ],
  ['GET', /^\/v1\/approvals$/, (asked, _, world) => list(world.approvals, asked)],
  ['GET', /^\/v1\/approvals\/([^/]+)$/, (_, [id], world) => ok(approval(world, id))],
  [
    'POST',
    /^\/v1\/approvals\/([^/]+)\/(approve|reject)$/,
    (_, [id, verb], world) => ok(answered(approval(world, id), verb === 'approve')),
  ],
  ['GET', /^\/v1\/tenants$/, (asked, _, world) => list(world.tenants, asked)],
  [
    'POST',
    /^\/v1\/tenants$/,
    (asked, _, world) => {
      const { id = 't_5c21', name, reseller_id = null } = asked.body as Json;
      const made = { object: 'tenant', id, name, reseller_id, created_at: NOW };
      world.tenants.push(made);
      return { status: 201, body: made };
    },
  ],
  [
    'POST',
    /^\/v1\/(?:tenants\/([^/]+)\/)?tokens$/,
    (asked, [tenant], world) => {
      const { name, scopes, expires_at = null } = asked.body as Json;
      const made = {
        ...{ object: 'api_key', id: `key_${world.tokens.length + 1}a2b`, tenant_id: tenant ?? 't_acme', name },
        ...{ scopes: expanded(scopes as readonly string[]), hint: `…${NEW_TOKEN.slice(-4)}`, status: 'active' },
        ...{ workspace_id: null, created_at: NOW, expires_at, last_used_at: null },
      };
      world.tokens.push(made);
      return { status: 201, body: { ...made, token: NEW_TOKEN } };
    },
  ],
  [
    'GET',
    /^\/v1\/(?:tenants\/([^/]+)\/)?tokens$/,
    (asked, [tenant = 't_acme'], world) =>
      list(
        world.tokens.filter((one) => one['tenant_id'] === tenant),
        asked,
      ),
  ],
  [
    'DELETE',
    /^\/v1\/tokens\/([^/]+)$/,
    (_, [id], world) =>
      ok(Object.assign(world.tokens.find((one) => one['id'] === id) ?? missing('token'), { status: 'revoked' })),
  ],
  ['GET', /^\/v1\/parked$/, (asked, _, world) => list(world.parked, asked)],
  [
    'GET',
    /^\/v1\/read\/conversations\/([^/]+)$/,
    (_, [id]) => ok(id === '63k1' ? CONVERSATION : missing('conversation')),
  ],
  ['GET', /^\/v1\/read\/customers\/([^/]+)$/, (_, [id]) => ok(id === '65c0' ? CUSTOMER : missing('customer'))],
];

export function routes(asked: Asked, world: World, api: Streams): Answer {
  for (const [method, path, handler] of TABLE) {
    const match = path.exec(asked.path);
    if (match === null || method !== asked.method) continue;
    const ids = match.slice(1).map((id: string | undefined) => (id === undefined ? id : decodeURIComponent(id)));
    return handler(asked, ids as string[], world, api);
  }
  return missing('route');
}

/** As the API does; the presets that the tests name. */
function expanded(scopes: readonly string[]): readonly string[] {
  const presets: Record<string, readonly string[]> = {
    read_only: ['events:read', 'connectors:read', 'actions:read', 'receipts:read', 'policies:read'],
  };
  return scopes.flatMap((scope) => presets[scope] ?? [scope]);
}

function missing(what: string): never {
  throw new Refusal(404, 'not_found', `no such ${what}`);
}

function list(all: readonly Json[], { query }: Asked): Answer {
  const page = pageOf(all, query);
  if (page === null) throw new Refusal(400, 'invalid_parameter', 'limit is a whole number from 1 to 100');
  return ok(page);
}

function connector(world: World, ref: string | undefined): Json {
  return world.connectors.find((one) => one['id'] === ref || one['name'] === ref) ?? missing('connector');
}

function policy(world: World, name: string | undefined, version?: string): Json {
  const one = world.policies.find((known) => known['name'] === name) ?? missing('policy');
  if (version === undefined) return one;
  const documents = one['documents'] as string[];
  const document = documents[Number(version) - 1] ?? missing('policy');
  return { ...one, version: Number(version), document };
}

function approval(world: World, id: string | undefined): Json {
  return world.approvals.find((one) => one['id'] === id) ?? missing('approval');
}

/** With its receipt: what was approved is carried out. */
function answered(one: Json, yes: boolean): Json {
  const { id, capability, idempotency_key, policy } = one;
  const verdict = { decision: yes ? 'ALERT' : 'BLOCK', rule: `require_confirmation: ${capability}`, tier: null };
  const refusal = {
    code: 'confirmation_rejected',
    message: 'a person refused it',
    next_step: 'Ask why.',
    problems: [],
  };
  const outcome = yes
    ? { outcome: 'applied', vendor: { type: 'conversation', id: '63k1' }, approver: 'key_5f0c2a (laptop)' }
    : { outcome: 'refused', vendor: null, error: refusal };
  const receipt = receiptOf({ id: 'rc_0009', capability, idempotency_key, policy, verdict, ...outcome });
  return {
    object: 'approval',
    id,
    state: yes ? 'approved' : 'rejected',
    receipt_id: 'rc_0009',
    receipt,
    command_id: null,
  };
}

function problemsOf(document: string): readonly Json[] {
  const parsed = parsePolicy(document, CAPABILITIES);
  if (parsed.ok) return [];
  return parsed.problems.map(({ problem, ...rest }) => ({ field: null, message: problem, ...rest }));
}

function applyPolicy(body: Json, world: World): Answer {
  const document = String(body['document']);
  const parsed = parsePolicy(document, CAPABILITIES);
  if (!parsed.ok) throw new Refusal(422, 'policy_invalid', 'the policy does not compile', problemsOf(document));
  const { name, rules } = parsed.document;
  const before = world.policies.find((one) => one['name'] === name);
  const documents = [...((before?.['documents'] as string[] | undefined) ?? []), document];
  const isSame = before !== undefined && before['document'] === document && before['status'] === 'active';
  const made: Json = isSame
    ? before
    : {
        object: 'policy',
        id: 'grd_1f2e',
        name,
        status: 'active',
        version: documents.length,
        document,
        rules: rules.map(({ kind, capability }) => ({ [kind]: capability })),
        created_at: NOW,
        updated_at: NOW,
        documents,
      };
  world.policies = [...world.policies.filter((one) => one !== before), made];
  const change = isSame ? 'unchanged' : before === undefined ? 'created' : 'changed';
  return ok({ ...made, documents: undefined, change });
}

function capabilitiesOf(one: Json, world: World): readonly Json[] {
  return CAPABILITY_NAMES.map((capability) => ({
    object: 'capability',
    capability,
    connector: one['listing'],
    connection: one['name'],
    side_effect: capability.endsWith('.write'),
    status: 'ready',
    granted_to: world.grants.filter((grant) => grant.capability === capability).map(({ operator }) => operator),
  }));
}

function grantsOf(world: World, only: string | undefined): readonly Json[] {
  const operators = [...new Set(world.grants.map(({ operator }) => operator))].filter((one) => (only ?? one) === one);
  return operators.map((operator) => ({
    object: 'grant',
    operator,
    connection: 'kustomer-prod',
    capabilities: world.grants.filter((one) => one.operator === operator).map(({ capability }) => capability),
    updated_at: NOW,
  }));
}

function contractOf(one: Json): Json {
  const failing = one['webhooks'] === 'off';
  const webhook = failing
    ? {
        name: 'webhook_health',
        ok: false,
        status: 'failed',
        code: 'disabled',
        message: 'Kustomer has switched the webhook off',
        next_step: 'Switch it on again in Kustomer under Settings → Outbound webhooks.',
      }
    : { name: 'webhook_health', ok: true, status: 'ok', code: 'ok', message: 'delivered 12 s ago', next_step: null };
  const checks = [
    webhook,
    {
      name: 'signature',
      ok: true,
      status: 'ok',
      code: 'ok',
      message: 'a probe of our own was signed, sent and accepted',
      next_step: null,
    },
    { name: 'poll_lag', ok: true, status: 'ok', code: 'ok', message: '14 s behind', next_step: null },
    { name: 'permissions', ok: true, status: 'ok', code: 'ok', message: 'all that is needed', next_step: null },
    {
      name: 'budget',
      ok: null,
      status: 'unknown',
      code: 'unknown',
      message: 'nothing was asked of Kustomer yet',
      next_step: null,
    },
  ];
  return { object: 'contract_report', connector: one['id'], ok: !failing, checks };
}

function webhookOf(one: Json): Json {
  const off = one['webhooks'] === 'off';
  return {
    object: 'webhook_health',
    connector: one['id'],
    url: one['webhook_url'],
    tokens: 1,
    status: off ? 'degraded' : 'connected',
    reason: off ? 'disabled' : null,
    message: off ? 'Kustomer has switched the webhook off' : 'webhooks are as they should be',
    webhooks: [
      { id: 'wh_1', current: true, enabled: !off, last_delivered_at: NOW, failures_since: 0, missing_events: [] },
    ],
  };
}

function backfillsOf(one: Json): readonly Json[] {
  if (one['backfill'] === undefined) return [];
  return ['conversations', 'messages'].map((stream) => ({
    object: 'backfill',
    connector: one['id'],
    stream,
    status: 'running',
    since: one['backfill'],
    covered_from: '2026-01-20T00:00:00.000Z',
    read_up_to: '2026-01-20T00:00:00.000Z',
    rows_done: 1200,
    rows_left: 300,
    updated_at: NOW,
  }));
}

function filtered(
  events: readonly Json[],
  { source, event_type: glob, since }: Readonly<Record<string, string>>,
): readonly Json[] {
  return events.filter(
    (one) =>
      (source ?? one['source']) === one['source'] &&
      (glob === undefined || matchesGlob(glob, String(one['event_type']))) &&
      (since === undefined || String(one['observed_at']) >= since),
  );
}

function receiptsLike(receipts: readonly Json[], query: Readonly<Record<string, string>>): readonly Json[] {
  return receipts.filter(
    (one) =>
      (query['verdict'] === undefined || (one['verdict'] as Json)['decision'] === query['verdict']) &&
      (query['idempotency_key'] === undefined || one['idempotency_key'] === query['idempotency_key']),
  );
}

const CONVERSATION: Json = {
  object: 'conversation',
  id: '63k1',
  status: 'open',
  subject: 'Where is my order?',
  customer_id: '65c0',
  tags: ['order', 'delay'],
  messages: [
    { id: 'm1', direction: 'in', channel: 'email', sent_at: NOW, preview: 'Where is my order?' },
    { id: 'm2', direction: 'out', channel: 'email', sent_at: NOW, preview: 'It is on its way.' },
  ],
};

const CUSTOMER: Json = {
  object: 'customer',
  id: '65c0',
  name: 'Ada Example',
  orders: [{ id: 'SO-10884', status: 'shipped', total: 120 }],
  contact_history: [{ conversation_id: '63k1', status: 'open', last_message_at: NOW }],
};
