/** One simulated organisation with what surrounds its data: the API key, the webhooks, the faults, the traffic. */
import type { ModelEvent } from './model/event.ts';
import { Organisation } from './model/organisation.ts';
import { createIds, createRandom, type Random } from './model/random.ts';
import { openConversation, staffOrganisation, trafficStep } from './model/traffic.ts';
import type { QueueOptions } from './webhooks/delivery-queue.ts';
import { type Faults, faultsSchema } from './webhooks/faults.ts';
import { WebhookRegistry } from './webhooks/registry.ts';

export interface OrgOptions {
  /** The `acme` in acme.kustomerapp.com; unique in the simulator. */
  readonly name: string;
  /** 24 hex; without it one is made from the seed and the name. */
  readonly orgId?: string | undefined;
  /** Bearer key. */
  readonly apiKey: string;
  /** Conversations there from the start, known to no webhook. */
  readonly conversations?: number | undefined;
}

export interface OrgSetup {
  readonly seed: string;
  readonly queue: QueueOptions;
  readonly nowMs: number;
  /** Something was queued. */
  readonly queued: () => void;
}

export class Org {
  readonly organisation: Organisation;
  readonly webhooks: WebhookRegistry;
  readonly apiKey: string;
  /** The user the key stands for: writes through the API are its own. */
  readonly machineUserId: string;
  readonly tokenId: string;
  readonly createdAtMs: number;
  faults: Faults = faultsSchema.parse({});
  /** Events published so far, subscribed to or not. */
  published = 0;
  readonly #traffic: Random;
  readonly #faultDraws: Random;
  readonly #queued: () => void;

  constructor(options: OrgOptions, setup: OrgSetup) {
    const seed = `${setup.seed}:${options.name}`;
    const newId = createIds(`org:${seed}`);
    this.apiKey = options.apiKey;
    this.createdAtMs = setup.nowMs;
    this.organisation = new Organisation({
      orgId: options.orgId ?? newId(setup.nowMs),
      name: options.name,
      seed,
      customerActivity: true,
    });
    this.tokenId = newId(setup.nowMs);
    this.#traffic = createRandom(`traffic:${seed}`);
    this.#faultDraws = createRandom(`faults:${seed}`);
    this.#queued = setup.queued;
    this.webhooks = new WebhookRegistry({ newId, random: createRandom(`tokens:${seed}`), queue: setup.queue });
    const machine = { name: 'API key', email: `api@${options.name}.example`, userType: 'machine' } as const;
    this.machineUserId = (this.organisation.createUser(setup.nowMs, machine)[0] as ModelEvent).id;
    staffOrganisation(this.organisation, setup.nowMs);
    for (let made = 0; made < (options.conversations ?? 0); made += 1) {
      openConversation(this.organisation, setup.nowMs, this.#traffic);
    }
  }

  /** Hands events to the webhooks that asked for them. */
  publish(events: readonly ModelEvent[], nowMs: number): void {
    this.published += events.length;
    for (const event of events) this.webhooks.publish(event, this.faults, nowMs, this.#faultDraws);
    if (events.length > 0) this.#queued();
  }

  /** Lets one more thing happen: now and then a new conversation, else a change. Returns the events it made. */
  act(nowMs: number): number {
    const opening = this.organisation.conversations.size === 0 || this.#traffic.chance(OPENING_SHARE);
    const events = opening
      ? openConversation(this.organisation, nowMs, this.#traffic)
      : trafficStep(this.organisation, nowMs, this.#traffic);
    this.publish(events, nowMs);
    return events.length;
  }
}

const OPENING_SHARE = 0.05;
