/** The roles each operation asks for: any one of them will do. As the vendor's tables have it, its slips included. */
import type { Route } from './route.ts';

const one = (resource: string, verb: string, legacy: string): readonly string[] => [
  `org.permission.${resource}.${verb}`,
  `org.user.${resource}.${legacy}`,
];
const read = (resource: string): readonly string[] => one(resource, 'read', 'read');
const write = (resource: string, verb: 'create' | 'update'): readonly string[] => one(resource, verb, 'write');

/** `*` is the klass in the address. */
const kobject = (verb: string, legacy: string): readonly string[] => [
  ...one('kobject', verb, legacy),
  `org.permission.kobject.kobject_*.${verb}`,
];
const klass = ['org.permission.klass.read', 'org.user.klass.read', 'org.admin.klass.read'];
const webhook = (verb: string): readonly string[] => [
  `org.permission.outbound_webhook.${verb}`,
  'org.outbound_webhooks',
  'org.admin.outbound_webhooks',
];
const search = [
  'org.permission.search.create',
  'org.permission.search.update',
  'org.permission.search_global.create',
  'org.permission.search_preview.create',
  'org.user.search.read',
  'org.admin.search.read',
];
const anyKey: readonly string[] = [];

const ROLES: Readonly<Record<string, readonly string[]>> = {
  'GET /v1/users/current': anyKey,
  'GET /v1/auth/tokens/current': anyKey,
  'GET /v1/users': read('user'),
  'GET /v1/users/:id': read('user'),
  'GET /v1/teams': read('team'),
  'GET /v1/teams/:id': read('team'),
  'GET /v1/tags': read('tag'),
  'GET /v1/tags/:id': read('tag'),

  'GET /v1/conversations': read('conversation'),
  'POST /v1/conversations': write('conversation', 'create'),
  'GET /v1/conversations/:id': read('conversation'),
  'GET /v1/conversations/externalId=:externalId': read('conversation'),
  'PUT /v1/conversations/:id': write('conversation', 'update'),
  'PATCH /v1/conversations/:id': write('conversation', 'update'),
  'DELETE /v1/conversations/:id': one('conversation', 'delete', 'delete'),
  'POST /v1/conversations/:id/tags': write('conversation', 'update'),
  'DELETE /v1/conversations/:id/tags': one('conversation', 'delete', 'write'),
  'GET /v1/customers/:id/conversations': read('conversation'),
  'POST /v1/customers/:id/conversations': write('conversation', 'create'),

  'GET /v1/messages': read('message'),
  'POST /v1/messages': write('message', 'create'),
  'GET /v1/messages/:id': read('message'),
  'GET /v1/messages/externalId=:externalId': read('message'),
  'GET /v1/messages/externalid=:externalId': read('message'),
  'PUT /v1/messages/:id': [...write('message', 'update'), 'org.admin'],
  'PATCH /v1/messages/:id': [...write('message', 'update'), 'org.admin'],
  'GET /v1/conversations/:id/messages': read('message'),
  'POST /v1/conversations/:id/messages': [...write('message', 'create'), 'org.admin'],
  'GET /v1/customers/:id/messages': read('message'),

  // The legacy role is the vendor's slip: reading is enough to write.
  'POST /v1/conversations/:id/notes': ['org.permission.note.create', 'org.user.note.read', 'org.admin'],
  'POST /v1/notes': write('note', 'create'),
  'GET /v1/conversations/:id/notes': read('note'),
  'GET /v1/customers/:id/notes': read('note'),
  'GET /v1/notes': read('note'),
  'GET /v1/notes/:id': read('note'),
  'PUT /v1/notes/:id': [...write('note', 'update'), 'org.admin'],
  'PATCH /v1/notes/:id': [...write('note', 'update'), 'org.admin'],
  'DELETE /v1/notes/:id': one('note', 'delete', 'write'),

  'GET /v1/customers': read('customer'),
  'POST /v1/customers': write('customer', 'create'),
  'GET /v1/customers/:id': read('customer'),
  'GET /v1/customers/email=:email': read('customer'),
  'GET /v1/customers/phone=:phone': read('customer'),
  'GET /v1/customers/externalId=:externalId': read('customer'),
  'PUT /v1/customers/:id': write('customer', 'update'),
  'PATCH /v1/customers/:id': write('customer', 'update'),
  'DELETE /v1/customers/:id': one('customer', 'delete', 'delete'),
  'POST /v1/customers/merges': [
    'org.permission.customer_merge.create',
    'org.user.customer.write',
    'org.admin.customer.merge.write',
  ],
  // Creating, for a read: as the vendor prints it.
  'GET /v1/customers/merges/:id': [
    'org.permission.customer_merge.create',
    'org.user.customer.read',
    'org.admin.customer.merge.read',
  ],
  'GET /v1/customers/:id/merges': [
    'org.permission.customer_merge.read',
    'org.user.customer.read',
    'org.admin.customer.merge.read',
  ],
  'POST /v1/customers/search': search,
  'POST /v1/customers/archive/search': search,

  'GET /v1/klasses': klass,
  'GET /v1/klasses/:name': klass,
  'POST /v1/klasses/:name': kobject('create', 'write'),
  // The vendor's page has no table for this one; reading an object is the nearest.
  'GET /v1/klasses/:name/externalId=:externalId': kobject('read', 'read'),
  'GET /v1/klasses/:name/:id': kobject('read', 'read'),
  'PUT /v1/klasses/:name/:id': kobject('update', 'write'),
  'DELETE /v1/klasses/:name/:id': kobject('delete', 'delete'),
  'GET /v1/customers/:id/klasses/:name': read('customer'),
  'POST /v1/customers/:id/klasses/:name': kobject('create', 'write'),

  'GET /v1/satisfaction': read('satisfaction'),
  'GET /v1/satisfaction-responses/:id': [
    'org.permission.satisfaction_response.read',
    'org.permission.satisfaction.read',
    'org.user.satisfaction.read',
  ],
  'GET /v1/slas/:id': read('sla'),

  'GET /v1/outbound-webhooks': webhook('read'),
  'POST /v1/outbound-webhooks': webhook('create'),
  'GET /v1/outbound-webhooks/events': webhook('read'),
  'GET /v1/outbound-webhooks/transactions': webhook('read'),
  'GET /v1/outbound-webhooks/:id': webhook('read'),
  'GET /v1/outbound-webhooks/:id/transactions': webhook('read'),
  // No role to change one is known; the vendor's list has read, create and delete.
  'PATCH /v1/outbound-webhooks/:id': [...webhook('update'), 'org.permission.outbound_webhook.create'],
  'DELETE /v1/outbound-webhooks/:id': webhook('delete'),
};

export const ROLE_TABLE = ROLES;

/** Throws for a route without a row: an operation must not be open by oversight. */
export function rolesOf({ method, path }: Route, params: Readonly<Record<string, string>>): readonly string[] {
  const roles = ROLES[`${method} ${path}`];
  if (roles === undefined) throw new Error(`no roles for ${method} ${path}`);
  return roles.map((role) => role.replace('*', params['name'] ?? '*'));
}
