/** The poller's loops over the model server, under a virtual clock: dispositions, restarts, owners, changes at run time. */
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { CONNECTION_SETTINGS, type ConnectionWithTokens } from '../../../../src/fibric/connection.ts';
import { HORIZON_MS } from '../../../../src/ingest/poll/backfill-plan.ts';
import { Poller } from '../../../../src/ingest/poll/poller.ts';
import type { BackfillOrder, PollObserver } from '../../../../src/ingest/poll/ports.ts';
import { VirtualClock } from '../../../../src/kafka/memory/index.ts';
import { failure } from '../../../../src/kustomer/client/outcome.ts';
import { type FakeClient, fakeClient, MemoryPartition, type Mishap, pollConnection } from './fake-kustomer.ts';
import { ModelServer } from './model-server.ts';

const OVERLAP_MS = 300_000;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const OPTIONS = { pageSize: 500, maxPages: 100, tellsTotal: true, shuffles: false, random: () => 0.5 };

class House {
  readonly clock = new VirtualClock();
  readonly startMs = this.clock.nowMs();
  readonly conversations = this.server();
  readonly archive = this.server();
  mishap: Mishap = () => null;
  readonly client: FakeClient = fakeClient(
    { conversation: this.conversations, 'conversation.archive': this.archive },
    (call) => {
      for (const server of [this.conversations, this.archive])
        server.nowMs = Math.max(server.nowMs, this.clock.nowMs());
      return this.mishap(call);
    },
  );
  connections: readonly ConnectionWithTokens[] = [pollConnection(this.startMs)];
  order: BackfillOrder = { paused: false, restartId: null };
  readonly failed: string[] = [];
  readonly alarms: string[] = [];
  readonly #connectionListeners = new Set<(id: string) => void>();
  readonly #orderListeners = new Set<(scope: { tenantId: string; connectionId: string }) => void>();
  readonly poller: Poller;

  constructor(pageSize = 10) {
    const observer: PollObserver = {
      page: () => undefined,
      polled: () => undefined,
      failed: ({ stream }, { kind }, { state }) => this.failed.push(`${stream} ${kind} ${state}`),
      alarm: ({ stream }, { code }) => this.alarms.push(`${stream} ${code}`),
      crowdedOut: () => undefined,
      backfill: () => undefined,
    };
    this.poller = new Poller({
      connections: {
        list: () => this.connections,
        onChange: (listener) => {
          this.#connectionListeners.add(listener);
          return () => void this.#connectionListeners.delete(listener);
        },
      },
      clients: { of: () => this.client },
      control: {
        get: () => this.order,
        onChange: (listener) => {
          this.#orderListeners.add(listener);
          return () => void this.#orderListeners.delete(listener);
        },
      },
      rawTopic: 'raw',
      clock: this.clock,
      random: () => 0.5,
      settings: {
        overlapMs: OVERLAP_MS,
        pageSize,
        maxPages: 100,
        horizonMs: HORIZON_MS,
        stateRetentionMs: 90 * 86_400_000,
      },
      observer,
    });
  }

  server(): ModelServer {
    return new ModelServer(this.clock.nowMs(), OPTIONS);
  }

