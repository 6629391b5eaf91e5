/** Looks at a connection's webhooks in Kustomer: two calls for most, with deadlines by the client. */
import type { ConnectionWithTokens } from '../../fibric/connection.ts';
import type { KustomerClient } from '../../kustomer/client/client.ts';
import { type Ask, currentToken } from '../../kustomer/client/operations.ts';
import {
  listOutboundWebhooks,
  listWebhookTransactions,
  type OutboundWebhook,
  type WebhookTransaction,
} from '../../kustomer/client/outbound-webhooks.ts';
import type { Failure } from '../../kustomer/client/outcome.ts';
import type { Asked, DeliveryFacts, WebhookFacts } from './model.ts';
import { isOwn, missingEvents, tokenKnown } from './own-webhooks.ts';

const PAGE_SIZE = 100;
/** The newest lines of the log are enough to tell whether deliveries fail. */
const LOG_LINES = 50;

export interface Looked {
  readonly asked: Asked;
  /** Why Kustomer could not be asked, in its own words. */
  readonly failure: string | null;
}

export async function lookAtWebhooks(
  client: KustomerClient,
  connection: ConnectionWithTokens,
  ask: Ask,
): Promise<Looked> {
  const listed = await listOutboundWebhooks(client, { ...ask, pageSize: PAGE_SIZE });
  if (listed.kind !== 'ok') return { asked: await askedInVain(client, listed, ask), failure: listed.message };
  const all = listed.body.items;
  const own = all.filter((webhook) => isOwn(webhook, connection));
  // Somebody's tokens are hidden, so one of those may be ours.
  const hidden = own.length === 0 && connection.webhookId === null && all.some(({ token }) => token === null);
  if (hidden && connection.webhookTokens.length > 0) return { asked: { kind: 'unclear' }, failure: null };
  const webhooks: WebhookFacts[] = [];
  for (const webhook of own) webhooks.push(await factsOf(client, webhook, connection, ask));
  return { asked: { kind: 'answered', webhooks }, failure: null };
}

async function factsOf(
  client: KustomerClient,
  webhook: OutboundWebhook,
  connection: ConnectionWithTokens,
  ask: Ask,
): Promise<WebhookFacts> {
  const { id, enabled, isError } = webhook;
  const logged = await listWebhookTransactions(client, { ...ask, webhookId: id, pageSize: LOG_LINES });
  return {
    id,
    current: id !== connection.previousWebhookId,
    enabled,
    isError,
    tokenKnown: tokenKnown(webhook, connection),
    missingEvents: missingEvents(webhook, connection),
    deliveries: logged.kind === 'ok' ? deliveryFacts(logged.body.items) : null,
  };
}

/** A missing role may be answered 401 too; any key may ask what it is, so that tells the two apart. */
async function askedInVain(client: KustomerClient, failed: Failure, ask: Ask): Promise<Asked> {
  if (failed.kind === 'config') return { kind: 'failed', fault: 'misconfigured' };
  if (failed.kind !== 'permission') return { kind: 'failed', fault: 'kustomer_unreachable' };
  if (failed.status !== 401) return { kind: 'failed', fault: 'not_permitted' };
  const token = await currentToken(client, ask);
  return {
    kind: 'failed',
    fault: token.kind === 'permission' && token.status === 401 ? 'key_refused' : 'not_permitted',
  };
}

/** What a delivery log says; lines without a time, or whose status says nothing, are left out. */
export function deliveryFacts(log: readonly WebhookTransaction[]): DeliveryFacts {
  const lines = log.flatMap(({ sentAt, status }) => {
    const atMs = sentAt === null ? Number.NaN : Date.parse(sentAt);
    const succeeded = success(status);
    return Number.isNaN(atMs) || succeeded === null ? [] : [{ atMs, succeeded, status: String(status) }];
  });
  const newestFirst = lines.sort((a, b) => b.atMs - a.atMs);
  const at = newestFirst.findIndex(({ succeeded }) => succeeded);
  const failures = at === -1 ? newestFirst : newestFirst.slice(0, at);
  return {
    lastSuccessAtMs: newestFirst[at]?.atMs ?? null,
    failuresAtMs: failures.map(({ atMs }) => atMs),
    lastFailureStatus: failures[0]?.status ?? null,
  };
}

/** The form of the status is not documented: a code of HTTP, or a word. */
function success(status: string | number | null): boolean | null {
  const code = Number(status ?? Number.NaN);
  if (Number.isInteger(code) && status !== '') return code >= 200 && code < 300;
  const word = String(status).toLowerCase();
  if (/^(?:ok|sent|success|succeeded|successful|delivered|complete|completed)$/.test(word)) return true;
  if (/^(?:fail|failed|failure|error|errored|timeout|rejected)$/.test(word)) return false;
  return null;
}
