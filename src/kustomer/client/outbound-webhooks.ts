/** Kustomer's outbound webhooks: ours is created, checked and re-enabled through these. Tokens come out as secrets. */
import { Secret } from '../../base/secret.ts';
import { isObject, type JsonObject, objectOrEmpty, textOrNull } from '../json.ts';
import type { KustomerClient } from './client.ts';
import type { Page, Resource } from './documents.ts';
import { type Ask, documentCall, type PageAsk, pageCall } from './operations.ts';
import { failure, mapBody, type Outcome, type Success } from './outcome.ts';

export interface OutboundWebhook {
  readonly id: string;
  readonly name: string | null;
  readonly url: string | null;
  /** Null where Kustomer does not tell. */
  readonly enabled: boolean | null;
  readonly isError: boolean | null;
  readonly events: readonly string[];
  /** Own headers; a value may be a secret. */
  readonly headers: readonly { readonly name: string; readonly value: Secret }[];
  /** What deliveries are signed with. */
  readonly token: Secret | null;
  readonly updatedAt: string | null;
}

export interface NewWebhook {
  readonly name: string;
  readonly url: string;
  readonly events: readonly string[];
  readonly headers?: readonly { readonly name: string; readonly value: Secret }[];
}

export type WebhookChange = Partial<NewWebhook> & { readonly enabled?: boolean };

export interface WebhookTransaction {
  readonly webhookId: string | null;
  readonly sentAt: string | null;
  readonly nextRetry: string | null;
  readonly status: string | number | null;
  readonly eventName: string | null;
}

export type ListOf<T> = Omit<Page, 'items'> & { readonly items: readonly T[] };

const PERMISSION = 'org.permission.outbound_webhook';

export async function listOutboundWebhooks(
  client: KustomerClient,
  ask: PageAsk,
): Promise<Outcome<ListOf<OutboundWebhook>>> {
  const operation = 'webhook.list';
  const path = ['outbound-webhooks'];
  const outcome = await pageCall(client, ask, { operation, method: 'GET', path, permission: `${PERMISSION}.read` });
  return mapBody(outcome, (page) => ({ ...page, items: page.items.map(readWebhook) }), operation);
}

export async function getOutboundWebhook(
  client: KustomerClient,
  id: string,
  ask: Ask,
): Promise<Outcome<OutboundWebhook>> {
  const operation = 'webhook.get';
  const path = ['outbound-webhooks', id];
  const outcome = await documentCall(client, ask, { operation, method: 'GET', path, permission: `${PERMISSION}.read` });
  return mapBody(outcome, readWebhook, operation);
}

export async function createOutboundWebhook(
  client: KustomerClient,
  webhook: NewWebhook,
  ask: Ask,
): Promise<Outcome<OutboundWebhook>> {
  const call = { operation: 'webhook.create', method: 'POST', path: ['outbound-webhooks'] } as const;
  const permission = `${PERMISSION}.create`;
  return written(await client.call({ ...call, ...ask, body: bodyOf(webhook), permission }), call.operation);
}

export async function updateOutboundWebhook(
  client: KustomerClient,
  { id, change, ...ask }: Ask & { readonly id: string; readonly change: WebhookChange },
): Promise<Outcome<OutboundWebhook>> {
  const call = { operation: 'webhook.update', method: 'PATCH', path: ['outbound-webhooks', id] } as const;
  const permission = `${PERMISSION}.create or ${PERMISSION}`;
  return written(await client.call({ ...call, ...ask, body: bodyOf(change), permission }), call.operation);
}

/** Gone is gone: an absent one answers `refuse` with status 404. */
export async function deleteOutboundWebhook(client: KustomerClient, id: string, ask: Ask): Promise<Outcome<null>> {
  const call = { operation: 'webhook.delete', method: 'DELETE', path: ['outbound-webhooks', id] } as const;
  const outcome = await client.call({ ...call, ...ask, permission: `${PERMISSION}.delete` });
  return outcome.kind === 'ok' ? { ...outcome, body: null } : outcome;
}

