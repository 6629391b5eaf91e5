/** The producer's part of the conformance suite, for the one that sends from a thread of its own. */
import { afterAll, describe, it } from 'vitest';
import type { Log } from '../../src/kafka/port.ts';
import { KafkaBench } from './kafkajs-harness.ts';
import { producerContract } from './producer.contract.ts';

const bench = await KafkaBench.open();
afterAll(() => bench.close());

/** The same log, whose producers are threaded. */
function threaded(log: Log): Log {
  return new Proxy(log, {
    get(target, name) {
      if (name === 'producer') {
        return (options: Parameters<Log['producer']>[0]) => target.producer({ ...options, ownThread: true });
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe('log port: kafkajs, threaded producer', () => {
  producerContract((claim, proof) => {
    it(claim, async () => {
      const harness = await bench.harness();
      try {
        await proof({ ...harness, log: threaded(harness.log) });
      } finally {
        await harness.close();
      }
    });
  });
});
