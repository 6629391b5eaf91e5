/** What the API of the tests holds at the beginning: the world of the connect guide, always the same. */
export const NOW = '2026-01-31T12:00:00.000Z';
export const NOW_MS = Date.parse(NOW);
export const TOKEN = 'sk_live_CanaryTokenCanaryTokenCanaryTokenCanary1';
export const ADMIN_TOKEN = 'sk_live_AdminAdminAdminAdminAdminAdminAdminAdmin';
export const NEW_TOKEN = 'sk_live_NewNewNewNewNewNewNewNewNewNewNewNewNewN';
export const READ_ONLY_TOKEN = 'sk_live_ReadOnlyReadOnlyReadOnlyReadOnlyReadOnly';
/** Keys of Kustomer are JSON web tokens. What they may do stands in the second part, as the tests read it. */
export const API_KEY = 'eyJhbGciOiJIUzI1NiJ9.Y2FuYXJ5LWZ1bGwta2V5.c2lnbmF0dXJl';
export const REVOKED_KEY = 'eyJhbGciOiJIUzI1NiJ9.Y2FuYXJ5LXJldm9rZWQ.c2lnbmF0dXJl';
export const READING_KEY = 'eyJhbGciOiJIUzI1NiJ9.Y2FuYXJ5LXJlYWRzLW9ubHk.c2lnbmF0dXJl';
export const LIMITED_KEY = 'eyJhbGciOiJIUzI1NiJ9.Y2FuYXJ5LXJhdGUtbGltaXRlZA.c2lnbmF0dXJl';

export const POLICY_YAML = `# governs writes back into Kustomer. default is deny.
policy: support-writes
rules:
  - allow: conversation.note.write
    limit:
      per: hour
      max: 100
    single_flight: conversation_id  # one write in flight per conversation
  - allow: conversation.status.write
    limit:
      per: hour
      max: 25
default: deny
`;

export type Json = Record<string, unknown>;

export const IDENTITY: Json = {
  object: 'identity',
  tenant_id: 't_acme',
  tenant_name: 'Acme',
  reseller_id: null,
  workspace_id: 'ws_main',
  key_id: 'key_5f0c2a',
  key_name: 'laptop',
  scopes: [
    ...['events:read', 'connectors:read', 'connectors:write', 'customers:read'],
    ...['actions:write', 'receipts:read', 'policies:write'],
  ],
  expires_at: '2026-02-01T00:00:00.000Z',
};

export const LISTING: Json = {
  object: 'listing',
  id: 'cn-kustomer',
  name: 'Kustomer',
  category: 'support',
  publisher: 'first-party',
  type: 'connector',
  auth: { kind: 'api_key' },
  tools: [
    { name: 'note.write', capability: 'conversation.note.write', side_effect: true },
    { name: 'status.write', capability: 'conversation.status.write', side_effect: true },
  ],
  events: [{ event_type: 'conversation.created', kind: 'webhook' }],
  config: [{ name: 'subdomain', type: 'string', required: true, default: null, description: 'the acme' }],
  about: 'Senses conversations, messages and customers. Acts idempotently.',
};

export const CAPABILITY_NAMES = [
  'conversation.read',
  'customer.read',
  'conversation.note.write',
  'conversation.status.write',
  'conversation.assignment.write',
  'call.status.write',
];

export function connectorOf(name: string, key: string, config: Json): Json {
  return {
    object: 'connector',
    id: `cn_${Buffer.from(name).toString('hex').slice(-6)}`,
    listing: 'cn-kustomer',
    name,
    role: 'support',
    kind: 'saas',
    transport: 'mcp',
    capabilities: CAPABILITY_NAMES,
    tools: LISTING['tools'],
    auth: { type: 'api_key', hint: `…${key.slice(-4)}` },
    config: { poll_interval: '60s', backfill_since: null, ...config },
    status: 'connected',
    status_detail: null,
    webhook_url: `https://hooks.example.com/webhooks/kustomer/cn_${Buffer.from(name).toString('hex').slice(-6)}`,
    installed_at: NOW,
    last_sense_at: null,
  };
}

export const EVENT_TYPES = ['conversation.created', 'conversation.message.created', 'conversation.status.changed'];

/** The n-th event, from 1. */
export function eventOf(n: number): Json {
  return {
    object: 'event',
    id: `ev_${String(n).padStart(4, '0')}`,
    event_id: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
    reseller_id: null,
    tenant_id: 't_acme',
    workspace_id: null,
    source: 'kustomer',
    event_type: EVENT_TYPES[(n - 1) % EVENT_TYPES.length],
    correlation_id: `co_${n}`,
    payload: { conversation_id: '63k1', customer_id: '65c0', status: n % 3 === 0 ? 'done' : 'open', preview: 'hello' },
    agent_id: null,
    session_id: null,
    observed_at: new Date(NOW_MS - 3_600_000 + n * 60_000).toISOString(),
    cursor: `cur_${n}`,
  };
}

export function receiptOf(fields: Json): Json {
  return {
    object: 'receipt',
    id: 'rc_0001',
    receipt_id: 'rc_0001',
    connector: 'cn-kustomer',
    connection: 'kustomer-prod',
    capability: 'conversation.note.write',
    entity_key: 'conversation:63k1',
    idempotency_key: 'key-1',
    operator: 'triage-analyst',
    correlation_id: 'co_1',
    mode: 'live',
    verdict: { decision: 'ALLOW', rule: 'allow: conversation.note.write', tier: null },
    policy: { name: 'support-writes', version: 1 },
    approver: null,
    outcome: 'applied',
    unchanged: false,
    first_receipt_id: null,
    attempts: 1,
    reconciled: false,
    vendor: { type: 'note', id: '65f1c0de' },
    timings: { disposed_at: NOW },
    error: null,
    cursor: 'cur_1',
    ...fields,
  };
}

export const APPROVAL: Json = {
  object: 'approval',
  id: 'apr_7c1e',
  state: 'waiting',
  capability: 'conversation.status.write',
  args: { conversation_id: '63k1', status: 'done' },
  operator: 'triage-analyst',
  connection: 'kustomer-prod',
  entity_key: 'conversation:63k1',
  idempotency_key: 'key-held',
  policy: { name: 'support-writes', version: 1 },
  held_at: NOW,
  expires_at: '2026-02-03T12:00:00.000Z',
};
