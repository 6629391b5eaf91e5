/** What the marketplace says of this connector, derived from the catalogues; and its routes. */
import { z } from 'zod';
import { type Capability, COMMAND_TYPES } from '../fibric/commands/index.ts';
import { EVENT_TYPES } from '../fibric/events/index.ts';
import { READ_CAPABILITIES, WRITE_CAPABILITIES } from '../fibric/policy/capabilities.ts';
import { notFound } from './errors.ts';
import { listOf, pageQuery, paginate } from './pagination.ts';
import { defineRoute, type Route } from './route.ts';

export const LISTING_ID = 'cn-kustomer';

export interface Tool {
  /** As operators' tests name it, `note.write`. */
  readonly name: string;
  readonly capability: string;
  readonly sideEffect: boolean;
  readonly doc: string;
}

const READ_DOCS: Readonly<Record<string, string>> = {
  'conversation.read': 'Reads a conversation with its messages and SLA state.',
  'customer.read': 'Reads a customer with orders and contact history.',
};

/** The guide calls the tool of `conversation.note.write` `note.write`: without the noun the role is about. */
export const TOOLS: readonly Tool[] = [
  ...READ_CAPABILITIES.map(({ name }) => ({
    name,
    capability: name,
    sideEffect: false,
    doc: READ_DOCS[name] ?? '',
  })),
  ...COMMAND_TYPES.map(({ capability, doc }) => ({
    name: capability.replace(/^conversation\./, ''),
    capability: capability as Capability,
    sideEffect: true,
    doc,
  })),
];

/** By its name or its capability. */
export function toolNamed(name: string): Tool | undefined {
  return TOOLS.find((tool) => tool.name === name || tool.capability === name);
}

export function hasSideEffect(capability: string): boolean {
  return !READ_CAPABILITIES.some(({ name }) => name === capability);
}

export interface ConfigParameter {
  readonly name: string;
  readonly type: 'string' | 'boolean';
  readonly required: boolean;
  readonly default: string | boolean | null;
  readonly description: string;
}

/** Never a credential: those are given on their own, and sealed. The first three are those of the connect guide. */
export const CONFIG_PARAMETERS: readonly ConfigParameter[] = [
  {
    name: 'subdomain',
    type: 'string',
    required: true,
    default: null,
    description: 'Your Kustomer subdomain: the acme in acme.kustomerapp.com.',
  },
  {
    name: 'poll_interval',
    type: 'string',
    required: false,
    default: '60s',
    description: 'Cadence of the poll backfill that runs alongside webhooks: 5s to 24h.',
  },
  {
    name: 'backfill_since',
    type: 'string',
    required: false,
    default: null,
    description: 'ISO 8601 date: how far back the first sync reads. Unset means webhook-forward only, no history.',
  },
  {
    name: 'extended_events',
    type: 'boolean',
    required: false,
    default: false,
    description: 'Also emit the event types beyond the six of the guide.',
  },
  {
    name: 'order_klass',
    type: 'string',
    required: false,
    default: 'order',
    description: "Class of the custom objects that are a customer's orders; none = customers come without orders.",
  },
  {
    name: 'machine_user',
    type: 'string',
    required: false,
    default: null,
    description: 'Id of the Kustomer user the key stands for, where Kustomer does not say; changes by it are echoes.',
  },
  {
    name: 'api_base_url',
    type: 'string',
    required: false,
    default: null,
    description: "Where the API is asked instead of the subdomain's own host: that of its pod.",
  },
];

const listing = z.strictObject({
  object: z.literal('listing'),
  id: z.string(),
  name: z.string(),
  category: z.string(),
  publisher: z.string(),
  type: z.string(),
  status: z.string(),
  roles: z.array(z.string()),
  tools: z.array(
    z.strictObject({ name: z.string(), capability: z.string(), side_effect: z.boolean(), description: z.string() }),
  ),
  events: z.array(
    z.strictObject({
      event_type: z.string(),
      kind: z.enum(['webhook', 'poll']),
      extended: z.boolean(),
      description: z.string(),
    }),
  ),
  config: z.array(
    z.strictObject({
      name: z.string(),
      type: z.string(),
      required: z.boolean(),
      default: z.union([z.string(), z.boolean()]).nullable(),
      description: z.string(),
    }),
  ),
  auth: z.strictObject({ kind: z.string() }),
  tags: z.array(z.string()),
  about: z.string(),
});

const KUSTOMER: z.input<typeof listing> = {
  object: 'listing',
  id: LISTING_ID,
  name: 'Kustomer',
  category: 'support',
  publisher: 'first-party',
  type: 'connector',
  status: 'live',
  roles: ['support'],
  tools: TOOLS.map(({ name, capability, sideEffect, doc }) => ({
    name,
    capability,
    side_effect: sideEffect,
    description: doc,
  })),
  events: EVENT_TYPES.map(({ type, kind, extended, doc }) => ({ event_type: type, kind, extended, description: doc })),
  config: CONFIG_PARAMETERS.map((parameter) => ({ ...parameter })),
  auth: { kind: 'api_key' },
  tags: ['kustomer', 'support', 'conversations', 'customers'],
  about:
    'Senses conversations and messages as they arrive and change, customer records with orders and contact history, SLA state, satisfaction scores and reopens.\n\n' +
    'Acts idempotently: writes notes, updates status and assignment, and syncs call status from the voice platform onto the timeline. A retried write is a safe no-op, never a duplicate.',
};

const listQuery = z.strictObject({
  ...pageQuery,
  q: z.string().max(100).optional().describe('Words that the id, name, tags or text must have.'),
});

export function listingRoutes(): readonly Route[] {
  return [
    defineRoute({
      id: 'listListings',
      method: 'GET',
      url: '/v1/listings',
      summary: 'Connectors that can be installed.',
      tag: 'connectors',
      scope: 'connectors:read',
      query: listQuery,
      response: { 200: listOf(listing) },
      handler: async ({ caller, query }) => {
        const { q, ...page } = query;
        const found = [KUSTOMER].filter((one) => matches(one, q ?? ''));
        const binding = { route: 'listListings', tenantId: caller.tenantId, filters: { q } };
        return { body: paginate(found, { ...page, binding, keyOf: ({ id }) => id, order: 'ascending' }) };
      },
    }),
    defineRoute({
      id: 'getListing',
      method: 'GET',
      url: '/v1/listings/:id',
      summary: 'One of them, with its tools, events and configuration.',
      tag: 'connectors',
      scope: 'connectors:read',
      params: z.object({ id: z.string() }),
      response: { 200: listing },
      handler: async ({ params }) => {
        if (params.id !== LISTING_ID) throw notFound('listing');
        return { body: KUSTOMER };
      },
    }),
  ];
}

function matches({ id, name, tags, about }: z.input<typeof listing>, q: string): boolean {
  const text = [id, name, ...tags, about].join(' ').toLowerCase();
  return q
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

/** Every capability there is: what one senses through, then what one writes. */
export const CAPABILITY_NAMES: readonly string[] = [...READ_CAPABILITIES, ...WRITE_CAPABILITIES].map(
  ({ name }) => name,
);