  change(...connections: ConnectionWithTokens[]): void {
    this.connections = connections;
    for (const listener of this.#connectionListeners) listener('cn_one');
  }

  give(order: BackfillOrder): void {
    this.order = order;
    for (const listener of this.#orderListeners) listener({ tenantId: 't_one', connectionId: 'cn_one' });
  }

  get listeners(): number {
    return this.#connectionListeners.size + this.#orderListeners.size;
  }

  write(id: string, ageMs = 0): void {
    this.conversations.nowMs = this.clock.nowMs();
    this.conversations.write(id, { stampMs: this.clock.nowMs() - ageMs, lagMs: -ageMs });
  }

  /** Serves until `lose` or a commit's failure. */
  serve(partition: MemoryPartition): { readonly ended: Promise<unknown>; lose(): Promise<unknown> } {
    const ended = this.poller.serve(partition).catch((error: unknown) => error);
    const lose = () => {
      partition.lose();
      return this.clock.run(ended);
    };
    onTestFinished(async () => {
      await lose();
    });
    return { ended, lose };
  }

  stream(name: 'conversations' | 'messages' | 'customers' | 'sla') {
    return this.poller.health[0]?.streams[name];
  }
}

function seenOf({ appends }: MemoryPartition, channel?: string): readonly string[] {
  return appends
    .filter(({ headers }) => channel === undefined || headers?.['channel']?.toString() === channel)
    .map(({ key, headers }) => `${key?.toString()}@${headers?.['rev']?.toString()}`);
}

const backfilled = (startMs: number, sinceMs: number): ConnectionWithTokens =>
  pollConnection(startMs, { settings: { ...CONNECTION_SETTINGS, backfillSinceMs: sinceMs } });

afterEach(() => expect.hasAssertions());

describe('the live poll', () => {
  test('tells when a row was observed by the clock of the server that answered, and when it came by ours', async () => {
    const house = new House();
    const partition = new MemoryPartition();
    const serverMs = house.startMs - 4 * MINUTE_MS;
    house.client.date = new Date(serverMs).toUTCString();
    house.serve(partition);
    house.write('conversation-1');
    await house.clock.advance(2 * MINUTE_MS);
    const [{ value, headers = {} } = {}] = partition.appends;
    const observedAt = Date.parse(JSON.parse(value?.toString() ?? '').poll.observed_at);
    expect(observedAt).toBe(Math.floor(serverMs / 1000) * 1000);
    expect(Number(headers['received_at']?.toString())).toBeGreaterThanOrEqual(house.startMs);
  });

  test('appends rows as they are observed, with what the processor needs to know of them', async () => {
    const house = new House();
    const partition = new MemoryPartition();
    house.serve(partition);
    house.write('conversation-1');
    await house.clock.advance(2 * MINUTE_MS);
    expect(partition.appends).toHaveLength(1);
    const [{ topic, key, value, headers = {} } = {}] = partition.appends;
    expect({ topic, key: key?.toString() }).toEqual({ topic: 'raw', key: 'conversation-1' });
    expect(Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, text.toString()]))).toEqual({
      tenant: 't_one',
      connection: 'cn_one',
      channel: 'poll',
      resource_type: 'conversation',
      rev: '1',
      received_at: expect.stringMatching(/^\d{13}$/),
    });
    const body = JSON.parse(value?.toString() ?? '');
    expect(body).toMatchObject({
      poll: { stream: 'conversations', since: new Date(house.startMs).toISOString() },
      data: { type: 'conversation', id: 'conversation-1' },
    });
    expect(Date.parse(body.poll.observed_at)).toBe(Number(headers['received_at']));
    expect(house.stream('conversations')).toMatchObject({ state: 'current', reason: null, failuresInARow: 0 });
  });

  test('polls once an interval, and an idle poll writes nothing', async () => {
    const house = new House();
    const partition = new MemoryPartition();
    house.serve(partition);
    await house.clock.advance(1000);
    const { commits } = partition;
    const searches = house.client.calls.length;
    await house.clock.advance(10 * MINUTE_MS);
    expect(partition.commits).toBe(commits);
    expect((house.client.calls.length - searches) / 4).toBeGreaterThanOrEqual(10);
    expect((house.client.calls.length - searches) / 4).toBeLessThanOrEqual(12);
  });

  test('one stream in trouble does not hold up another, and says what is the matter', async () => {
    const house = new House();
    const role = 'search: 403: org.permission.search.create is missing';
    house.mishap = ({ body }) =>
      (body as { queryContext: string }).queryContext === 'customer'
        ? failure('permission', { operation: 'search', message: role, status: 403 })
        : null;
    const partition = new MemoryPartition();
    house.serve(partition);
    house.write('conversation-1');
    await house.clock.advance(4 * MINUTE_MS);
    expect(seenOf(partition)).toEqual(['conversation-1@1']);
    expect(house.stream('customers')).toMatchObject({ state: 'forbidden', reason: role, lastSuccessAtMs: null });
    expect(house.stream('conversations')).toMatchObject({ state: 'current' });
    // It does not hammer: what a person has to mend is asked for every five minutes.
    expect(house.client.calls.filter(({ queryContext }) => queryContext === 'customer')).toHaveLength(1);
    house.mishap = () => null;
    await house.clock.advance(2 * MINUTE_MS);
    expect(house.stream('customers')).toMatchObject({ state: 'current', reason: null });
  });

  test.each([
    ['retry', 'retrying'],
    ['not_sent', 'retrying'],
    ['wait', 'waiting'],
    ['config', 'misconfigured'],
    ['refuse', 'refused'],
  ] as const)('%s: %s, and current again when it is over', async (kind, state) => {
    const house = new House();
    house.mishap = () => kind;
    house.serve(new MemoryPartition());
    await house.clock.advance(MINUTE_MS);
    expect(house.stream('conversations')?.state).toBe(state);
    const asked = house.client.calls.filter(({ lane }) => lane === 'poll').length / 4;
    expect(asked).toBeLessThan(20);
    house.mishap = () => null;
    await house.clock.advance(6 * MINUTE_MS);
    expect(house.stream('conversations')?.state).toBe('current');
  });

