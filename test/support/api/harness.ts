/** The API over ports in memory, spoken to without a socket. */
import { randomBytes } from 'node:crypto';
import { createAuthenticator } from '../../../src/api/auth/authenticate.ts';
import { TENANT_KIND, TOKEN_KIND } from '../../../src/api/auth/records.ts';
import { TokenBook } from '../../../src/api/auth/token-book.ts';
import { IDEMPOTENCY_KIND, Idempotency } from '../../../src/api/idempotency.ts';
import { apiRoutes } from '../../../src/api/index.ts';
import type { ApiObserver } from '../../../src/api/ports.ts';
import type { Method, Route } from '../../../src/api/route.ts';
import { type ApiServerSettings, createApiServer } from '../../../src/api/server.ts';
import { Secret } from '../../../src/base/secret.ts';
import { memoryPorts } from './memory-ports.ts';
import { MemoryTable } from './memory-table.ts';

export const ADMIN_TOKEN = 'an-admin-token-for-tests-only';

export interface Call {
  readonly token?: string | null;
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly raw?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Called {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every form
  readonly body: any;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
}

export interface HarnessOptions {
  readonly settings?: Partial<ApiServerSettings>;
  /** Routes beside those of the room itself. */
  readonly further?: (ports: ReturnType<typeof memoryPorts>) => readonly Route[];
  readonly startMs?: number;
}

export async function startApi(options: HarnessOptions = {}) {
  const time = { nowMs: options.startMs ?? Date.parse('2026-03-01T12:00:00Z') };
  const nowMs = () => time.nowMs;
  const clock = {
    nowMs,
    sleep: (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms).unref()),
  };
  const tenants = new MemoryTable(TENANT_KIND);
  const tokens = new MemoryTable(TOKEN_KIND);
  const idempotencies = new MemoryTable(IDEMPOTENCY_KIND);
  const book = new TokenBook(tokens);
  const memory = memoryPorts(nowMs);
  const failures: { readonly error: unknown; readonly route: string }[] = [];
  const answered: Parameters<ApiObserver['answered']>[0][] = [];
  const idempotency = new Idempotency({ table: idempotencies, random: randomBytes });
  const server = await createApiServer({
    routes: apiRoutes({ ...memory, clock, random: randomBytes, tenants, tokens, book }, options.further?.(memory)),
    authenticate: createAuthenticator({ tokens: book, tenants, adminToken: new Secret(ADMIN_TOKEN) }),
    idempotency,
    clock,
    random: randomBytes,
    observer: {
      failed: (error, { route }) => void failures.push({ error, route }),
      answered: (facts) => void answered.push(facts),
    },
    ...(options.settings && { settings: options.settings }),
    checkAnswers: true,
  });

  async function call(method: Method | string, url: string, { token, body, raw, headers }: Call = {}): Promise<Called> {
    const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await server.app.inject({
      method: method as 'GET',
      url,
      headers: {
        ...(token == null ? {} : { authorization: `Bearer ${token}` }),
        ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(payload === undefined ? {} : { payload }),
    });
    const isJson = String(response.headers['content-type']).startsWith('application/json');
    return {
      status: response.statusCode,
      body: isJson && response.body !== '' ? JSON.parse(response.body) : null,
      text: response.body,
      headers: response.headers as Called['headers'],
    };
  }

  async function tenant(id: string, resellerId: string | null = null): Promise<void> {
    const made = await call('POST', '/v1/tenants', {
      token: ADMIN_TOKEN,
      body: { id, name: `Tenant ${id}`, reseller_id: resellerId },
    });
    if (made.status !== 201) throw new Error(made.text);
  }

  async function token(tenantId: string, scopes: readonly string[] = ['admin'], name = 'test'): Promise<string> {
    const made = await call('POST', `/v1/tenants/${tenantId}/tokens`, { token: ADMIN_TOKEN, body: { name, scopes } });
    if (made.status !== 201) throw new Error(made.text);
    return made.body.token as string;
  }

  return {
    server,
    call,
    tenant,
    token,
    time,
    memory,
    tenants,
    tokens,
    idempotencies,
    idempotency,
    book,
    failures,
    answered,
  };
}

export type Api = Awaited<ReturnType<typeof startApi>>;
