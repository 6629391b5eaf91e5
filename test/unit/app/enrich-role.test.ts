/** The detour of customers, from raw to raw to envelope, over the in-memory log: nothing lost, doubled or out of order. */
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { startEnrichRole } from '../../../src/app/roles/enrich.ts';
import { createMetrics } from '../../../src/app/telemetry.ts';
import { CONNECTION_SETTINGS, type ConnectionWithTokens } from '../../../src/fibric/connection.ts';
import { HEADER } from '../../../src/kafka/headers.ts';
import { createMemoryLog, type MemoryLog, VirtualClock } from '../../../src/kafka/memory/index.ts';
import { StreamWorker } from '../../../src/kafka/stream-worker.ts';
import { topicNames } from '../../../src/kafka/topics.ts';
import { createProcessorTask } from '../../../src/processors/task.ts';
import { createRandom } from '../../../src/simulator/model/random.ts';
import { envelopeType } from '../../support/event-fixtures.ts';
import { polledBody } from '../../support/polls.ts';
import { connection, FakeKustomer, fail, order, page } from '../ingest/enrich/fake-kustomer.ts';

const PARTITIONS = 4;
const names = topicNames('');
const AT = '2026-01-01T00:00:00.000Z';

class House {
  readonly clock = new VirtualClock();
  readonly log = createMemoryLog({ clock: this.clock, latencyMs: () => 1 });
  readonly kustomer = new FakeKustomer(this.clock, (id) => page([order(`order of ${id}`, AT)]));
  readonly crashes: unknown[] = [];
  readonly lines: string[] = [];
  connection: ConnectionWithTokens = connection();
  #unique = 0;

  static async build(): Promise<House> {
    const house = new House();
    const topics = [names.raw, names.enrich, names.dead, names.events('t_acme'), names.state];
    const specs = topics.map((name) => ({
      name,
      partitions: PARTITIONS,
      config: { 'cleanup.policy': name === names.state ? 'compact' : 'delete' },
    }));
    await house.clock.run(house.log.admin.createTopics(specs));
    return house;
  }

  async processor(): Promise<StreamWorker> {
    const quiet = () => undefined;
    return this.clock.run(
      StreamWorker.start({
        log: this.log.connect(),
        clientId: 'p',
        random: () => 0.5,
        uniqueId: () => `p${this.#unique++}`,
        settings: {
          groupId: 'process',
          topic: names.raw,
          stateTopic: names.state,
          shardCount: 2,
          sessionTimeoutMs: 10_000,
          maxBatchRecords: 20,
          paceMs: 20,
          maxQueuedRecords: 60,
          transactionTimeoutMs: 15_000,
          restoreStallMs: 10_000,
          stateMaxBytes: 2 ** 24,
          stateRetentionMs: 86_400_000,
          retryMinMs: 50,
          retryMaxMs: 1000,
        },
        createTask: () =>
          createProcessorTask({
            topics: names,
            connections: { get: () => this.connection },
            encode: (envelope) => envelopeType.toBuffer(envelope),
            ensureTenantTopic: () => undefined,
            onOutcome: quiet,
          }),
        observer: {
          assigned: quiet,
          opened: quiet,
          lost: quiet,
          committed: quiet,
          failed: quiet,
          crashed: (error) => this.crashes.push(error),
        },
      }),
    );
  }

  enrich(log: MemoryLog = this.log.connect()) {
    return this.clock.run(
      startEnrichRole({
        settings: { topicPrefix: '', shards: 2, sessionTimeoutMs: 10_000 },
        log,
        logger: pino({ level: 'info' }, { write: (line: string) => void this.lines.push(line) }),
        metrics: createMetrics({ ofProcess: false }),
        connections: { get: () => this.connection },
        clients: { of: () => this.kustomer },
        crashed: (error) => this.crashes.push(error),
        random: () => 0.5,
        uniqueId: () => `e${this.#unique++}`,
      }),
    );
  }

