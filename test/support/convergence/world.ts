/**
 * One Kustomer with an organisation per seed, one cn-kustomer with a tenant for each, and between them a network that can
 * fail. The simulator runs in this process, so that the truth is at hand; the service runs in processes of its own.
 */
import { onTestFinished } from 'vitest';
import { verifyAccess } from '../../../src/app/cli/verify.ts';
import { type EnvelopeFollow, followEnvelopes } from '../../../src/app/verify/follow.ts';
import { realClock } from '../../../src/base/clock.ts';
import { Secret } from '../../../src/base/secret.ts';
import { type Connection, MIN_POLL_INTERVAL_MS } from '../../../src/fibric/connection.ts';
import { EVENT_NAMES } from '../../../src/kustomer/event-names.ts';
import { createKobject } from '../../../src/simulator/model/kobjects.ts';
import { createRandom } from '../../../src/simulator/model/random.ts';
import type { SlaPolicy } from '../../../src/simulator/model/sla.ts';
import type { Org } from '../../../src/simulator/org.ts';
import { createSimulator, type Simulator } from '../../../src/simulator/server.ts';
import { type Comparison, compareWithTruth } from '../../../src/simulator/truth/compare.ts';
import { type History, recordHistory } from '../../../src/simulator/truth/history.ts';
import { Installation, readiness, type Serving } from '../installation.ts';
import { type Gate, startGate } from './gate.ts';
import { seedPlan } from './plan.ts';
import { Sightings } from './sightings.ts';

export const POLL_INTERVAL_MS = MIN_POLL_INTERVAL_MS;

/** Every metric is breached now and then within the minute that a run takes. */
const SLA: SlaPolicy = {
  id: '51a000000000000000000001',
  name: 'Convergence',
  version: 1,
  targetsMs: {
    firstResponse: 6_000,
    nextReply: 9_500,
    longestUnrespondedMessage: 13_700,
    totalConversationOpenTime: 31_000,
  },
};

/** The retry schedule of 64 minutes in one second. */
const TIME_SCALE = 3840;
const CONVERSATIONS = 15;
const ORDERS = 8;
const ORDER_SHARE = 0.05;
/** Enough for four streams every five seconds, for orders, and for asking again: the limits are others' tests. */
const LIMITS = { orgPerMinute: 6000, searchPerMinute: 2000 } as const;
const INDEX_LAG = { min: 0, max: 1000 } as const;
/**
 * A poller that is killed loses what it was shown last: it did not get to write it down. Generous for a machine on which
 * everything else runs too.
 */
const UNWRITTEN_MS = 3000;
/** The overlap covers the lag of the index, and little more: what is read again is not what this is about. */
const ENV = { POLL_OVERLAP_MS: '15000', WEBHOOK_CHECK_MS: '2000' };
const SWITCH_LOOK_MS = 50;
const START_DEADLINE_MS = 60_000;

export interface WorldOptions {
  readonly seeds: readonly string[];
  /** Whether there is a poller. */
  readonly polls: boolean;
}

/** One seed: its organisation, its tenant, its truth. */
export interface Place {
  readonly seed: string;
  readonly org: Org;
  readonly connectionId: string;
  readonly topic: string;
  readonly history: History;
  readonly sightings: Sightings;
  readonly sinceMs: number;
  /** The webhook switched off and on again, with the time, in order. */
  readonly switches: readonly { readonly atMs: number; readonly enabled: boolean }[];
  startTraffic(stepEveryMs: number): void;
  stopTraffic(): void;
}

export class World {
  readonly site: Installation;
  readonly simulator: Simulator;
  readonly gate: Gate;
  readonly tail: EnvelopeFollow;
  readonly places: readonly Place[];
  readonly #polls: boolean;
  readonly #kills: number[] = [];
  readonly #logs: string[] = [];
  #poller: Serving | undefined;

  private constructor(parts: Pick<World, 'site' | 'simulator' | 'gate' | 'tail' | 'places'>, polls: boolean) {
    this.site = parts.site;
    this.simulator = parts.simulator;
    this.gate = parts.gate;
    this.tail = parts.tail;
    this.places = parts.places;
    this.#polls = polls;
  }

  /** Everything runs and is ready, nothing has happened yet. */
  static async open({ seeds, polls }: WorldOptions): Promise<World> {
    const site = await Installation.open({ tenants: seeds.length, env: ENV });
    const service = await site.serve({ roles: 'ingest,process' });
    const gate = await startGate(service.url);
    onTestFinished(() => gate.stop());
    const simulator = createSimulator({
      orgs: seeds.map((seed) => ({
        name: `seed${seed}`,
        apiKey: `key-${seed}`,
        conversations: CONVERSATIONS,
        historyMs: 86_400_000,
        orders: ORDERS,
        sla: SLA,
        limits: LIMITS,
        search: { lagMs: INDEX_LAG, maxPageSize: seedPlan(seed).maxPageSize },
      })),
      seed: 'convergence',
      timeScale: TIME_SCALE,
    });
    const { url } = await simulator.listen();
    onTestFinished(() => simulator.close());
    const targets = seeds.map((_, index) => site.target(index, gate.url));
    const tail = await followEnvelopes({
      ...verifyAccess(site.settings, process.env),
      reader: 'auto',
      clock: realClock,
      topics: targets.map(({ tenantId }) => site.names.events(tenantId)),
    });
    onTestFinished(() => tail.stop());
    const places: Place[] = [];
    for (const [index, seed] of seeds.entries()) {
      const org = simulator.orgs[index] as Org;
      const { connectionId, tenantId, url: receiver } = targets[index] as (typeof targets)[number];
      const connection = await connect({ site, org, apiUrl: url, connectionId, receiver, polls });
      const topic = site.names.events(tenantId);
      places.push(placeOf({ seed, org, connectionId, topic, sinceMs: connection.startedAtMs }));
    }
    const world = new World({ site, simulator, gate, tail, places }, polls);
    await world.startPoller();
    return world;
  }

