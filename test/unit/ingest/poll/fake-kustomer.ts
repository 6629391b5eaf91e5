/** A client over the model server, and an owned partition in memory: the poller's loops without sockets or a broker. */
import { CodedError } from '../../../../src/base/errors.ts';
import { Secret } from '../../../../src/base/secret.ts';
import { CONNECTION_SETTINGS, type ConnectionWithTokens } from '../../../../src/fibric/connection.ts';
import type { Owned } from '../../../../src/ingest/poll/ports.ts';
import type { PageQuery } from '../../../../src/ingest/poll/query.ts';
import type { Append } from '../../../../src/kafka/port.ts';
import type { KustomerCall, KustomerClient } from '../../../../src/kustomer/client/client.ts';
import { type Failure, type FailureKind, failure, type Outcome } from '../../../../src/kustomer/client/outcome.ts';
import type { ModelServer } from './model-server.ts';

export type Mishap = (call: KustomerCall) => FailureKind | Failure | 'hang' | null;

export interface FakeClient extends KustomerClient {
  readonly calls: (PageQuery['body'] & { readonly lane: string; readonly archive: boolean })[];
  /** The server's `Date`, where it sends one. */
  date: string | undefined;
}

/** `servers` by query context; a context without one is empty. */
export function fakeClient(servers: Readonly<Record<string, ModelServer>>, mishap: Mishap = () => null): FakeClient {
  const calls: FakeClient['calls'] = [];
  const client: FakeClient = {
    calls,
    date: undefined,
    call: async (call): Promise<Outcome<unknown>> => {
      const body = call.body as PageQuery['body'];
      const archive = 'length' in call.path && call.path.includes('archive');
      calls.push({ ...body, lane: call.lane, archive });
      const wrong = mishap(call);
      if (wrong === 'hang') {
        await new Promise<void>((resolve) => call.signal?.addEventListener('abort', () => resolve(), { once: true }));
        return failure('not_sent', { operation: 'search', message: 'given up', code: 'budget_exhausted' });
      }
      if (wrong !== null && typeof wrong === 'object') return wrong;
      if (wrong !== null) return failure(wrong, { operation: 'search', message: `search: ${wrong}` });
      const isSla = body.and.some((filter) => 'conversation_sla_breached' in filter);
      const server = isSla ? undefined : servers[archive ? `${body.queryContext}.archive` : body.queryContext];
      const { page = 1, pageSize = 500 } = call.query as { page?: number; pageSize?: number };
      const answer = server?.search({ body, page, pageSize }) ?? { rows: [], more: false, total: 0 };
      const data = answer.rows.map(({ id, rev, timeMs, createdMs }) => ({
        type: body.queryContext,
        id,
        attributes: { rev, updatedAt: iso(timeMs), createdAt: iso(createdMs) },
      }));
      const links = { next: answer.more ? '/v1/more' : null };
      const headers = client.date === undefined ? {} : { date: client.date };
      return { kind: 'ok', status: 200, headers, body: { data, meta: { total: answer.total, pageSize }, links } };
    },
    health: () => {
      throw new Error('not asked for');
    },
    close: async () => undefined,
  };
  return client;
}

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

/** A partition whose commits are kept; it can be taken away, and refuse. */
export class MemoryPartition implements Owned {
  readonly partition = 0;
  readonly store: Map<string, Buffer>;
  readonly appends: Append[] = [];
  readonly #end = new AbortController();
  readonly signal = this.#end.signal;
  commits = 0;
  /** Refuses the commit of this number, and those after it. */
  refuseFrom = Number.POSITIVE_INFINITY;

  constructor(store: Map<string, Buffer> = new Map()) {
    this.store = store;
  }

  get(key: string): Buffer | undefined {
    return this.store.get(key);
  }

  partitionOf(): number {
    return 0;
  }

  async commit(appends: readonly Append[], changes: ReadonlyMap<string, Buffer | null>): Promise<void> {
    this.commits += 1;
    if (this.commits >= this.refuseFrom) throw new CodedError('fenced', 'another owner');
    this.appends.push(...appends);
    for (const [key, value] of changes) {
      if (value === null) this.store.delete(key);
      else this.store.set(key, value);
    }
  }

  lose(): void {
    this.#end.abort();
  }
}

export function pollConnection(startedAtMs: number, more: Partial<ConnectionWithTokens> = {}): ConnectionWithTokens {
  return {
    connectionId: 'cn_one',
    tenantId: 't_one',
    resellerId: null,
    workspaceId: null,
    name: 'one',
    subdomain: 'one',
    orgId: null,
    apiBaseUrl: null,
    hasApiKey: true,
    startedAtMs,
    webhookId: null,
    previousWebhookId: null,
    settings: CONNECTION_SETTINGS,
    webhookTokens: [],
    apiKey: new Secret('key'),
    ...more,
  };
}