  test('429: nothing is asked before the time that was told', async () => {
    const house = new House();
    const retryAtMs = house.startMs + 30_000;
    house.mishap = () => failure('wait', { operation: 'search', message: 'search: 429', status: 429, retryAtMs });
    house.serve(new MemoryPartition());
    await house.clock.advance(29_000);
    expect(house.client.calls).toHaveLength(4);
    house.mishap = () => null;
    await house.clock.advance(2_000);
    expect(house.client.calls).toHaveLength(8);
  });

  test('a page out of order is an alarm, the cursor stays, and the window is read again', async () => {
    const house = new House();
    const partition = new MemoryPartition();
    for (const id of ['a', 'b', 'c']) {
      await house.clock.advance(10);
      house.write(id);
    }
    house.conversations.disorder = 1;
    house.serve(partition);
    await house.clock.advance(2_000);
    expect(house.alarms).toEqual(['conversations poll_out_of_order']);
    expect(house.stream('conversations')).toMatchObject({ state: 'disordered' });
    expect(JSON.parse(partition.get('t_one/cn_one/conversations')?.toString() ?? '')).toMatchObject({
      cursor_ms: house.startMs - OVERLAP_MS,
      walk: null,
    });
    await house.clock.advance(MINUTE_MS);
    expect(house.stream('conversations')).toMatchObject({ state: 'current' });
    expect([...seenOf(partition)].sort()).toEqual(['a@1', 'b@1', 'c@1']);
  });

  test('a cursor that cannot be read is left alone, and its stream stands still', async () => {
    const house = new House();
    const damaged = Buffer.from('{"version":2}');
    const partition = new MemoryPartition(new Map([['t_one/cn_one/conversations', damaged]]));
    house.serve(partition);
    house.write('conversation-1');
    await house.clock.advance(5 * MINUTE_MS);
    expect(house.stream('conversations')?.state).toBe('unreadable');
    expect(house.stream('messages')?.state).toBe('current');
    expect(partition.get('t_one/cn_one/conversations')).toBe(damaged);
    expect(seenOf(partition)).toEqual([]);
  });
});

describe('owners and connections', () => {
  test('the next owner goes on where the last commit was: nothing lost, nothing doubled, nothing read from the start', async () => {
    const house = new House();
    const store = new Map<string, Buffer>();
    const first = new MemoryPartition(store);
    for (let made = 0; made < 95; made += 1) {
      house.write(`row-${made}`);
      await house.clock.advance(10);
    }
    first.refuseFrom = 9;
    const { ended } = house.serve(first);
    expect(await house.clock.run(ended)).toMatchObject({ code: 'fenced' });
    expect(first.appends.length).toBeGreaterThan(0);
    expect(first.appends.length).toBeLessThan(95);
    const searches = house.conversations.searches;
    const second = new MemoryPartition(store);
    house.serve(second);
    await house.clock.advance(3 * MINUTE_MS);
    const all = [...seenOf(first), ...seenOf(second)];
    expect(new Set(all).size).toBe(95);
    expect(all).toHaveLength(95);
    expect(house.conversations.searches - searches).toBeLessThan(50);
  });

  test('a partition taken away ends everything at once, a search under way included', async () => {
    const house = new House();
    house.mishap = () => 'hang';
    const partition = new MemoryPartition();
    const { lose } = house.serve(partition);
    await house.clock.advance(10_000);
    const before = house.clock.nowMs();
    expect(await lose()).toBeUndefined();
    expect(house.clock.nowMs()).toBe(before);
    expect(house.clock.pendingTimers).toBe(0);
    expect(house.listeners).toBe(0);
    expect(house.poller.health).toEqual([]);
  });

  test('connections come, change and go while it runs', async () => {
    const house = new House();
    const [one] = house.connections as readonly [ConnectionWithTokens];
    house.connections = [];
    const partition = new MemoryPartition();
    house.serve(partition);
    await house.clock.advance(MINUTE_MS);
    expect(house.client.calls).toEqual([]);
    house.change({ ...one, hasApiKey: false, apiKey: null });
    await house.clock.advance(MINUTE_MS);
    expect(house.stream('sla')).toMatchObject({ state: 'no_key', reason: expect.stringContaining('no API key') });
    expect(house.client.calls).toEqual([]);
    house.write('row-1');
    house.change(one);
    await house.clock.advance(MINUTE_MS);
    expect(seenOf(partition)).toEqual(['row-1@1']);
    house.change();
    await house.clock.advance(1);
    const { length } = house.client.calls;
    await house.clock.advance(5 * MINUTE_MS);
    expect(house.client.calls).toHaveLength(length);
    expect(house.poller.health).toEqual([]);
  });
});

