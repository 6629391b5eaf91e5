/** The outbound webhooks of one organisation: what the vendor lets one set up, and its refusals. */
import { z } from 'zod';
import { EVENT_NAMES } from '../../kustomer/event-names.ts';
import type { ModelEvent } from '../model/event.ts';
import type { IdSource, Random } from '../model/random.ts';
import { DeliveryQueue, type QueueOptions } from './delivery-queue.ts';
import { deliveryTimes, type Faults } from './faults.ts';

export const MAX_WEBHOOKS = 5;
const MAX_EVENTS = 12;
const TOKEN_BYTES = 32;

const url = z.string().max(255).refine(isAllowedUrl, 'must be an https URL (http is allowed on loopback)');

const fields = {
  name: z.string().min(1).max(255),
  url,
  events: z.array(z.enum(EVENT_NAMES)).min(1).max(MAX_EVENTS),
  headers: z.array(z.strictObject({ name: z.string().min(1).max(255), value: z.string().max(4096) })).max(20),
};

/** Bodies are strict: the vendor answers 400 to a field it does not know. */
export const webhookCreateBody = z.strictObject({ ...fields, headers: fields.headers.default([]) });
export const webhookPatchBody = z.strictObject({ ...fields, enabled: z.boolean() }).partial();

type Create = z.infer<typeof webhookCreateBody>;
type Patch = z.infer<typeof webhookPatchBody>;

export interface Webhook {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  readonly events: readonly string[];
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  /** Signs the deliveries. */
  readonly token: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly queue: DeliveryQueue;
}

export interface RegistryOptions {
  readonly newId: IdSource;
  /** Seeded: tokens can be told in advance. A simulator keeps no real secrets. */
  readonly random: Random;
  readonly queue: QueueOptions;
}

export class WebhookRegistry {
  readonly #options: RegistryOptions;
  readonly #webhooks = new Map<string, Webhook>();

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  list(): readonly Webhook[] {
    return [...this.#webhooks.values()];
  }

  get(id: string): Webhook | undefined {
    return this.#webhooks.get(id);
  }

  /** Null when the organisation has its five already. */
  create(body: Create, nowMs: number): Webhook | null {
    if (this.#webhooks.size >= MAX_WEBHOOKS) return null;
    const webhook: Webhook = {
      ...body,
      id: this.#options.newId(nowMs),
      token: this.#token(),
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
      queue: new DeliveryQueue(this.#options.queue),
    };
    this.#webhooks.set(webhook.id, webhook);
    return webhook;
  }

  update(id: string, patch: Patch, nowMs: number): Webhook | undefined {
    const webhook = this.#webhooks.get(id);
    if (webhook === undefined) return undefined;
    const { enabled, ...rest } = patch;
    if (enabled === true) webhook.queue.enable();
    if (enabled === false) webhook.queue.disable();
    const changed = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
    const updated: Webhook = { ...webhook, ...changed, updatedAtMs: nowMs };
    this.#webhooks.set(id, updated);
    return updated;
  }

  delete(id: string): boolean {
    this.#webhooks.get(id)?.queue.disable();
    return this.#webhooks.delete(id);
  }

  /** Queues an event at every webhook that asked for it; the same event in two webhooks arrives twice. */
  publish(event: ModelEvent, faults: Faults, nowMs: number, random: Random): void {
    let body: Buffer | null = null;
    for (const webhook of this.#webhooks.values()) {
      if (!webhook.events.includes(event.name)) continue;
      body ??= Buffer.from(JSON.stringify(event.body));
      for (const dueMs of deliveryTimes(faults, nowMs, random)) {
        webhook.queue.offer({ eventName: event.name, body }, dueMs);
      }
    }
  }

  #token(): string {
    return Array.from({ length: TOKEN_BYTES }, () => this.#options.random.int(256).toString(16).padStart(2, '0')).join(
      '',
    );
  }
}

function isAllowedUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
  return protocol === 'https:' || (protocol === 'http:' && isLoopback);
}
