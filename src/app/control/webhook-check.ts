/** `connection webhook check`: one look at the webhooks, told for people. The service's own checks go on beside it. */
import type { ConnectionWithTokens } from '../../fibric/connection.ts';
import { type Finding, find } from '../../ingest/webhook-health/find.ts';
import { HEALTH_REASONS, NEVER_SEEN, type WebhookFacts } from '../../ingest/webhook-health/model.ts';
import { lookAtWebhooks } from '../../ingest/webhook-health/observe.ts';
import type { KustomerClient } from '../../kustomer/client/client.ts';
import { alignColumns, printable } from '../text-table.ts';

export interface WebhookCheck {
  readonly finding: Finding;
  readonly lines: readonly string[];
}

/** A single look: there is nothing to compare it with, so every fault counts and lost changes cannot be seen. */
export async function checkWebhooks(
  client: KustomerClient,
  connection: ConnectionWithTokens,
  nowMs: number,
): Promise<WebhookCheck> {
  const { asked, failure } = await lookAtWebhooks(client, connection, { lane: 'probes', waitMs: 15_000 });
  const seen = {
    tokens: connection.webhookTokens.length,
    asked,
    acceptedHere: null,
    polledAtMs: [],
    pollWorks: null,
  };
  const finding = find(seen, { ...NEVER_SEEN, sinceMs: nowMs }, nowMs);
  const meaning = finding.reason === null ? 'webhooks are as they should be' : HEALTH_REASONS[finding.reason].meaning;
  return {
    finding,
    lines: [
      `${finding.state}: ${meaning}`,
      ...(failure === null ? [] : [printable(failure)]),
      ...(asked.kind === 'answered' && asked.webhooks.length > 0 ? describeWebhooks(asked.webhooks) : []),
    ],
  };
}

function describeWebhooks(webhooks: readonly WebhookFacts[]): readonly string[] {
  const head = ['WEBHOOK', 'ENABLED', 'ERROR', 'TOKEN', 'MISSING', 'DELIVERED', 'FAILED SINCE', 'LAST FAILURE'];
  const rows = webhooks.map(({ id, current, enabled, isError, tokenKnown, missingEvents, deliveries }) => [
    current ? id : `${id} (old)`,
    yesNo(enabled),
    yesNo(isError),
    tokenKnown === null ? '?' : tokenKnown ? 'ours' : 'unknown',
    missingEvents.length === 0 ? '-' : missingEvents.join(' '),
    deliveries === null ? '?' : deliveries.lastSuccessAtMs === null ? 'never' : time(deliveries.lastSuccessAtMs),
    deliveries === null ? '?' : String(deliveries.failuresAtMs.length),
    printable(deliveries?.lastFailureStatus ?? '-'),
  ]);
  return alignColumns([head, ...rows]);
}

function yesNo(value: boolean | null): string {
  return value === null ? '?' : value ? 'yes' : 'no';
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
