/** The real log, as a test needs it: a corner of its own on the shared broker, and everything closed afterwards. */
import { randomBytes } from 'node:crypto';
import { inject, onTestFinished } from 'vitest';
import { type Logger, openKafkaLog } from '../../src/kafka/kafkajs/index.ts';
import type { Log } from '../../src/kafka/port.ts';

export { waitFor } from './wait-for.ts';

/** Says nothing; for logs whose lines a test does not read. */
export const silentLogger: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** A prefix for topic names, groups and transactional ids that no other test uses, in this run or another. */
export function uniquePrefix(): string {
  return `t${randomBytes(5).toString('hex')}-`;
}

export function kafkaBrokers(): readonly string[] {
  return inject('kafkaBrokers').split(',');
}

export interface TestLog {
  readonly log: Log;
  /** Goes before every topic name. */
  readonly prefix: string;
  /** Another process's view of the same broker: an independent client, closed after the test as well. */
  connect(): Log;
}

/**
 * A log on the run's broker (or on `brokers`), closed after the test; a close that fails, fails the test. On a broker
 * that outlives the run the test's topics are deleted.
 */
export function openTestLog(options: { readonly brokers?: readonly string[]; readonly logger?: Logger } = {}): TestLog {
  const prefix = uniquePrefix();
  const brokers = options.brokers ?? kafkaBrokers();
  const connect = (): Log => {
    const settings = { brokers, clientId: `${prefix}test` };
    const log = openKafkaLog({ settings, logger: options.logger ?? silentLogger });
    onTestFinished(() => log.close());
    return log;
  };
  if (options.brokers === undefined && inject('kafkaIsShared')) {
    const admin = connect().admin;
    // Registered first, so run last: vitest runs these in reverse order.
    onTestFinished(async () => {
      const topics = await admin.describeTopics();
      const names = topics.map(({ name }) => name).filter((name) => name.startsWith(prefix));
      if (names.length > 0) await admin.deleteTopics(names);
    });
  }
  return { log: connect(), prefix, connect };
}
