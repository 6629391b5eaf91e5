/** A Kustomer that has orders, or answers as a test says; its calls take a while. */
import { Secret } from '../../../../src/base/secret.ts';
import { CONNECTION_SETTINGS, type ConnectionWithTokens } from '../../../../src/fibric/connection.ts';
import type { VirtualClock } from '../../../../src/kafka/memory/index.ts';
import type { KustomerCall, KustomerClient } from '../../../../src/kustomer/client/client.ts';
import { type FailureFacts, type FailureKind, failure, type Outcome } from '../../../../src/kustomer/client/outcome.ts';

export const connection = (
  connectionId = 'cn_acme',
  more: Partial<ConnectionWithTokens> = {},
): ConnectionWithTokens => ({
  connectionId,
  tenantId: 't_acme',
  resellerId: null,
  workspaceId: null,
  name: 'acme',
  subdomain: 'acme',
  orgId: null,
  apiBaseUrl: null,
  hasApiKey: true,
  startedAtMs: 0,
  settings: CONNECTION_SETTINGS,
  webhookTokens: [],
  webhookId: null,
  previousWebhookId: null,
  apiKey: new Secret('key'),
  ...more,
});

export const order = (id: string, createdAt: string, more: object = {}) => ({
  type: 'kobject.order',
  id,
  attributes: { title: id, createdAt, ...more },
});

export type Answer = Outcome<unknown> | 'never';

export const fail = (kind: FailureKind, facts: Partial<FailureFacts> = {}): Answer =>
  failure(kind, { operation: 'customer.klass', message: `customer.klass: ${kind}`, ...facts });

export const page = (items: readonly object[], totalPages = 1, next: string | null = null): Answer => ({
  kind: 'ok',
  status: 200,
  headers: {},
  body: { data: items, meta: { totalPages }, links: { next } },
});

export class FakeKustomer implements KustomerClient {
  readonly calls: KustomerCall[] = [];
  readonly clock: VirtualClock;
  answer: (customerId: string, call: KustomerCall) => Answer;
  latencyMs = 100;
  open = 0;
  mostOpen = 0;

  constructor(clock: VirtualClock, answer: FakeKustomer['answer'] = () => page([])) {
    this.clock = clock;
    this.answer = answer;
  }

  async call(call: KustomerCall): Promise<Outcome<unknown>> {
    this.calls.push(call);
    this.open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    const path = call.path as readonly string[];
    const answer = this.answer(path[1] as string, call);
    await this.clock.sleep(answer === 'never' ? 1e9 : this.latencyMs, call.signal);
    this.open -= 1;
    const gaveUp = fail('not_sent', { code: 'budget_exhausted' }) as Outcome<unknown>;
    return answer === 'never' || call.signal?.aborted === true ? gaveUp : answer;
  }

  get customers(): readonly string[] {
    return this.calls.map(({ path }) => (path as readonly string[])[1] as string);
  }

  health(): never {
    throw new Error('nobody asks');
  }

  async close(): Promise<void> {}
}
