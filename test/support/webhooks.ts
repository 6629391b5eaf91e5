/** Single signed webhooks, as a test composes them. Floods send many; these are for what floods do not do. */
import { createHmac, randomBytes } from 'node:crypto';

export interface Delivery {
  /** Full URL of the connection's receiver. */
  readonly url: string;
  readonly token: string;
  readonly body: Buffer;
}

export interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly errorCode: string | null;
}

const ANSWER_DEADLINE_MS = 15_000;

/** The token leaves this process only as a signature. */
export function sign(body: Buffer, token: string): string {
  return createHmac('sha256', token).update(body).digest('hex');
}

export async function deliver({ url, token, body }: Delivery): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-kustomer-webhook-signature': sign(body, token) },
    body: new Uint8Array(body),
    signal: AbortSignal.timeout(ANSWER_DEADLINE_MS),
  });
  const text = await response.text();
  const error = text === '' ? null : (JSON.parse(text) as { error?: { code?: string } }).error;
  return { status: response.status, retryAfter: response.headers.get('retry-after'), errorCode: error?.code ?? null };
}

export const newId = (): string => randomBytes(12).toString('hex');

/** An event as Kustomer sends it, of a resource of its own. */
export function eventBody(name: string, options: { readonly org?: string; readonly id?: string } = {}): Buffer {
  const { org = newId(), id = newId() } = options;
  const type = name.split('.')[1] ?? 'unknown';
  const now = new Date().toISOString();
  const isCreation = name.endsWith('.create');
  return Buffer.from(
    JSON.stringify({
      id: newId(),
      name,
      org,
      orgId: org,
      createdAt: now,
      data: {
        type,
        id,
        attributes: { name: 'n', status: 'open', rev: isCreation ? 1 : 2, createdAt: now, updatedAt: now },
        relationships: {
          org: { data: { type: 'org', id: org } },
          customer: { data: { type: 'customer', id: newId() } },
        },
      },
      ...(isCreation ? {} : { changes: { attributes: { status: { before: 'done', after: 'open' } } } }),
    }),
  );
}
