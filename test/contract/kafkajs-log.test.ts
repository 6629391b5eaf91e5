import { afterAll } from 'vitest';
import { KafkaBench } from './kafkajs-harness.ts';
import { logContract } from './log.contract.ts';

const bench = await KafkaBench.open();
afterAll(() => bench.close());

logContract('kafkajs', () => bench.harness(), { testTimeoutMs: 60_000 });
