import { expect, test } from 'vitest';
import { type RefusedTopic, TenantTopics } from '../../../src/app/topic-settings.ts';
import { CodedError } from '../../../src/base/errors.ts';
import { createMemoryLog, VirtualClock } from '../../../src/kafka/memory/index.ts';
import { eventsTopic, TOPIC_DEFAULTS } from '../../../src/kafka/topics.ts';

function setUp() {
  const clock = new VirtualClock();
  const log = createMemoryLog({ clock });
  const refused: RefusedTopic[] = [];
  const broker = { answer: null as CodedError | null, asked: 0 };
  const admin = {
    createTopics: async (specs: Parameters<typeof log.admin.createTopics>[0]) => {
      broker.asked++;
      if (broker.answer !== null) throw broker.answer;
      return log.admin.createTopics(specs);
    },
  };
  const topics = new TenantTopics(
    { ...log, clock, admin } as never,
    (tenantId) => eventsTopic(TOPIC_DEFAULTS, tenantId),
    (one) => refused.push(one),
  );
  const ensure = () =>
    topics.ensure('t_a')?.then(
      () => 'there',
      (error: CodedError) => error.code,
    );
  return { clock, topics, refused, broker, ensure };
}

const REFUSED = new CodedError('topic_invalid', 'Creating topic: policy violation');

test('asks the broker once for a topic it takes', async () => {
  const { clock, broker, ensure } = setUp();
  expect(await clock.run(ensure() as Promise<string>)).toBe('there');
  expect(ensure()).toBeUndefined();
  expect(broker.asked).toBe(1);
});

test('a refusal holds the shard for a minute, then only its tenant, until the broker takes the topic', async () => {
  const { clock, topics, refused, broker, ensure } = setUp();
  broker.answer = REFUSED;
  for (const wait of [0, 30_000, 29_999]) {
    await clock.advance(wait);
    expect(await ensure()).toBe('topic_invalid');
    expect(topics.refusal('t_a')).toBeUndefined();
  }
  expect(topics.refusals).toMatchObject([{ tenantId: 't_a' }]);
  expect(refused).toEqual([]);

  await clock.advance(1);
  expect(await ensure()).toBe('topic_invalid');
  expect(topics.refusal('t_a')).toBe(REFUSED.message);
  expect(topics.refusal('t_b')).toBeUndefined();
  expect(ensure()).toBeUndefined();
  expect(broker.asked).toBe(4);

  await clock.advance(30_000);
  expect(ensure()).toBeUndefined();
  await clock.settle();
  expect(broker.asked).toBe(5);
  expect(refused).toHaveLength(1);

  broker.answer = null;
  await clock.advance(30_000);
  expect(ensure()).toBeUndefined();
  await clock.advance(0);
  expect(topics.refusal('t_a')).toBeUndefined();
  expect(topics.refusals).toEqual([]);
  expect(ensure()).toBeUndefined();
  expect(broker.asked).toBe(6);
});

test('a broker that is away is no refusal, however long', async () => {
  const { clock, topics, broker, ensure } = setUp();
  broker.answer = new CodedError('log_unavailable', 'away');
  for (let i = 0; i < 10; i++) {
    expect(await ensure()).toBe('log_unavailable');
    await clock.advance(60_000);
  }
  expect(topics.refusal('t_a')).toBeUndefined();
});

test('refusals with an outage or a long silence between them are not one that lasts', async () => {
  const { clock, topics, broker, ensure } = setUp();
  for (const between of [new CodedError('log_unavailable', 'away'), null]) {
    broker.answer = REFUSED;
    expect(await ensure()).toBe('topic_invalid');
    await clock.advance(40_000);
    if (between !== null) {
      broker.answer = between;
      await ensure();
    } else await clock.advance(40_000);
    await clock.advance(40_000);
    broker.answer = REFUSED;
    expect(await ensure()).toBe('topic_invalid');
    expect(topics.refusal('t_a')).toBeUndefined();
    await clock.advance(60_000);
  }
});