/** The delivery log; of all webhooks when no id is given. */
export async function listWebhookTransactions(
  client: KustomerClient,
  { webhookId, ...ask }: PageAsk & { readonly webhookId?: string },
): Promise<Outcome<ListOf<WebhookTransaction>>> {
  const { lane, page, pageSize, waitMs, signal } = ask;
  const operation = 'webhook.transactions';
  const outcome = await client.call({
    operation,
    method: 'GET',
    path: ['outbound-webhooks', ...(webhookId === undefined ? [] : [webhookId]), 'transactions'],
    query: { page, pageSize },
    lane,
    ...(waitMs === undefined ? {} : { waitMs }),
    ...(signal === undefined ? {} : { signal }),
    permission: `${PERMISSION}.read`,
  });
  return mapBody(outcome, readTransactions, operation);
}

/** A write whose answer cannot be read has happened all the same: that is ambiguous, never something to repeat. */
function written(outcome: Outcome<unknown>, operation: string): Outcome<OutboundWebhook> {
  if (outcome.kind !== 'ok') return outcome;
  const data = objectOrEmpty(objectOrEmpty(outcome.body)['data']);
  const id = textOrNull(data['id']);
  if (id !== null) return { ...outcome, body: readWebhook({ ...data, type: 'outbound-webhook', id }) };
  const message = `${operation}: done, but the answer has not the form expected`;
  return failure('ambiguous', { operation, message, status: (outcome as Success<unknown>).status });
}

function readWebhook(resource: Resource): OutboundWebhook {
  const attributes = objectOrEmpty(resource['attributes']);
  const { enabled, isError, events, headers } = attributes;
  const token = textOrNull(attributes['token']);
  return {
    id: resource.id,
    name: textOrNull(attributes['name']),
    url: textOrNull(attributes['url']),
    enabled: typeof enabled === 'boolean' ? enabled : null,
    isError: typeof isError === 'boolean' ? isError : null,
    events: Array.isArray(events) ? events.filter((event) => typeof event === 'string') : [],
    headers: Array.isArray(headers) ? headers.flatMap(readHeader) : [],
    token: token === null ? null : new Secret(token),
    updatedAt: textOrNull(attributes['updatedAt']),
  };
}

function readHeader(header: unknown): { readonly name: string; readonly value: Secret }[] {
  const { name, value } = objectOrEmpty(header);
  return typeof name === 'string' && typeof value === 'string' ? [{ name, value: new Secret(value) }] : [];
}

function bodyOf({ headers, ...rest }: WebhookChange): JsonObject {
  if (headers === undefined) return rest;
  return { ...rest, headers: headers.map(({ name, value }) => ({ name, value: value.reveal() })) };
}

/** Log lines need not have an id. */
function readTransactions(body: unknown): ListOf<WebhookTransaction> | undefined {
  const { data, meta, links } = objectOrEmpty(body);
  if (!Array.isArray(data)) return undefined;
  const number = (value: unknown): number | null => (typeof value === 'number' ? value : null);
  const { page, pageSize, total, totalPages } = objectOrEmpty(meta);
  const items = data.filter(isObject).map((line) => {
    const attributes = objectOrEmpty(line['attributes']);
    const { status } = attributes;
    return {
      webhookId: textOrNull(attributes['webhookId']),
      sentAt: textOrNull(attributes['sentAt']),
      nextRetry: textOrNull(attributes['nextRetry']),
      status: typeof status === 'string' || typeof status === 'number' ? status : null,
      eventName: textOrNull(attributes['eventName']),
    };
  });
  return {
    items,
    unreadable: data.length - items.length,
    page: number(page),
    pageSize: number(pageSize),
    total: number(total),
    totalPages: number(totalPages),
    next: textOrNull(objectOrEmpty(links)['next']),
  };
}
