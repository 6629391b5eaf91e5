/** Connections as text for people: no secret of theirs, only fingerprints. */
import { createHash } from 'node:crypto';
import type { Secret } from '../../base/secret.ts';
import type { Connection, ConnectionWithTokens } from '../../fibric/connection.ts';
import { formatDuration } from '../../fibric/poll-settings.ts';
import { WEBHOOK_PATH } from '../../ingest/webhook-path.ts';
import { baseOf } from '../../kustomer/client/base-url.ts';
import { alignColumns, printable } from '../text-table.ts';
import type { ConnectionStore, Resealed } from './store.ts';

/**
 * A table for people: which tokens are live is told by fingerprint, so that two ends can be compared. No store = nothing
 * was ever added.
 */
export function listConnections(store: Pick<ConnectionStore, 'list' | 'health'> | undefined): string {
  const rows = (store?.list() ?? [])
    .toSorted((a, b) => a.tenantId.localeCompare(b.tenantId) || a.name.localeCompare(b.name))
    .map((one) => [
      one.connectionId,
      one.tenantId,
      one.name,
      one.subdomain,
      one.orgId ?? '-',
      one.settings.extendedEvents ? 'yes' : 'no',
      one.hasApiKey ? 'yes' : 'no',
      one.hasApiKey ? formatDuration(one.settings.pollIntervalMs) : '-',
      since(one),
      webhookKind(one),
      String(one.webhookTokens.length),
      one.webhookTokens.map(fingerprint).join(' '),
    ]);
  const head = [
    ...['CONNECTION', 'TENANT', 'NAME', 'SUBDOMAIN', 'ORG', 'EXTENDED', 'KEY', 'POLL', 'SINCE'],
    ...['WEBHOOK', 'TOKENS', 'FINGERPRINTS'],
  ];
  const problems = store === undefined ? [] : describeProblems(store);
  const stale = store?.health().stale ?? 0;
  return [
    ...alignColumns([head, ...rows]),
    ...(problems.length > 0 ? ['', 'Not usable:', ...problems] : []),
    ...(stale > 0
      ? ['', `${stale} under an older master key: \`cn-kustomer connection reseal\` seals them again.`]
      : []),
  ].join('\n');
}

/** Everything about one connection that is no secret. */
export function showConnection(one: ConnectionWithTokens): readonly string[] {
  const { settings } = one;
  return alignColumns([
    ['connection', one.connectionId],
    ['tenant', one.tenantId],
    ['reseller', one.resellerId ?? '-'],
    ['workspace', one.workspaceId ?? '-'],
    ['name', one.name],
    ['subdomain', one.subdomain],
    ['organisation', one.orgId ?? 'not known'],
    ['API', one.apiBaseUrl ?? baseOf({ subdomain: one.subdomain }).origin],
    ['API key', one.apiKey === null ? 'none: nothing is polled' : `fingerprint ${fingerprint(one.apiKey)}`],
    ['machine user', settings.machineUserId ?? 'not known'],
    ['began', new Date(one.startedAtMs).toISOString()],
    ['extended events', settings.extendedEvents ? 'yes' : 'no'],
    ['poll interval', formatDuration(settings.pollIntervalMs)],
    ['backfill since', settings.backfillSinceMs === null ? 'no history' : since(one)],
    ['orders', settings.orderKlass === null ? 'none' : `custom objects ${settings.orderKlass}`],
    ['webhook path', `${WEBHOOK_PATH}${one.connectionId}`],
    ['webhook', webhookText(one)],
    ['webhook tokens', one.webhookTokens.map(fingerprint).join(' ') || 'none'],
  ]);
}

function since({ settings: { backfillSinceMs } }: Connection): string {
  if (backfillSinceMs === null) return '-';
  return new Date(backfillSinceMs).toISOString().replace('T00:00:00.000Z', '').replace('.000Z', 'Z');
}

/** Who made it, as far as we know; whether it works is a matter of `connection webhook check`. */
function webhookKind({ webhookId, previousWebhookId, webhookTokens }: ConnectionWithTokens): string {
  if (previousWebhookId !== null) return 'rotating';
  if (webhookId !== null) return 'own';
  return webhookTokens.length > 0 ? 'by hand' : 'none';
}

function webhookText(one: ConnectionWithTokens): string {
  const { webhookId, previousWebhookId } = one;
  if (webhookId === null) return webhookKind(one);
  return previousWebhookId === null ? `own, ${webhookId}` : `rotating, ${previousWebhookId} to ${webhookId}`;
}

/** One line for each connection that cannot be used. */
export function describeProblems(store: Pick<ConnectionStore, 'health'>): readonly string[] {
  return store
    .health()
    .problems.map(({ connectionId, tenantId, code, message }) =>
      printable(`${connectionId} of ${tenantId}: ${code}: ${message}`),
    );
}

export function describeResealed({ sealed, stale }: Resealed): string {
  return `sealed ${sealed} connection(s) under the newest master key; ${stale} of them were still under an older one`;
}

/** Enough to tell tokens apart, too little to find one. */
export function fingerprint(token: Secret): string {
  return createHash('sha256').update(token.reveal()).digest('hex').slice(0, 8);
}