  /** What the poller says of its health, part by part. */
  async pollerHealth(): Promise<string> {
    const poller = this.#poller;
    return poller === undefined ? 'there is none' : JSON.stringify(await readiness(poller.url));
  }

  /** What the pollers said of a connection, or of all of them, the latest last. */
  pollerLog(connectionId: string): readonly string[] {
    const all = [...this.#logs, this.#poller?.process.output() ?? ''].join('\n').split('\n');
    return all.filter((line) => line.includes(`"${connectionId}"`) || /"level":[4-6]0/.test(line));
  }

  /** Resolves when it does its work; without polls at once. */
  async startPoller(): Promise<void> {
    if (!this.#polls) return;
    this.#poller = await this.site.serve({ roles: 'poll', endWith: 'SIGKILL' });
  }

  /** SIGKILL: what it was about to write is lost. */
  async killPoller(): Promise<void> {
    const poller = this.#poller;
    if (poller === undefined) return;
    this.#kills.push(Date.now());
    poller.process.signal('SIGKILL');
    await poller.process.waitForExit(START_DEADLINE_MS);
    this.#logs.push(poller.process.output());
  }

  compare(place: Place, settledMs: number): Comparison {
    const { connectionId, history, sightings, sinceMs, topic } = place;
    const counts = (atMs: number) =>
      !this.#kills.some((killedMs) => atMs >= killedMs - UNWRITTEN_MS && atMs <= killedMs);
    const visibility = {
      delivered: (type: string, id: string, rev: number) => this.gate.taken(connectionId, type, id, rev),
      sighted: (type: string, id: string, from: number, until: number | null) =>
        sightings.sighted(`${type}:${id}`, from, until, counts),
    };
    const published = this.tail.of(topic);
    return compareWithTruth(published, history, visibility, { sinceMs, settledMs });
  }
}

interface Connecting {
  readonly site: Installation;
  readonly org: Org;
  readonly apiUrl: string;
  readonly connectionId: string;
  readonly receiver: string;
  /** Without polls no key either: customers would wait for their orders. */
  readonly polls: boolean;
}

/** As an operator does: an API key, a webhook for the events there are, and its token. */
async function connect({ site, org, apiUrl, connectionId, receiver, polls }: Connecting): Promise<Connection> {
  const events = EVENT_NAMES.filter((name) => /\.(?:conversation|message|customer)\./.test(name));
  const webhook = org.webhooks.create({ name: 'cn-kustomer', url: receiver, events, headers: [] }, Date.now());
  if (webhook === null) throw new Error('no room for a webhook');
  const known = site.store.get(connectionId);
  if (known === undefined) throw new Error(`${connectionId} is not there`);
  return site.store.add({
    connection: {
      ...known,
      orgId: org.organisation.orgId,
      apiBaseUrl: apiUrl,
      startedAtMs: Date.now(),
      webhookId: webhook.id,
      settings: {
        ...known.settings,
        machineUserId: org.machineUserId,
        pollIntervalMs: POLL_INTERVAL_MS,
        orderKlass: null,
      },
    },
    token: new Secret(webhook.token),
    dropOld: true,
    ...(polls ? { apiKey: new Secret(org.apiKey) } : {}),
  });
}

function placeOf(parts: Pick<Place, 'seed' | 'org' | 'connectionId' | 'topic' | 'sinceMs'>): Place {
  const { seed, org } = parts;
  const sightings = new Sightings();
  sightings.watch(org);
  const random = createRandom(`steps:${seed}`);
  const switches: { atMs: number; enabled: boolean }[] = [];
  const watch = setInterval(() => {
    const enabled = org.webhooks.list().every(({ queue }) => queue.enabled);
    if (enabled !== (switches.at(-1)?.enabled ?? true)) switches.push({ atMs: Date.now(), enabled });
  }, SWITCH_LOOK_MS);
  onTestFinished(() => clearInterval(watch));
  let timer: NodeJS.Timeout | undefined;
  const step = (stepEveryMs: number): void => {
    timer = setTimeout(
      () => {
        if (random.chance(ORDER_SHARE)) order(org, random.int(1_000_000));
        else org.act(Date.now());
        step(stepEveryMs);
      },
      2 * stepEveryMs * random.next(),
    );
  };
  onTestFinished(() => clearTimeout(timer));
  return {
    ...parts,
    history: recordHistory(org.organisation),
    sightings,
    switches,
    startTraffic: step,
    stopTraffic: () => clearTimeout(timer),
  };
}

/** A customer orders something: told by no webhook but that of the customer it touches. */
function order(org: Org, number: number): void {
  org.perform(Date.now(), (organisation) => {
    const customer = organisation.customers.pick(organisation.random);
    const seed = { title: `Order ${number}`, customerId: customer?.id };
    return createKobject(organisation, Date.now(), 'order', seed).events;
  });
}
