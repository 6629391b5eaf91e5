/**
 * What `cn-kustomer connection webhook …` does: the connection's own webhook in Kustomer, made, read back, switched on
 * and exchanged. Each step can be repeated: what a broken-off run left behind is found by its address, and adopted or removed.
 * Only who holds the tenant's claim (claims.ts) makes one, so two processes do not both find none and make two.
 *
 * A rotation keeps both tokens live from before the new webhook's first delivery is tried again until the old webhook is
 * gone: whatever Kustomer sends in between is accepted.
 */
import { CodedError } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import type { ConnectionWithTokens } from '../../fibric/connection.ts';
import { isOwn, missingEvents, pointsTo, tokenKnown, webhookUrl } from '../../ingest/webhook-health/own-webhooks.ts';
import type { KustomerClient } from '../../kustomer/client/client.ts';
import type { Ask } from '../../kustomer/client/operations.ts';
import {
  createOutboundWebhook,
  deleteOutboundWebhook,
  getOutboundWebhook,
  listOutboundWebhooks,
  type OutboundWebhook,
  updateOutboundWebhook,
} from '../../kustomer/client/outbound-webhooks.ts';
import type { Failure, Outcome } from '../../kustomer/client/outcome.ts';
import { EVENT_NAMES } from '../../kustomer/event-names.ts';
import type { Claim } from './claims.ts';
import { MAX_LIVE_TOKENS } from './connection-plan.ts';
import type { ConnectionStore } from './store.ts';

export interface WebhookWork {
  readonly store: ConnectionStore;
  readonly client: KustomerClient;
  /** As it is under the claim. */
  readonly connection: ConnectionWithTokens;
  readonly claim: Claim;
}

/** How many an organisation may make itself. */
const MAX_WEBHOOKS = 5;
const ASK: Ask = { lane: 'probes', waitMs: 15_000 };

/**
 * Sees to it that there is one webhook at this address, and no other of the connection, switched on, with all events, whose
 * token is stored. Returns what was done.
 */
export async function createWebhook(work: WebhookWork, publicUrl: string): Promise<readonly string[]> {
  const { client, connection } = work;
  const url = webhookUrl(publicUrl, connection.connectionId);
  const listed = await list(client);
  const own = ownOf(listed, connection);
  const present = own.find(({ id }) => id === connection.webhookId) ?? own.find((one) => one.url === url) ?? own[0];
  if (present === undefined && connection.webhookTokens.length >= MAX_LIVE_TOKENS) throw tooManyTokens(connection);
  const { webhook, done } =
    present === undefined
      ? { webhook: await make(work, url, listed), done: ['created'] }
      : await mend(client, present, connection, url);
  const stored = await remember(work, webhook, { webhookId: webhook.id });
  const removed = await removeOthers(client, own, [webhook.id, connection.previousWebhookId], connection);
  const lines = [...done.map((what) => `${what} webhook ${webhook.id} (${url})`), ...stored, ...removed];
  return lines.length > 0 ? lines : [`webhook ${webhook.id} is as it should be (${url})`];
}

/** Switches on every webhook of the connection that is off. */
export async function enableWebhooks({ client, connection }: WebhookWork): Promise<readonly string[]> {
  const own = ownOf(await list(client), connection);
  if (own.length === 0) throw noWebhook(connection);
  const lines: string[] = [];
  for (const { id, enabled, isError } of own) {
    if (enabled === true && isError !== true) {
      lines.push(`webhook ${id} is switched on`);
      continue;
    }
    took(await updateOutboundWebhook(client, { ...ASK, id, change: { enabled: true } }));
    lines.push(`switched webhook ${id} on`);
  }
  return lines;
}

/** A second webhook beside the present one; from then on both are accepted. */
export async function rotateWebhook(work: WebhookWork, publicUrl: string | undefined): Promise<readonly string[]> {
  const { client, connection } = work;
  const { connectionId, previousWebhookId, webhookTokens } = connection;
  if (previousWebhookId !== null || webhookTokens.length >= MAX_LIVE_TOKENS) {
    throw tooManyTokens(connection);
  }
  const listed = await list(client);
  const own = ownOf(listed, connection);
  // One whose token we have never had is what a rotation that broke off has made.
  const present = own.find(({ id }) => id === connection.webhookId) ?? own.find((one) => tokenKnown(one, connection));
  if (present === undefined) throw noWebhook(connection);
  const url = publicUrl === undefined ? present.url : webhookUrl(publicUrl, connectionId);
  if (url === null)
    throw new CodedError('config_invalid', 'Kustomer does not say where the webhook points: add --public-url');
  const orphan = own.find((one) => one.id !== present.id && one.url === url && tokenKnown(one, connection) === false);
  const fresh = orphan ?? (await make(work, url, listed));
  const stored = await remember(work, fresh, { webhookId: fresh.id, previousWebhookId: present.id });
  return [
    `${orphan === undefined ? 'created' : 'adopted'} webhook ${fresh.id} beside ${present.id}`,
    ...stored,
    'Both are accepted. When the new one has delivered, `connection webhook drop-old` ends the old one.',
  ];
}

