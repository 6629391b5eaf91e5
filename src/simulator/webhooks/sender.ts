/** The shell around the delivery queues: takes what is due, posts it signed, reports the answer back. */
import { createHmac } from 'node:crypto';
import { Agent } from 'undici';
import type { Delivery } from './delivery-queue.ts';
import type { Webhook, WebhookRegistry } from './registry.ts';

export interface SenderOptions {
  readonly registries: readonly WebhookRegistry[];
  readonly nowMs: () => number;
  /** "Within a few seconds": the vendor does not say exactly. */
  readonly answerTimeoutMs: number;
  readonly connectionsPerOrigin: number;
  /** Deliveries under way at a time, over all webhooks. */
  readonly maxConcurrent: number;
}

/** Node's timers cannot wait longer. */
const MAX_WAIT_MS = 2 ** 31 - 1;

export function webhookSignature(token: string, body: Buffer): string {
  return createHmac('sha256', token).update(body).digest('hex');
}

export class WebhookSender {
  readonly #options: SenderOptions;
  readonly #agent: Agent;
  readonly #idle = new Set<() => void>();
  #underWay = 0;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#agent = new Agent({
      connections: options.connectionsPerOrigin,
      pipelining: 1,
      headersTimeout: options.answerTimeoutMs,
      bodyTimeout: options.answerTimeoutMs,
      connect: { timeout: options.answerTimeoutMs },
    });
  }

  get underWay(): number {
    return this.#underWay;
  }

  /** Looks at the queues now. Call it after every change of them. */
  wake(): void {
    if (this.#closed) return;
    const nowMs = this.#options.nowMs();
    let nextDueMs = Number.POSITIVE_INFINITY;
    for (const webhook of this.#webhooks()) {
      while (this.#underWay < this.#options.maxConcurrent) {
        const delivery = webhook.queue.take(nowMs);
        if (delivery === undefined) break;
        this.#send(webhook, delivery);
      }
      nextDueMs = Math.min(nextDueMs, webhook.queue.nextDueMs() ?? Number.POSITIVE_INFINITY);
    }
    this.#waitFor(nextDueMs, nowMs);
    if (this.#isIdle()) for (const resolve of this.#idle) resolve();
  }

  /** Resolves when nothing is pending anywhere, retries included. */
  async idle(): Promise<void> {
    if (this.#isIdle()) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle.add(resolve);
    await promise.finally(() => this.#idle.delete(resolve));
  }

  /** Gives up what is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#agent.destroy();
    for (const resolve of this.#idle) resolve();
  }

  *#webhooks(): Generator<Webhook> {
    for (const registry of this.#options.registries) yield* registry.list();
  }

  #isIdle(): boolean {
    if (this.#underWay > 0) return false;
    for (const webhook of this.#webhooks()) if (webhook.queue.pending > 0) return false;
    return true;
  }

  #waitFor(dueMs: number, nowMs: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    // With all slots taken the next answer wakes us, not the clock.
    if (dueMs === Number.POSITIVE_INFINITY || this.#underWay >= this.#options.maxConcurrent) return;
    this.#timer = setTimeout(() => this.wake(), Math.min(MAX_WAIT_MS, Math.max(1, dueMs - nowMs)));
  }

  #send(webhook: Webhook, delivery: Delivery): void {
    this.#underWay += 1;
    const sentAtMs = this.#options.nowMs();
    void this.#post(webhook, delivery).then((status) => {
      this.#underWay -= 1;
      webhook.queue.answered(delivery.deliveryId, { sentAtMs, status }, this.#options.nowMs());
      this.wake();
    });
  }

  /** Status of the answer, 0 when there was none. Never rejects. */
  async #post(webhook: Webhook, delivery: Delivery): Promise<number> {
    const url = new URL(webhook.url);
    try {
      const answer = await this.#agent.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: 'POST',
        headers: {
          ...Object.fromEntries(webhook.headers.map(({ name, value }) => [name.toLowerCase(), value])),
          'content-type': 'application/json',
          'x-kustomer-webhook-event': delivery.eventName,
          'x-kustomer-webhook-signature': webhookSignature(webhook.token, delivery.body),
        },
        body: delivery.body,
      });
      await answer.body.dump();
      return answer.statusCode;
    } catch {
      return 0;
    }
  }
}
