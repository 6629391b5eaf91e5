/** Outbound webhooks: set up, look at, change, delete; the events one can ask for; the delivery log. */
import { EVENT_NAMES } from '../../kustomer/event-names.ts';
import { isoTime } from '../model/resource.ts';
import type { Org } from '../org.ts';
import type { Transaction } from '../webhooks/delivery-queue.ts';
import { MAX_WEBHOOKS, type Webhook, webhookCreateBody, webhookPatchBody } from '../webhooks/registry.ts';
import { pageOf } from './paging.ts';
import { type ApiRequest, badParameter, notFound, parseBody, type Route } from './route.ts';

function webhookOf(org: Org, id: string | undefined): Webhook {
  const webhook = org.webhooks.get(id ?? '');
  if (webhook === undefined) throw notFound();
  return webhook;
}

function show(webhook: Webhook, org: Org): unknown {
  return {
    type: 'outbound-webhook',
    id: webhook.id,
    attributes: {
      name: webhook.name,
      enabled: webhook.queue.enabled,
      url: webhook.url,
      isError: webhook.queue.isError,
      events: webhook.events,
      headers: webhook.headers,
      token: webhook.token,
      createdAt: isoTime(webhook.createdAtMs),
      updatedAt: isoTime(webhook.updatedAtMs),
    },
    relationships: { org: { data: { type: 'org', id: org.organisation.orgId } } },
    links: { self: `/v1/outbound-webhooks/${webhook.id}` },
  };
}

interface LogLine extends Transaction {
  readonly webhookId: string;
}

function logOf(webhooks: readonly Webhook[]): readonly LogLine[] {
  return webhooks
    .flatMap((webhook) => webhook.queue.transactions.map((line) => ({ ...line, webhookId: webhook.id })))
    .sort((a, b) => b.sentAtMs - a.sentAtMs);
}

function showLine(line: LogLine): unknown {
  return {
    type: 'outbound-webhook-transaction',
    attributes: {
      webhookId: line.webhookId,
      sentAt: isoTime(line.sentAtMs),
      nextRetry: line.nextRetryMs === null ? null : isoTime(line.nextRetryMs),
      status: line.status,
      eventName: line.eventName,
    },
  };
}

const at = '/v1/outbound-webhooks';

export const outboundWebhookRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: at,
    handle: (request) => pageOf(request, request.org.webhooks.list(), (webhook) => show(webhook, request.org)),
  },
  {
    method: 'POST',
    path: at,
    handle: ({ org, body, nowMs }) => {
      const webhook = org.webhooks.create(parseBody(webhookCreateBody, body), nowMs);
      if (webhook === null) throw badParameter(`At most ${MAX_WEBHOOKS} outbound webhooks are allowed`, 'webhooks');
      return { status: 201, body: { data: show(webhook, org) } };
    },
  },
  {
    method: 'GET',
    path: `${at}/events`,
    handle: () => ({ status: 200, body: { data: EVENT_NAMES.map((id) => ({ type: 'outbound-webhook-event', id })) } }),
  },
  {
    method: 'GET',
    path: `${at}/transactions`,
    handle: (request: ApiRequest) => pageOf(request, logOf(request.org.webhooks.list()), showLine),
  },
  {
    method: 'GET',
    path: `${at}/:id/transactions`,
    handle: (request) => pageOf(request, logOf([webhookOf(request.org, request.params['id'])]), showLine),
  },
  {
    method: 'GET',
    path: `${at}/:id`,
    handle: ({ org, params }) => ({ status: 200, body: { data: show(webhookOf(org, params['id']), org) } }),
  },
  {
    method: 'PATCH',
    path: `${at}/:id`,
    handle: ({ org, params, body, nowMs }) => {
      const { id } = webhookOf(org, params['id']);
      const updated = org.webhooks.update(id, parseBody(webhookPatchBody, body), nowMs) as Webhook;
      return { status: 200, body: { data: show(updated, org) } };
    },
  },
  {
    method: 'DELETE',
    path: `${at}/:id`,
    handle: ({ org, params }) => {
      if (!org.webhooks.delete(params['id'] as string)) throw notFound();
      return { status: 204 };
    },
  },
];
