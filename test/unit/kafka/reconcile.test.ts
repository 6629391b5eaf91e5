import { describe, expect, test } from 'vitest';
import { planTopics } from '../../../src/kafka/reconcile.ts';
import { eventsTopic, fixedTopics, receiptsTopic, TOPIC_DEFAULTS } from '../../../src/kafka/topics.ts';

const wanted = { name: 'raw', partitions: 4, config: { 'cleanup.policy': 'delete' } };

describe('topics plan', () => {
  test('a missing topic is created', () => {
    expect(planTopics([wanted], [])).toEqual([{ kind: 'create', topic: wanted }]);
  });

  test('an equal topic is kept, whatever else is set on it', () => {
    const is = { ...wanted, config: { ...wanted.config, 'segment.ms': '1000' } };
    expect(planTopics([wanted], [is])).toEqual([{ kind: 'keep', name: 'raw' }]);
  });

  test('only differing settings are altered', () => {
    const is = { ...wanted, config: { 'cleanup.policy': 'compact' } };
    expect(planTopics([wanted], [is])).toEqual([{ kind: 'alter', name: 'raw', config: wanted.config }]);
  });

  test.each([8, 2])(
    'a topic of %i partitions is neither shrunk nor grown, and its settings are left alone',
    (partitions) => {
      const [action] = planTopics([wanted], [{ ...wanted, partitions, config: {} }]);
      expect(action).toMatchObject({ kind: 'refuse', name: 'raw' });
    },
  );

  test('raw and state are twins: equal partition counts, and the state is compacted', () => {
    const topics = fixedTopics({ ...TOPIC_DEFAULTS, rawPartitions: 7 });
    const raw = topics.find((topic) => topic.name === 'kustomer.raw');
    const state = topics.find((topic) => topic.name === 'kustomer.state');
    expect([raw?.partitions, state?.partitions]).toEqual([7, 7]);
    expect(state?.config['cleanup.policy']).toBe('compact,delete');
  });

  test('commands and ledger are twins; what is known of a command is compacted and never deleted by age', () => {
    const topics = new Map(
      fixedTopics({ ...TOPIC_DEFAULTS, commandPartitions: 5 }).map((topic) => [topic.name, topic]),
    );
    const [commands, ledger] = [topics.get('fibric.commands'), topics.get('fibric.ledger')];
    expect([commands?.partitions, ledger?.partitions]).toEqual([5, 5]);
    expect([commands?.config['cleanup.policy'], ledger?.config['cleanup.policy']]).toEqual(['delete', 'compact']);
    expect(ledger?.config).not.toHaveProperty('retention.ms');
    expect(receiptsTopic(TOPIC_DEFAULTS, 't_a').name).toBe('fibric.receipts.t_a');
  });

  test('what is owned is compacted and restored from small segments; what waits is deleted in its time', () => {
    const topics = new Map(
      fixedTopics({ ...TOPIC_DEFAULTS, rawPartitions: 7, cursorPartitions: 5 }).map((topic) => [topic.name, topic]),
    );
    const found = ['kustomer.cursors', 'kustomer.enrich', 'kustomer.budget.asks', 'kustomer.budget.leases'].map(
      (name) => topics.get(name),
    );
    expect(found.map((topic) => topic?.partitions)).toEqual([5, 7, 4, 4]);
    expect(found.map((topic) => topic?.config['cleanup.policy'])).toEqual(['compact', 'delete', 'delete', 'compact']);
    expect(found[1]?.config['retention.ms']).toBe(topics.get('kustomer.raw')?.config['retention.ms']);
    expect(Number(found[2]?.config['segment.ms'])).toBeLessThan(Number(found[2]?.config['retention.ms']));
    for (const owned of [found[0], found[3]]) {
      expect(Number(owned?.config['segment.bytes'])).toBeLessThanOrEqual(2 ** 24);
      expect(owned?.config).not.toHaveProperty('retention.ms');
    }
  });

  test('the prefix goes before every name', () => {
    const settings = { ...TOPIC_DEFAULTS, prefix: 'x.' };
    const names = [...fixedTopics(settings), eventsTopic(settings, 't_a')].map((topic) => topic.name);
    expect(names.every((name) => name.startsWith('x.'))).toBe(true);
    expect(names).toContain('x.fibric.events.t_a');
  });
});
