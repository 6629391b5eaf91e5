/**
 * The demo's second act: a simulated Kustomer, listened to by webhook and polled. The webhooks are off for a while, and
 * nothing is missed: what was published is held against the truth.
 *
 *   customer with orders writes → nobody answers in time → webhooks off → answer, done, survey → the poll has it all
 *   → webhooks on → the customer writes again
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';
import { CONNECTION_SETTINGS, MIN_POLL_INTERVAL_MS } from '../../fibric/connection.ts';
import { EVENT_NAMES } from '../../kustomer/event-names.ts';
import type { ModelEvent } from '../../simulator/model/event.ts';
import type { Org } from '../../simulator/org.ts';
import { createSimulator, type Simulator } from '../../simulator/server.ts';
import { type Comparison, compareWithTruth, formatComparison } from '../../simulator/truth/compare.ts';
import { type History, recordHistory } from '../../simulator/truth/history.ts';
import type { ConnectionStore } from '../control/store.ts';
import { type EnvelopeFollow, type FollowOptions, followEnvelopes } from '../verify/follow.ts';
import { agentAnswers, customerThanks, customerWrites, DEMO_SLA, isLate } from './happenings.ts';
import { receiverUrl } from './targets.ts';

export const SENSING_TENANT = 't_sensing';
const CONNECTION_ID = 'cn_sensing';
const API_KEY = 'key-sensing';
const EVENTS = EVENT_NAMES.filter((name) => /\.(?:conversation|message|customer)\./.test(name));
/** Several polls, and the seconds until a poller that has just started owns its work. */
const CARRIED_DEADLINE_MS = 45_000;
const LATE_DEADLINE_MS = 10_000;
const LOOK_EVERY_MS = 100;
/** The first webhooks may meet a receiver that has not heard of the connection yet: seconds instead of minutes between tries. */
const RETRY_TIME_SCALE = 60;
const DELIVERED_DEADLINE_MS = 30_000;
/** A breach must have come by poll, an answer to a survey, a customer with orders: that is what the act is about. */
const NEEDED = ['conversation.created', 'conversation.message.created', 'conversation.status.changed'] as const;

export interface SensingOptions {
  /** Base URL of the receiver. */
  readonly url: string;
  readonly topic: string;
  readonly store: Pick<ConnectionStore, 'add'>;
  readonly reading: Omit<FollowOptions, 'topics'>;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface SensingResult {
  readonly ok: boolean;
  /** Envelopes by event type and how they were observed. */
  readonly counts: ReadonlyMap<string, Readonly<Record<'webhook' | 'poll', number>>>;
}

export async function runSensing(options: SensingOptions): Promise<SensingResult> {
  const org = { name: 'sensing', apiKey: API_KEY, sla: DEMO_SLA, limits: { searchPerMinute: 400 } };
  const simulator = createSimulator({ orgs: [org], seed: 'demo', timeScale: RETRY_TIME_SCALE });
  const follow = await followEnvelopes({ ...options.reading, topics: [options.topic] });
  try {
    return await new Act(options, simulator, follow).play((await simulator.listen()).url);
  } finally {
    await Promise.all([follow.stop(), simulator.close()]);
  }
}

class Act {
  readonly #options: SensingOptions;
  readonly #org: Org;
  readonly #history: History;
  readonly #follow: EnvelopeFollow;
  /** Webhooks that were on their way while they were on. */
  readonly #told = new Set<string>();
  #webhookId = '';

  constructor(options: SensingOptions, { orgs }: Simulator, follow: EnvelopeFollow) {
    this.#options = options;
    this.#org = orgs[0] as Org;
    this.#history = recordHistory(this.#org.organisation);
    this.#follow = follow;
  }

