/** One simulated organisation with what surrounds its data: the API key, the webhooks, the faults, the traffic. */
import { type Access, type AccessOptions, accessSchema } from './access.ts';
import { type Behaviour, type BehaviourOptions, behaviourSchema } from './behaviour.ts';
import { type LimitOptions, Limits, limitsSchema } from './limits/limits.ts';
import type { ModelEvent } from './model/event.ts';
import { createKobject } from './model/kobjects.ts';
import { Organisation } from './model/organisation.ts';
import { createIds, createRandom, type IdSource, type Random } from './model/random.ts';
import type { Relationship } from './model/resource.ts';
import type { SlaPolicy } from './model/sla.ts';
import { openConversation, staffOrganisation, trafficStep } from './model/traffic.ts';
import { RequestFaults } from './requests/faults.ts';
import { RequestLog } from './requests/log.ts';
import { WriteLog } from './requests/write-log.ts';
import { SearchIndex } from './search/search-index.ts';
import { type SearchOptions, searchSettingsSchema } from './search/settings.ts';
import { type ServiceOptions, type ServiceTime, serviceSchema } from './service-time.ts';
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
  /** They were made evenly over so long before the start; by default one every second. */
  readonly historyMs?: number | undefined;
  /** Custom objects of the klass `order`, spread over those conversations' customers. */
  readonly orders?: number | undefined;
  readonly access?: AccessOptions | undefined;
  readonly limits?: LimitOptions | undefined;
  readonly search?: SearchOptions | undefined;
  readonly behaviour?: BehaviourOptions | undefined;
  readonly service?: ServiceOptions | undefined;
  /** The clock of every conversation; none by default. */
  readonly sla?: SlaPolicy | undefined;
  /** Snoozed conversations open by themselves when their time comes (default). */
  readonly snoozesElapse?: boolean | undefined;
  /** Names of the custom objects' classes; `order` by default. */
  readonly klasses?: readonly string[] | undefined;
}

export interface CustomerMerge {
  readonly id: string;
  readonly sourceId: string;
  readonly targetId: string;
  readonly atMs: number;
}

/** What became of a request, as far as the caller can know. */
export interface Answered {
  readonly atMs: number;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly status: number;
  readonly body: unknown;
  /** False when the answer was spoiled or swallowed on its way. */
  readonly arrived: boolean;
}

