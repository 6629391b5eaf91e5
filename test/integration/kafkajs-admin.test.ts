/** Traps of KafkaJS's admin client, on a real broker. */
import { expect, it, onTestFinished } from 'vitest';
import { openKafkaLog } from '../../src/kafka/kafkajs/index.ts';
import { API, brokerFaults } from '../support/broker-faults.ts';
import { kafkaBrokers, openTestLog } from '../support/log-fixtures.ts';

it('regression: metadata that no broker answered looked like an error in the program, and nobody asked again', async () => {
  const { log: other, prefix } = openTestLog();
  const topic = `${prefix}here`;
  await other.admin.createTopics([{ name: topic, partitions: 2, config: {} }]);
  const faults = brokerFaults();
  const settings = { brokers: kafkaBrokers(), clientId: 'faulty', requestTimeoutMs: 1_000 };
  const log = openKafkaLog({ settings, logger: { debug() {}, info() {}, warn() {}, error() {} } });
  onTestFinished(() => log.close());
  expect(await log.admin.describeTopics([topic])).toMatchObject([{ name: topic, partitions: 2 }]);
  // Wherever in the call it is lost.
  for (const nth of [1, 2, 3, 4]) {
    let asked = 0;
    faults.decide((apiKey) => {
      if (apiKey !== API.metadata) return 'pass';
      asked += 1;
      return asked === nth ? 'loseAnswer' : 'pass';
    });
    expect(await log.admin.describeTopics([topic])).toMatchObject([{ name: topic, partitions: 2 }]);
    expect(asked).toBeGreaterThan(nth);
  }
});
