/** What the guide "Connect Kustomer" prints: its commands and its policy, to be typed as they stand. */

export const LOGIN = 'fibric auth login';
export const WHOAMI = 'fibric auth whoami';

export const SEARCH = `# find the connector, then install it bound to the support role
fibric connectors search kustomer`;

export const ADD = `fibric connectors add cn-kustomer --as support \\
--connection kustomer-prod \\
--config '{"subdomain":"acme"}'`;

/** The same with other configuration. */
export const addWith = (config: object): string => ADD.replace(`'{"subdomain":"acme"}'`, `'${JSON.stringify(config)}'`);

export const CAPABILITIES = 'fibric capabilities ls';

export const POLICY = `# governs writes back into Kustomer. default is deny.
policy: support-writes
rules:
- allow: conversation.note.write
  limit:
    per: hour
    max: 100
  single_flight: conversation_id # one write in flight per conversation
- allow: conversation.status.write
  limit:
    per: hour
    max: 25
default: deny
`;

export const APPLY = 'fibric policy apply ./policy.yaml';
export const VALIDATE = 'fibric policy validate support-writes';

export const TAIL = 'fibric events tail --source kustomer';

/** Each with the kind of delivery that is its primary path. */
export const EVENT_TYPES = [
  ['conversation.created', 'webhook'],
  ['conversation.message.created', 'webhook'],
  ['conversation.status.changed', 'webhook'],
  ['conversation.satisfaction.updated', 'webhook'],
  ['conversation.sla.breached', 'poll'],
  ['customer.updated', 'poll'],
] as const;

export const DRY_RUN = `fibric connectors test cn-kustomer note.write \\
--connection kustomer-prod \\
--args '{"conversation_id":"cnv_63k1","body":"connectivity check"}'`;

export const CONTRACT = 'fibric connectors test cn-kustomer --contract';

/** The permissions the guide lists, by the names Kustomer's own pages give them. */
export const LISTED_ROLES = [
  'org.permission.conversation.read',
  'org.permission.message.read',
  'org.permission.customer.read',
  'org.permission.note.create',
  'org.permission.conversation.update',
];

/** Without these Kustomer lets nobody poll, make a webhook, or look for a note whose answer was lost. */
export const FURTHER_ROLES = [
  'org.permission.search.create',
  'org.permission.outbound_webhook.read',
  'org.permission.outbound_webhook.create',
  'org.permission.outbound_webhook.delete',
  'org.permission.note.read',
];