  async feed(
    bodies: readonly { readonly id: string; readonly body: Buffer; readonly channel: string }[],
  ): Promise<void> {
    const producer = await this.clock.run(this.log.producer({ clientId: 'feed' }));
    const { tenantId, connectionId } = this.connection;
    for (const { id, body, channel } of bodies) {
      const headers = {
        [HEADER.tenant]: tenantId,
        [HEADER.connection]: connectionId,
        [HEADER.channel]: channel,
        [HEADER.receivedAt]: '7',
      };
      await this.clock.run(producer.append([{ topic: names.raw, key: Buffer.from(id), value: body, headers }]));
    }
    await this.clock.run(producer.close());
  }

  async appended(topic: string): Promise<number> {
    const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition }));
    const ends = await Promise.all(partitions.map((partition) => this.log.admin.watermarks(partition)));
    return ends.reduce((sum, { high }) => sum + high, 0);
  }

  /** By partition and offset, read_committed, until nothing more comes. */
  async read(topic: string): Promise<readonly { key: string; value: Buffer; headers: Record<string, string> }[]> {
    const reader = await this.clock.run(this.log.reader({ clientId: 'check', topics: [topic] }));
    const seen: { key: string; value: Buffer; headers: Record<string, string> }[] = [];
    for (let partition = 0; partition < PARTITIONS; partition++) {
      reader.follow({
        topic,
        partition,
        fromOffset: 0,
        failed: (error) => this.crashes.push(error),
        records: (batch) => {
          for (const { key, value, headers } of batch.records) {
            const texts = Object.fromEntries(Object.entries(headers).map(([name, bytes]) => [name, String(bytes)]));
            seen.push({ key: String(key), value: value as Buffer, headers: texts });
          }
        },
      });
    }
    await this.clock.advance(20_000);
    await this.clock.run(reader.close());
    return seen;
  }

  async published() {
    const records = await this.read(names.events('t_acme'));
    return records.map(({ value, headers }) => {
      const { event_type: type, payload } = envelopeType.fromBuffer(value);
      const [facts] = Object.values(payload) as unknown as Record<string, unknown>[];
      return { type, headers, payload: facts as Record<string, unknown> };
    });
  }
}

const attributes = (rev: number) => ({
  rev,
  createdAt: AT,
  updatedAt: `2026-01-02T00:00:${String(rev).padStart(2, '0')}.000Z`,
});

function webhook(id: string, rev: number) {
  const changes = { attributes: { rev: { op: 'replace', before: rev - 1, after: rev } } };
  const body = {
    id: `${id}-${rev}`,
    name: 'kustomer.customer.update',
    data: { type: 'customer', id, attributes: attributes(rev) },
    changes,
  };
  return { id, channel: 'webhook', body: Buffer.from(JSON.stringify(body)) };
}

function polled(id: string, rev: number) {
  const shown = { type: 'customer', id, attributes: attributes(rev), relationships: {} } as const;
  return { id, channel: 'poll', body: polledBody(shown, { observedAtMs: Date.UTC(2026, 0, 3), sinceMs: 0 }) };
}

