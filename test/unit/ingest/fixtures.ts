import { Secret } from '../../../src/base/secret.ts';
import { CONNECTION_SETTINGS, type ConnectionWithTokens } from '../../../src/fibric/connection.ts';
import type { RawAppender } from '../../../src/ingest/ports.ts';
import type { Append } from '../../../src/kafka/port.ts';
import { sign, signingKey } from '../../../src/kustomer/signature.ts';

export const ORG = '5a8f1c2e9b1d4e0012ab34cd';
export const TOKEN = 'webhook-token-1';

export function connection(patch: Partial<ConnectionWithTokens> = {}): ConnectionWithTokens {
  return {
    connectionId: 'cn_a',
    tenantId: 't_a',
    resellerId: null,
    workspaceId: null,
    name: 'prod',
    subdomain: 'acme',
    orgId: ORG,
    apiBaseUrl: null,
    hasApiKey: false,
    startedAtMs: 0,
    webhookId: null,
    previousWebhookId: null,
    settings: CONNECTION_SETTINGS,
    webhookTokens: [new Secret(TOKEN)],
    apiKey: null,
    ...patch,
  };
}

export function event(patch: Record<string, unknown> = {}): Buffer {
  return Buffer.from(
    JSON.stringify({
      id: '6601f0c2a1b2c3d4e5f60718',
      name: 'kustomer.conversation.update',
      org: ORG,
      data: { type: 'conversation', id: '65aa000000000000000000c1', attributes: { status: 'open', rev: 14 } },
      changes: { attributes: { rev: { op: 'replace', before: 13, after: 14 } } },
      ...patch,
    }),
  );
}

export function signature(body: Buffer | string, token = TOKEN): string {
  return sign(Buffer.from(body), signingKey(token));
}

/** Holds what was appended; `next` decides how an append ends. */
export class FakeLog implements RawAppender {
  readonly acknowledged: Append[] = [];
  readonly asked: Append[] = [];
  next: (record: Append) => Promise<void> = () => new Promise((resolve) => setImmediate(resolve));

  async append(record: Append): Promise<void> {
    this.asked.push(record);
    await this.next(record);
    this.acknowledged.push(record);
  }
}
