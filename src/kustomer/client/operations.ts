/** The reads that polling and health need, each a thin function over `call`. */
import type { Lane } from '../budget/lanes.ts';
import { objectOrEmpty, textOrNull } from '../json.ts';
import type { KustomerCall, KustomerClient } from './client.ts';
import { type Page, type Resource, readDocument, readPage } from './documents.ts';
import { mapBody, type Outcome } from './outcome.ts';

export interface Ask {
  readonly lane: Lane;
  /** Longest wait for the budget. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

export interface PageAsk extends Ask {
  /** From 1. */
  readonly page?: number;
  readonly pageSize?: number;
}

/** One criterion: `{conversation_updated_at: {gte: '2026-01-01T00:00:00.000Z'}}`. */
export type Criterion = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export interface SearchBody {
  readonly queryContext: string;
  readonly and?: readonly Criterion[];
  readonly or?: readonly Criterion[];
  readonly not?: readonly Criterion[];
  readonly sort?: readonly Readonly<Record<string, 'asc' | 'desc'>>[];
  readonly includeDeleted?: boolean;
  readonly fields?: readonly string[];
  readonly timeZone?: string;
}

export interface SearchAsk extends PageAsk {
  readonly body: SearchBody;
  /** Records not updated for two years, with fewer fields. */
  readonly archive?: boolean;
}

/** Despite its path it searches every kind of object, by `queryContext`. */
export function search(client: KustomerClient, { body, archive = false, ...ask }: SearchAsk): Promise<Outcome<Page>> {
  return pageCall(client, ask, {
    operation: archive ? 'search.archive' : 'search',
    method: 'POST',
    path: ['customers', ...(archive ? ['archive'] : []), 'search'],
    body,
    kind: 'search',
    effect: 'read',
    permission: 'org.permission.search.create',
  });
}

/** The page a link leads to. Not for searches, whose link lacks the body: ask for the next `page` instead. */
export function nextPage(client: KustomerClient, link: string, ask: Ask): Promise<Outcome<Page>> {
  return pageCall(client, ask, { operation: 'page.next', method: 'GET', path: { link } });
}

export function getConversation(client: KustomerClient, id: string, ask: Ask): Promise<Outcome<Resource>> {
  return documentCall(client, ask, {
    operation: 'conversation.get',
    method: 'GET',
    path: ['conversations', id],
    permission: 'org.permission.conversation.read',
  });
}

export function listConversationMessages(client: KustomerClient, id: string, ask: PageAsk): Promise<Outcome<Page>> {
  return pageCall(client, ask, {
    operation: 'conversation.messages',
    method: 'GET',
    path: ['conversations', id, 'messages'],
    permission: 'org.permission.message.read',
  });
}

export function getCustomer(client: KustomerClient, id: string, ask: Ask): Promise<Outcome<Resource>> {
  return documentCall(client, ask, {
    operation: 'customer.get',
    method: 'GET',
    path: ['customers', id],
    permission: 'org.permission.customer.read',
  });
}

/** A customer's conversations, on whatever channel. */
export function listCustomerConversations(client: KustomerClient, id: string, ask: PageAsk): Promise<Outcome<Page>> {
  return pageCall(client, ask, {
    operation: 'customer.conversations',
    method: 'GET',
    path: ['customers', id, 'conversations'],
    permission: 'org.permission.conversation.read',
  });
}

/** A customer's custom objects; orders are those of the klass `order`. */
export function listCustomerKlass(
  client: KustomerClient,
  { customerId, klass, ...ask }: PageAsk & { readonly customerId: string; readonly klass: string },
): Promise<Outcome<Page>> {
  return pageCall(client, ask, {
    operation: 'customer.klass',
    method: 'GET',
    path: ['customers', customerId, 'klasses', klass],
    permission: `org.permission.customer.read or org.permission.kobject.kobject_${klass}.read`,
  });
}

export interface CurrentUser {
  /** What our own writes are signed with. */
  readonly userId: string;
  readonly orgId: string | null;
  readonly name: string | null;
  readonly userType: string | null;
}

export async function currentUser(client: KustomerClient, ask: Ask): Promise<Outcome<CurrentUser>> {
  const operation = 'user.current';
  const outcome = await documentCall(client, ask, { operation, method: 'GET', path: ['users', 'current'] });
  const read = (user: Resource): CurrentUser => {
    const attributes = objectOrEmpty(user['attributes']);
    return {
      userId: user.id,
      orgId: relatedId(user, 'org'),
      name: textOrNull(attributes['displayName']) ?? textOrNull(attributes['name']),
      userType: textOrNull(attributes['userType']),
    };
  };
  return mapBody(outcome, read, operation);
}

export interface CurrentToken {
  readonly tokenId: string;
  readonly orgId: string | null;
  readonly userId: string | null;
  /** Null where Kustomer does not tell. */
  readonly roles: readonly string[] | null;
  readonly expiresAt: string | null;
}

/** Any key may ask this, so it tells a bad key from a missing role. */
export async function currentToken(client: KustomerClient, ask: Ask): Promise<Outcome<CurrentToken>> {
  const operation = 'token.current';
  const path = ['auth', 'tokens', 'current'];
  const outcome = await documentCall(client, ask, { operation, method: 'GET', path });
  const read = (token: Resource): CurrentToken => {
    const attributes = objectOrEmpty(token['attributes']);
    const roles = attributes['roles'];
    return {
      tokenId: token.id,
      orgId: relatedId(token, 'org'),
      userId: relatedId(token, 'user'),
      roles: Array.isArray(roles) ? roles.filter((role) => typeof role === 'string') : null,
      expiresAt: textOrNull(attributes['expiresAt']),
    };
  };
  return mapBody(outcome, read, operation);
}

type CallOf = Omit<KustomerCall, 'lane' | 'query' | 'waitMs' | 'signal'>;

/** @internal shared with outbound-webhooks.ts */
export async function pageCall(client: KustomerClient, ask: PageAsk, call: CallOf): Promise<Outcome<Page>> {
  const { page, pageSize, ...rest } = ask;
  const outcome = await client.call({ ...call, ...rest, query: { page, pageSize } });
  return mapBody(outcome, readPage, call.operation);
}

/** @internal shared with outbound-webhooks.ts */
export async function documentCall(client: KustomerClient, ask: Ask, call: CallOf): Promise<Outcome<Resource>> {
  return mapBody(await client.call({ ...call, ...ask }), readDocument, call.operation);
}

function relatedId(resource: Resource, name: string): string | null {
  return textOrNull(objectOrEmpty(objectOrEmpty(objectOrEmpty(resource['relationships'])[name])['data'])['id']);
}