/** Ends a rotation: the old webhook is deleted, then its token is no longer accepted. */
export async function dropOldWebhook(work: WebhookWork): Promise<readonly string[]> {
  const { client, connection, store } = work;
  const { previousWebhookId, webhookId, webhookTokens } = connection;
  if (previousWebhookId === null || webhookId === null) {
    throw conflict(
      'no rotation of webhooks is under way; tokens alone are dropped by `connection add --drop-old`',
      connection,
    );
  }
  const current = took(await getOutboundWebhook(client, webhookId, ASK));
  const newest = webhookTokens.at(-1);
  const signs = current.token === null || current.token.reveal() === newest?.reveal();
  if (current.enabled !== true || current.isError === true || !signs) {
    const why = signs ? 'is not switched on, or fails' : 'does not sign with the newest token';
    throw conflict(`the new webhook ${webhookId} ${why}, so the old one stays`, connection);
  }
  const deleted = await deleteOutboundWebhook(client, previousWebhookId, ASK);
  // Gone is what was wanted.
  if (deleted.kind !== 'ok' && deleted.status !== 404) throw refusal(deleted);
  const { webhookTokens: _tokens, apiKey: _key, ...plain } = connection;
  await store.add({ connection: { ...plain, previousWebhookId: null }, base: connection, dropOld: true });
  return [`deleted webhook ${previousWebhookId}`, 'only the token of the new webhook is accepted now'];
}

async function list(client: KustomerClient): Promise<readonly OutboundWebhook[]> {
  return took(await listOutboundWebhooks(client, { ...ASK, pageSize: 100 })).items;
}

/** Those pointed at us before those that only share a token. */
function ownOf(listed: readonly OutboundWebhook[], connection: ConnectionWithTokens): readonly OutboundWebhook[] {
  const own = listed.filter((webhook) => isOwn(webhook, connection));
  return own.toSorted((a, b) => Number(pointsTo(b, connection)) - Number(pointsTo(a, connection)));
}

/**
 * Those that a broken-off run left, whose deliveries nobody waits for: each would be another of the few an organisation may
 * have. Only what points to us; a token may be shared with what somebody made by hand.
 */
async function removeOthers(
  client: KustomerClient,
  own: readonly OutboundWebhook[],
  kept: readonly (string | null)[],
  connection: ConnectionWithTokens,
): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const { id } of own.filter((one) => pointsTo(one, connection) && !kept.includes(one.id))) {
    const deleted = await deleteOutboundWebhook(client, id, ASK);
    const isGone = deleted.kind === 'ok' || deleted.status === 404;
    lines.push(isGone ? `deleted webhook ${id}, one too many` : `webhook ${id} is one too many: delete it in Kustomer`);
  }
  return lines;
}

async function make(
  { client, connection, claim }: WebhookWork,
  url: string,
  listed: readonly OutboundWebhook[],
): Promise<OutboundWebhook> {
  const name = `Fibric ${connection.name} (${connection.connectionId})`;
  await claim.renew();
  const outcome = await createOutboundWebhook(client, { name, url, events: EVENT_NAMES }, ASK);
  if (outcome.kind === 'ok') return withToken(client, outcome.body);
  if (outcome.kind === 'refuse' && listed.length >= MAX_WEBHOOKS) {
    const names = listed.map((one) => one.name ?? one.id).join(', ');
    throw new CodedError(
      outcome.code,
      `Kustomer lets an organisation make ${MAX_WEBHOOKS} webhooks, and there are ${listed.length}: ${names}. Delete one first (${outcome.message})`,
    );
  }
  if (outcome.kind !== 'ambiguous') throw refusal(outcome);
  // It may be there all the same: one we did not know before is it.
  const made = (await list(client)).find((one) => one.url === url && !listed.some(({ id }) => id === one.id));
  if (made === undefined) throw refusal(outcome);
  return withToken(client, made);
}