describe('customers on their way round', () => {
  it('come with their orders, once each and in order, whichever way they were seen; nothing else waits', async () => {
    const house = await House.build();
    house.kustomer.latencyMs = 5000;
    const conversation = {
      name: 'kustomer.conversation.create',
      data: { type: 'conversation', id: 'c1', attributes: {} },
    };
    await house.processor();
    const role = await house.enrich();
    await house.feed([
      webhook('u1', 2),
      polled('u1', 2),
      webhook('u1', 3),
      webhook('u2', 2),
      webhook('u1', 2),
      { id: 'c1', channel: 'webhook', body: Buffer.from(JSON.stringify(conversation)) },
    ]);
    await house.clock.advance(2000);
    expect(house.kustomer.open).toBeGreaterThan(0);
    expect(await house.clock.run(house.appended(names.events('t_acme')))).toBeGreaterThan(0);
    const published = await house.published();
    const customers = published.filter(({ type }) => type === 'customer.updated');
    expect(
      customers.map(({ payload }) => [payload['customer_id'], payload['revision'], payload['late']]).sort(),
    ).toEqual([
      ['u1', 2, false],
      ['u1', 3, false],
      ['u2', 2, false],
    ]);
    const ofFirst = customers.filter(({ payload }) => payload['customer_id'] === 'u1');
    expect(ofFirst.map(({ payload }) => payload['revision'])).toEqual([2, 3]);
    for (const { payload, headers } of customers) {
      expect(payload).toMatchObject({
        observed_via: 'webhook',
        orders_state: 'complete',
        orders: [{ order_id: `order of ${payload['customer_id']}` }],
      });
      expect(headers).toMatchObject({ connection: 'cn_acme', received_at: '7' });
    }
    expect(published.filter(({ type }) => type === 'conversation.created').length).toBe(1);
    expect(await house.read(names.dead)).toEqual([]);
    expect(role.health()).toMatchObject({ ready: true, detail: { refusedConnections: 0 } });
    expect(house.crashes).toEqual([]);
    await house.clock.run(role.close());
  });

  it.each(['orders are not wanted', 'there is no key'])('do not go round when %s', async (why) => {
    const house = await House.build();
    house.connection =
      why === 'there is no key'
        ? connection('cn_acme', { hasApiKey: false, apiKey: null })
        : connection('cn_acme', { settings: { ...CONNECTION_SETTINGS, orderKlass: null } });
    await house.processor();
    await house.feed([webhook('u1', 2)]);
    expect((await house.published()).map(({ payload }) => [payload['orders'], payload['orders_state']])).toEqual([
      [null, null],
    ]);
    expect(await house.read(names.enrich)).toEqual([]);
  });

  it('say that the key may not read orders: once in the log, and in the health', async () => {
    const house = await House.build();
    house.kustomer.answer = () => fail('permission', { status: 403, message: 'needs org.permission.customer.read' });
    await house.processor();
    const role = await house.enrich();
    await house.feed(Array.from({ length: 20 }, (_, n) => webhook(`u${n}`, 2)));
    const states = (await house.published()).map(({ payload }) => [payload['orders'], payload['orders_state']]);
    expect(states).toEqual(Array.from({ length: 20 }, () => [null, 'forbidden']));
    expect(house.lines.filter((line) => line.includes('enrich.refused')).length).toBe(1);
    expect(role.health().detail).toMatchObject({
      refused: [{ connectionId: 'cn_acme', state: 'forbidden', reason: 'needs org.permission.customer.read' }],
    });
    await house.clock.run(role.close());
  });

  it.each([1, 2, 3, 4, 5, 6])(
    'lose nothing and double nothing when who fetches is killed at any time (seed %i)',
    async (seed) => {
      const house = await House.build();
      const random = createRandom(`detour:${seed}`);
      house.kustomer.answer = (id) => (random.chance(0.2) ? fail('retry') : page([order(`order of ${id}`, AT)]));
      await house.processor();
      let log = house.log.connect();
      await house.enrich(log);
      const wanted = new Map<string, number[]>();
      for (let round = 0; round < 12; round++) {
        const bodies = Array.from({ length: 10 }, () => {
          const id = `u${random.int(6)}`;
          const revisions = wanted.get(id) ?? [];
          const isNew = revisions.length === 0 || random.chance(0.7);
          const rev = isNew ? revisions.length + 2 : (revisions[random.int(revisions.length)] as number);
          if (isNew) wanted.set(id, [...revisions, rev]);
          return random.chance(0.5) ? webhook(id, rev) : polled(id, rev);
        });
        await house.feed(bodies);
        await house.clock.advance(random.int(400));
        if (random.chance(0.3)) house.log.faults.commitUnknown(random.chance(0.5) ? 'committed' : 'lost');
        if (!random.chance(0.4)) continue;
        log.kill();
        log = house.log.connect();
        await house.enrich(log);
      }
      await house.clock.advance(120_000);
      const published = (await house.published()).filter(({ type }) => type === 'customer.updated');
      const got = new Map<string, number[]>();
      for (const { payload } of published) {
        const id = payload['customer_id'] as string;
        got.set(id, [...(got.get(id) ?? []), payload['revision'] as number]);
        expect(['complete', 'unavailable', 'skipped']).toContain(payload['orders_state']);
      }
      expect(new Map([...got].sort())).toEqual(new Map([...wanted].sort()));
      expect(house.crashes).toEqual([]);
    },
  );
});
