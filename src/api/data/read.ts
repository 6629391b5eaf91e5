/**
 * The read capabilities: a conversation or a customer as Kustomer has it now. Nothing is changed, and nothing receipted.
 *
 * R1  A scope of its own opens them: what is read is the customers', with the tenant's key.
 * R2  An operator reads what it was granted and nothing else. Only who may administer connections, and so could grant it, reads
 *     under no operator's name.
 */
import { z } from 'zod';
import type { Connection } from '../../fibric/connection.ts';
import { CONNECTOR_TEST, type Grants, grantOf } from '../../fibric/policy/grants.ts';
import type { TenantCaller } from '../caller.ts';
import { ApiError, notFound } from '../errors.ts';
import { RESERVED_OPERATOR } from '../names.ts';
import { defineRoute, type Route } from '../route.ts';
import type { DataPorts, VendorRead, VendorRefusal } from './ports.ts';

const fields = z.record(z.string(), z.unknown());

const readQuery = z.strictObject({
  connection: z.string().max(255).optional().describe('Id or name; may be left out where there is only one.'),
  operator: z
    .string()
    .max(255)
    .refine((name) => name !== CONNECTOR_TEST, RESERVED_OPERATOR)
    .optional()
    .describe('Read as this operator: it must have been granted the capability. Needed without connectors:write.'),
});

const conversationRow = fields.describe('The fields of the conversation, and its `messages`, oldest first.');
const customerRow = fields.describe('The fields of the customer, its `orders` and its `contacts`.');

export type ReadRouteOptions = Pick<DataPorts, 'read' | 'connections' | 'grants' | 'log'>;

export function readRoutes({ read, connections, grants, log }: ReadRouteOptions): readonly Route[] {
  const through = (caller: TenantCaller, asked: z.output<typeof readQuery>, capability: string): Connection => {
    const { tenantId } = caller;
    const connection = chosen(connections.list(tenantId), connections.find(tenantId, asked.connection ?? ''), asked);
    const refusal = refusalOf(caller, asked.operator, { connection, capability, grants: grants.of(connection) });
    if (refusal !== null) throw refusal;
    return connection;
  };
  const answer = <T>(outcome: VendorRead<T>): T => {
    if (outcome.ok) return outcome.value;
    throw refused(outcome.refusal, log.clock.nowMs());
  };
  return [
    defineRoute({
      id: 'readConversation',
      method: 'GET',
      url: '/v1/read/conversations/:id',
      summary: 'A conversation with its messages, from Kustomer (conversation.read).',
      tag: 'read',
      scope: 'customers:read',
      params: z.strictObject({ id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/) }),
      query: readQuery,
      response: { 200: conversationRow },
      handler: async ({ caller, params: { id }, query, signal }) => {
        const connection = through(caller, query, 'conversation.read');
        const found = answer(await read.conversation(connection, id, signal));
        const body = {
          object: 'conversation',
          connection: connection.name,
          ...found.conversation,
          messages_complete: found.messagesComplete,
          messages: found.messages,
        };
        return { body };
      },
    }),
    defineRoute({
      id: 'readCustomer',
      method: 'GET',
      url: '/v1/read/customers/:id',
      summary: 'A customer with orders and contact history, from Kustomer (customer.read).',
      tag: 'read',
      scope: 'customers:read',
      params: z.strictObject({ id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/) }),
      query: readQuery,
      response: { 200: customerRow },
      handler: async ({ caller, params: { id }, query, signal }) => {
        const connection = through(caller, query, 'customer.read');
        const found = answer(await read.customer(connection, id, signal));
        const body = {
          object: 'customer',
          connection: connection.name,
          ...found.customer,
          orders_state: found.ordersState,
          orders: found.orders,
          contacts_complete: found.contactsComplete,
          contacts: found.contacts,
        };
        return { body };
      },
    }),
  ];
}

interface Asking {
  readonly connection: Connection;
  readonly capability: string;
  readonly grants: Grants;
}

/** R2. Null where it may be read. */
function refusalOf({ scopes }: TenantCaller, operator: string | undefined, asking: Asking): ApiError | null {
  const { connection, capability, grants } = asking;
  const { name, hasApiKey } = connection;
  if (!hasApiKey || !grants.exposed.has(capability)) {
    return new ApiError('capability_not_exposed', `${name} does not expose ${capability}: it has no API key`);
  }
  if (operator === undefined) {
    if (scopes.has('connectors:write')) return null;
    const message = `the token lacks the scope connectors:write, so it needs an operator that was granted ${capability}`;
    return new ApiError('insufficient_scope', message);
  }
  if (grantOf(grants, operator, capability) === 'granted') return null;
  return new ApiError('grant_missing', `the operator was not granted ${capability} on ${name}`);
}

function chosen(
  all: readonly Connection[],
  named: Connection | undefined,
  { connection }: z.output<typeof readQuery>,
): Connection {
  if (connection !== undefined) {
    if (named === undefined) throw notFound('connection');
    return named;
  }
  const [only, ...more] = all;
  if (only !== undefined && more.length === 0) return only;
  if (only === undefined) throw notFound('connection');
  throw new ApiError('invalid_parameter', 'there are several connections: name one with `connection`', {
    problems: [{ field: 'connection', code: 'missing', message: 'is needed where there are several' }],
  });
}

/** What Kustomer's refusals mean to whoever asked us. */
function refused({ code, status, message, retryAtMs }: VendorRefusal, nowMs: number): ApiError {
  const retryAfterS = retryAtMs === null ? 5 : Math.max(1, Math.ceil((retryAtMs - nowMs) / 1000));
  if (status === 404 || code === 'target_not_found') return notFound('thing at Kustomer');
  switch (code) {
    case 'kustomer_rate_limited':
    case 'budget_exhausted':
      return new ApiError('rate_limited', `Kustomer's rate limit is used up for now: ${message}`, { retryAfterS });
    case 'kustomer_permission':
      return new ApiError('connector_upstream_error', `${message}. ${nextStep(status)}`);
    case 'kustomer_misconfigured':
      return new ApiError('connector_upstream_error', `${message}. Check the subdomain of the connection.`);
    case 'kustomer_refused':
      return new ApiError('connector_upstream_error', message);
    default:
      return new ApiError('connector_upstream_error', message, { retryAfterS });
  }
}

function nextStep(status: number | null): string {
  return status === 403
    ? 'The API key lacks that permission: make a new key in Kustomer with it, and add it with `fibric connectors add`.'
    : 'The API key is wrong, truncated or revoked: add a working one with `fibric connectors add`.';
}