  async play(apiUrl: string): Promise<SensingResult> {
    const { say } = this.#options;
    const sinceMs = await this.#connect(apiUrl);
    say(`Kustomer: a simulated organisation with webhooks, polled every ${MIN_POLL_INTERVAL_MS / 1000} s`);
    const about = customerWrites(this.#perform);
    say('  a customer with two orders writes, and nobody answers in time: no webhook tells of that');
    await this.#until(() => isLate(this.#org, about), 'the SLA to be breached', LATE_DEADLINE_MS);
    // Switching off gives up what is still to be delivered, and then nobody would ever tell of it.
    const isDelivered = () => this.#org.webhooks.get(this.#webhookId)?.queue.pending === 0;
    await this.#until(isDelivered, 'the webhooks so far to be delivered', DELIVERED_DEADLINE_MS);
    this.#switch(false);
    say('  the webhooks are switched off; then an agent answers, is done, and the customer rates the answer…');
    agentAnswers(this.#perform, about);
    await this.#untilTrue(sinceMs);
    say('  …and the poll has carried all of it');
    this.#switch(true);
    customerThanks(this.#perform, about);
    await this.#untilTrue(sinceMs);
    say('  the webhooks are on again; the customer has written once more, and the conversation is open again');
    const comparison = this.#compare(sinceMs);
    say('');
    say(`sensing    ${formatComparison(comparison).split('\n').at(-1)} against the truth of the simulated Kustomer`);
    return { ok: comparison.defects.length === 0 && this.#hasAll(), counts: this.#counts() };
  }

  async #connect(apiUrl: string): Promise<number> {
    const { store, url } = this.#options;
    const webhook = this.#org.webhooks.create(
      { name: 'cn-kustomer demo', url: receiverUrl(url, CONNECTION_ID), events: EVENTS, headers: [] },
      Date.now(),
    );
    if (webhook === null) throw new CodedError('demo_failed', 'the simulator has no room for a webhook');
    this.#webhookId = webhook.id;
    const startedAtMs = Date.now();
    const connection = {
      connectionId: CONNECTION_ID,
      tenantId: SENSING_TENANT,
      resellerId: null,
      workspaceId: null,
      name: 'sensing',
      subdomain: 'sensing',
      orgId: this.#org.organisation.orgId,
      apiBaseUrl: apiUrl,
      hasApiKey: true,
      startedAtMs,
      webhookId: webhook.id,
      previousWebhookId: null,
      settings: { ...CONNECTION_SETTINGS, pollIntervalMs: MIN_POLL_INTERVAL_MS },
    };
    await store.add({ connection, token: new Secret(webhook.token), apiKey: new Secret(API_KEY) });
    return startedAtMs;
  }

  #perform = (change: Parameters<Parameters<typeof customerWrites>[0]>[0]): readonly ModelEvent[] => {
    const nowMs = Date.now();
    const events = this.#org.perform(nowMs, (organisation) => change(organisation, nowMs));
    if (this.#org.webhooks.get(this.#webhookId)?.queue.enabled) {
      for (const { type, id, rev } of events) this.#told.add(`${type} ${id} ${rev}`);
    }
    return events;
  };

  #switch(enabled: boolean): void {
    this.#org.webhooks.update(this.#webhookId, { enabled }, Date.now());
  }

  #compare(sinceMs: number): Comparison {
    const visibility = {
      delivered: (type: string, id: string, rev: number) => this.#told.has(`${type} ${id} ${rev}`),
      sighted: () => false,
    };
    const options = { sinceMs, settledMs: Date.now() };
    return compareWithTruth(this.#follow.of(this.#options.topic), this.#history, visibility, options);
  }

  async #untilTrue(sinceMs: number): Promise<void> {
    const isTrue = () => this.#follow.failure() !== null || this.#compare(sinceMs).defects.length === 0;
    await this.#until(isTrue, 'what was published to equal the truth', CARRIED_DEADLINE_MS).catch((error) => {
      this.#options.say(formatComparison(this.#compare(sinceMs)));
      throw error;
    });
    const failure = this.#follow.failure();
    if (failure !== null) throw failure;
  }

  async #until(holds: () => boolean, what: string, deadlineMs: number): Promise<void> {
    const endMs = Date.now() + deadlineMs;
    while (!holds()) {
      this.#options.signal.throwIfAborted();
      if (Date.now() > endMs) throw new CodedError('demo_failed', `waited ${deadlineMs / 1000} s for ${what}`);
      await sleep(LOOK_EVERY_MS);
    }
  }

  #hasAll(): boolean {
    const envelopes = this.#follow.of(this.#options.topic);
    const has = (type: string, fits: (payload: Readonly<Record<string, unknown>>) => boolean = () => true): boolean =>
      envelopes.some(({ eventType, payload }) => eventType === type && fits(payload));
    return (
      NEEDED.every((type) => has(type)) &&
      has('conversation.sla.breached', (payload) => payload['observed_via'] === 'poll') &&
      has('conversation.satisfaction.updated', (payload) => payload['observed_via'] === 'poll') &&
      has('customer.updated', (payload) => Array.isArray(payload['orders']) && payload['orders'].length === 2)
    );
  }

  #counts(): SensingResult['counts'] {
    const counts = new Map<string, { webhook: number; poll: number }>();
    for (const { eventType, payload } of this.#follow.of(this.#options.topic)) {
      const count = counts.get(eventType) ?? { webhook: 0, poll: 0 };
      count[payload['observed_via'] === 'poll' ? 'poll' : 'webhook'] += 1;
      counts.set(eventType, count);
    }
    return counts;
  }
}
