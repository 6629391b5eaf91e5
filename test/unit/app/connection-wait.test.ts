import { expect, test } from 'vitest';
import { ConnectionWait } from '../../../src/app/roles/connection-wait.ts';
import type { Connection } from '../../../src/fibric/connection.ts';
import { VirtualClock } from '../../../src/kafka/memory/index.ts';

const CONNECTION = { connectionId: 'cn_new' } as Connection;

function setUp() {
  const clock = new VirtualClock();
  const known = new Map<string, Connection>();
  return { clock, known, wait: new ConnectionWait({ connections: known, clock, timeoutMs: 3_000 }) };
}

test('a connection that turns up ends the wait; one that is known needs none', async () => {
  const { clock, known, wait } = setUp();
  const startedAtMs = clock.nowMs();
  let done = false;
  const waiting = wait.wait('cn_new')?.then(() => {
    done = true;
  });
  expect(wait.wait('cn_new')).toBeDefined();
  await clock.advance(1_000);
  expect(done).toBe(false);
  known.set('cn_new', CONNECTION);
  await clock.run(waiting as Promise<void>);
  expect(clock.nowMs() - startedAtMs).toBeLessThan(2_000);
  expect(wait.wait('cn_new')).toBeUndefined();
});

test('one that does not turn up is waited for once, and no longer than allowed', async () => {
  const { clock, known, wait } = setUp();
  const startedAtMs = clock.nowMs();
  await clock.run(wait.wait('cn_gone') as Promise<void>);
  expect(clock.nowMs() - startedAtMs).toBeLessThan(3_200);
  expect(wait.wait('cn_gone')).toBeUndefined();
  known.set('cn_gone', CONNECTION);
  expect(wait.wait('cn_gone')).toBeUndefined();
});