export interface OrgSetup {
  readonly seed: string;
  readonly queue: QueueOptions;
  readonly nowMs: number;
  /** Requests kept in the log of each organisation. */
  readonly maxRequests: number;
  /** Applied writes kept. */
  readonly maxWrites: number;
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
  access: Access;
  behaviour: Behaviour;
  service: ServiceTime;
  readonly limits: Limits;
  readonly search: SearchIndex;
  readonly requestFaults: RequestFaults;
  /** Every request with this organisation's key. */
  readonly requests: RequestLog;
  /** Every write that was applied. */
  readonly writes: WriteLog;
  /** Names of the klasses and their ids. */
  readonly klasses: ReadonlyMap<string, string>;
  readonly merges: CustomerMerge[] = [];
  /** Events published so far, subscribed to or not. */
  published = 0;
  readonly #traffic: Random;
  readonly #faultDraws: Random;
  readonly #queued: () => void;
  readonly #newId: IdSource;
  readonly #answerObservers: ((answered: Answered) => void)[] = [];
  readonly #serviceDraws: Random;
  /** What was asked for and has yet to take effect, in the order of asking. */
  #pending: { readonly atMs: number; readonly run: (nowMs: number) => void }[] = [];

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
      sla: options.sla,
      snoozesElapse: options.snoozesElapse ?? true,
    });
    this.#newId = newId;
    this.access = accessSchema.parse(options.access ?? {});
    this.behaviour = behaviourSchema.parse(options.behaviour ?? {});
    this.limits = new Limits(limitsSchema.parse(options.limits ?? {}));
    this.search = new SearchIndex(searchSettingsSchema.parse(options.search ?? {}), createRandom(`search:${seed}`));
    this.organisation.revisions.observe((resource) => this.search.add(resource));
    this.organisation.onForgotten((id) => this.search.forget('message', id));
    this.requestFaults = new RequestFaults(createRandom(`requests:${seed}`));
    this.requests = new RequestLog(setup.maxRequests);
    this.writes = new WriteLog(setup.maxWrites);
    this.service = serviceSchema.parse(options.service ?? {});
    this.#serviceDraws = createRandom(`service:${seed}`);
    const klassIds = createIds(`klasses:${seed}`);
    this.klasses = new Map((options.klasses ?? ['order']).map((name) => [name, klassIds(setup.nowMs)]));
    this.tokenId = newId(setup.nowMs);
    this.#traffic = createRandom(`traffic:${seed}`);
    this.#faultDraws = createRandom(`faults:${seed}`);
    this.#queued = setup.queued;
    this.webhooks = new WebhookRegistry({ newId, random: createRandom(`tokens:${seed}`), queue: setup.queue });
    const machine = { name: 'API key', email: `api@${options.name}.example`, userType: 'machine' } as const;
    this.machineUserId = (this.organisation.createUser(setup.nowMs, machine)[0] as ModelEvent).id;
    staffOrganisation(this.organisation, setup.nowMs);
    this.#makeHistory(options, setup.nowMs);
  }

  #makeHistory({ conversations = 0, orders = 0, historyMs = conversations * 1000 }: OrgOptions, nowMs: number): void {
    const stepMs = historyMs / Math.max(1, conversations);
    const ordersBy = (made: number): number => Math.floor((orders * made) / Math.max(1, conversations));
    for (let made = 0; made < conversations; made += 1) {
      const atMs = nowMs - Math.round(stepMs * (conversations - made));
      const events = openConversation(this.organisation, atMs, this.#traffic);
      const conversation = events.find(({ type }) => type === 'conversation') as ModelEvent;
      const customerId = conversation.body.data.relationships['customer'] as Relationship;
      for (let order = ordersBy(made); order < ordersBy(made + 1); order += 1) {
        const title = `Order ${FIRST_ORDER + order}`;
        createKobject(this.organisation, atMs, 'order', { title, customerId: customerId.data?.id });
      }
    }
  }

  /** Called with every answer to a request with this organisation's key, after whatever it did. */
  observeAnswers(observer: (answered: Answered) => void): void {
    this.#answerObservers.push(observer);
  }

  answered(answered: Answered): void {
    for (const observer of this.#answerObservers) observer(answered);
  }

  /** Lets the clock do what it does by itself: SLA deadlines pass, snoozes elapse, slow writes arrive. Call it freely. */
  settle(nowMs: number): void {
    this.publish(this.organisation.settle(nowMs, this.behaviour.slaBreachEmits), nowMs);
    const due = this.#pending.filter(({ atMs }) => atMs <= nowMs);
    if (due.length === 0) return;
    this.#pending = this.#pending.filter(({ atMs }) => atMs > nowMs);
    for (const { run } of due.sort((a, b) => a.atMs - b.atMs)) run(nowMs);
  }

  /** Runs it when the clock has come to `atMs`. */
  later(atMs: number, run: (nowMs: number) => void): void {
    this.#pending.push({ atMs, run });
  }

  /** How long the next answer takes. */
  serviceMs(): number {
    const { minMs, maxMs } = this.service;
    return maxMs <= minMs ? minMs : minMs + this.#serviceDraws.int(maxMs - minMs + 1);
  }

  /** A change nobody makes through the API, with its webhooks. */
  perform(nowMs: number, change: (organisation: Organisation) => readonly ModelEvent[]): readonly ModelEvent[] {
    this.settle(nowMs);
    const events = change(this.organisation);
    this.publish(events, nowMs);
    return events;
  }

  keepMerge(merge: Omit<CustomerMerge, 'id'>): CustomerMerge {
    const kept = { id: this.#newId(merge.atMs), ...merge };
    this.merges.push(kept);
    if (this.merges.length > MAX_MERGES) this.merges.shift();
    return kept;
  }

  /** Hands events to the webhooks that asked for them. */
  publish(events: readonly ModelEvent[], nowMs: number): void {
    this.published += events.length;
    for (const event of events) this.webhooks.publish(event, this.faults, nowMs, this.#faultDraws);
    if (events.length > 0) this.#queued();
  }

  /** Lets one more thing happen: now and then a new conversation, else a change. Returns the events it made. */
  act(nowMs: number): number {
    this.settle(nowMs);
    const opening = this.organisation.conversations.size === 0 || this.#traffic.chance(OPENING_SHARE);
    const events = opening
      ? openConversation(this.organisation, nowMs, this.#traffic)
      : trafficStep(this.organisation, nowMs, this.#traffic);
    this.publish(events, nowMs);
    return events.length;
  }
}

const OPENING_SHARE = 0.05;
const FIRST_ORDER = 10_001;
const MAX_MERGES = 10_000;