/** What a webhook of ours lacks: its address, events, or to be switched on. */
async function mend(
  client: KustomerClient,
  webhook: OutboundWebhook,
  connection: ConnectionWithTokens,
  url: string,
): Promise<{ readonly webhook: OutboundWebhook; readonly done: readonly string[] }> {
  const missing = missingEvents(webhook, connection);
  const off = webhook.enabled === false || webhook.isError === true;
  const change = {
    ...(webhook.url === url ? {} : { url }),
    ...(missing.length === 0 ? {} : { events: EVENT_NAMES }),
    ...(off ? { enabled: true } : {}),
  };
  const adopted = webhook.id === connection.webhookId ? [] : ['adopted'];
  if (Object.keys(change).length === 0) return { webhook: await withToken(client, webhook), done: adopted };
  const changed = took(await updateOutboundWebhook(client, { ...ASK, id: webhook.id, change }));
  const done = [
    ...adopted,
    ...('url' in change ? ['pointed to us'] : []),
    ...('events' in change ? ['added events to'] : []),
    ...('enabled' in change ? ['switched on'] : []),
  ];
  return { webhook: await withToken(client, changed), done };
}

/** Lists need not show tokens. */
async function withToken(client: KustomerClient, webhook: OutboundWebhook): Promise<OutboundWebhook> {
  if (webhook.token !== null) return webhook;
  return took(await getOutboundWebhook(client, webhook.id, ASK));
}

/** Stores the webhook's id and token. Without a token its deliveries would all be refused, so that is no success. */
async function remember(
  { store, connection }: WebhookWork,
  webhook: OutboundWebhook,
  ids: { readonly webhookId: string; readonly previousWebhookId?: string },
): Promise<readonly string[]> {
  const { webhookTokens, apiKey: _key, ...plain } = connection;
  const token: Secret | null = webhook.token;
  const known = tokenKnown(webhook, connection);
  const changed = { ...plain, ...ids };
  const same =
    known !== false && plain.webhookId === changed.webhookId && plain.previousWebhookId === changed.previousWebhookId;
  if (!same) await store.add({ connection: changed, base: connection, ...(token === null ? {} : { token }) });
  if (token === null) {
    throw new CodedError(
      'kustomer_refused',
      `Kustomer does not show the token of webhook ${webhook.id}: copy it from Settings › Platform › Outbound webhooks › Edit › Header information, and store it with \`connection add --rotate\``,
    );
  }
  return known === true ? [] : [`stored its token; ${webhookTokens.length + 1} live now`];
}

function took<T>(outcome: Outcome<T>): T {
  if (outcome.kind === 'ok') return outcome.body;
  throw refusal(outcome);
}

function refusal({ code, message, status }: Failure): CodedError {
  return new CodedError(code, message, { status });
}

function noWebhook(connection: ConnectionWithTokens): CodedError {
  return conflict('the connection has no webhook in Kustomer; `connection webhook create` makes one', connection);
}

function tooManyTokens(connection: ConnectionWithTokens): CodedError {
  const how = connection.previousWebhookId === null ? 'add --drop-old' : 'webhook drop-old';
  return conflict(
    `${MAX_LIVE_TOKENS} tokens are live already; drop the old one first: \`connection ${how}\``,
    connection,
  );
}

function conflict(message: string, { tenantId, connectionId }: ConnectionWithTokens): CodedError {
  return new CodedError('connection_conflict', message, { tenantId, connectionId });
}

/** What to click where the key may not do it. */
export function byHand(connection: ConnectionWithTokens, publicUrl: string | undefined): readonly string[] {
  const { tenantId, connectionId, subdomain } = connection;
  const url = webhookUrl(publicUrl ?? 'https://your-host.example', connectionId);
  return [
    `By hand, in https://${subdomain}.kustomerapp.com as an administrator: Settings › Platform › Outbound webhooks`,
    `  to make one      Create webhook; URL ${url}; events ${EVENT_NAMES.join(', ')}`,
    '  its token        Edit › Header information; store it here with',
    `                   cn-kustomer connection add --tenant ${tenantId} --id ${connectionId} --rotate`,
    '  to switch it on  Edit › Enabled',
    'Or make an API key that also has org.permission.outbound_webhook (read, create, delete): connection add --api-key',
  ];
}