describe('the backfill', () => {
  const history = (house: House, rows: number): void => {
    for (let made = 0; made < rows; made += 1) house.write(`old-${made}`, 30 * DAY_MS - made * 1000);
  };

  test('reads history once, beside the live poll, and each row on one channel only', async () => {
    const house = new House();
    history(house, 95);
    house.write('recent', 2 * OVERLAP_MS);
    house.write('before', 31 * DAY_MS);
    house.connections = [backfilled(house.startMs, house.startMs - 30 * DAY_MS)];
    const partition = new MemoryPartition();
    house.serve(partition);
    house.write('present');
    await house.clock.advance(10 * MINUTE_MS);
    expect([...seenOf(partition, 'poll')].sort()).toEqual(['present@1', 'recent@1']);
    expect(new Set(seenOf(partition, 'backfill')).size).toBe(95);
    expect(seenOf(partition, 'backfill')).toHaveLength(95);
    expect(house.poller.health[0]?.backfill.conversations).toMatchObject({ status: 'done', rowsDone: 95, rowsLeft: 0 });
    const since = partition.appends.map(({ value }) => JSON.parse(value?.toString() ?? '').poll.since);
    expect(new Set(since)).toEqual(new Set([new Date(house.startMs - 30 * DAY_MS).toISOString()]));
  });

  test('is paused within two seconds, also while it waits for Kustomer, stays so over a restart, and goes on', async () => {
    const house = new House();
    history(house, 95);
    house.connections = [backfilled(house.startMs, house.startMs - 30 * DAY_MS)];
    const store = new Map<string, Buffer>();
    const first = new MemoryPartition(store);
    let pages = 0;
    house.mishap = ({ lane, body }) => {
      if (lane !== 'backfill' || (body as { queryContext: string }).queryContext !== 'conversation') return null;
      pages += 1;
      return pages > 3 ? 'hang' : null;
    };
    const { lose } = house.serve(first);
    await house.clock.advance(10_000);
    const status = () => house.poller.health[0]?.backfill.conversations;
    expect(status()).toMatchObject({ status: 'running' });
    house.give({ paused: true, restartId: null });
    await house.clock.advance(2_000);
    expect(status()).toMatchObject({ status: 'paused' });
    await lose();
    house.mishap = () => null;
    const second = new MemoryPartition(store);
    house.serve(second);
    await house.clock.advance(5 * MINUTE_MS);
    expect(seenOf(second, 'backfill')).toEqual([]);
    house.give({ paused: false, restartId: null });
    await house.clock.advance(MINUTE_MS);
    expect(status()).toMatchObject({ status: 'done', rowsDone: 95 });
    const all = [...seenOf(first, 'backfill'), ...seenOf(second, 'backfill')];
    expect(all).toHaveLength(95);
    expect(new Set(all).size).toBe(95);
  });

  test('a restart reads everything once more, and is done once however often its owner changes', async () => {
    const house = new House();
    history(house, 20);
    house.connections = [backfilled(house.startMs, house.startMs - 30 * DAY_MS)];
    const store = new Map<string, Buffer>();
    const first = new MemoryPartition(store);
    const { lose } = house.serve(first);
    await house.clock.advance(MINUTE_MS);
    house.give({ paused: false, restartId: 'again' });
    await house.clock.advance(MINUTE_MS);
    expect(seenOf(first, 'backfill')).toHaveLength(40);
    await lose();
    const second = new MemoryPartition(store);
    house.serve(second);
    await house.clock.advance(MINUTE_MS);
    expect(seenOf(second, 'backfill')).toEqual([]);
  });

  test('an earlier beginning reads only what is missing', async () => {
    const house = new House();
    history(house, 20);
    house.write('older', 40 * DAY_MS);
    house.connections = [backfilled(house.startMs, house.startMs - 30 * DAY_MS)];
    const partition = new MemoryPartition();
    house.serve(partition);
    await house.clock.advance(MINUTE_MS);
    expect(seenOf(partition, 'backfill')).toHaveLength(20);
    house.change(backfilled(house.startMs, house.startMs - 50 * DAY_MS));
    await house.clock.advance(MINUTE_MS);
    expect(seenOf(partition, 'backfill').slice(20)).toEqual(['older@1']);
  });

  test('what is older than two years comes out of the archive, after the rest', async () => {
    const house = new House();
    history(house, 5);
    house.archive.write('ancient', { stampMs: house.startMs - 3 * 365 * DAY_MS, lagMs: -DAY_MS * 9999 });
    house.connections = [backfilled(house.startMs, house.startMs - 4 * 365 * DAY_MS)];
    const partition = new MemoryPartition();
    house.serve(partition);
    await house.clock.advance(MINUTE_MS);
    expect(seenOf(partition, 'backfill')).toEqual([...[0, 1, 2, 3, 4].map((at) => `old-${at}@1`), 'ancient@1']);
  });
});
