import { expect, test } from 'vitest';
import { ControlWait } from '../../../../src/app/sink/control-wait.ts';
import { HEADER } from '../../../../src/kafka/headers.ts';
import { VirtualClock } from '../../../../src/kafka/memory/index.ts';

function setUp(position: number) {
  const clock = new VirtualClock();
  const at = { position };
  const wait = new ControlWait({ position: () => at.position, clock, timeoutMs: 1_000 });
  const heard = (text?: string) =>
    wait.heard({ headers: text === undefined ? {} : { [HEADER.controlAt]: Buffer.from(text) } });
  return { clock, at, heard };
}

test('waits for what the sender knew, and for nothing else', async () => {
  const { clock, at, heard } = setUp(10);
  for (const text of [undefined, '', '0', '10', '-1', 'x', '1e9', '99999999999999999999'])
    expect(heard(text)).toBeUndefined();
  let done = false;
  const waiting = heard('12')?.then(() => {
    done = true;
  });
  await clock.advance(500);
  expect(done).toBe(false);
  at.position = 11;
  await clock.advance(20);
  expect(done).toBe(false);
  at.position = 12;
  await clock.run(waiting as Promise<void>);
  expect(done).toBe(true);
  expect(heard('12')).toBeUndefined();
});

test('gives a place up that does not come, once, and what lies behind it; a nearer one is waited for', async () => {
  const { clock, at, heard } = setUp(10);
  const startedAtMs = clock.nowMs();
  await clock.run(heard('1000000') as Promise<void>);
  expect(clock.nowMs() - startedAtMs).toBeGreaterThanOrEqual(1_000);
  expect(heard('1000000')).toBeUndefined();
  expect(heard('2000000')).toBeUndefined();
  const nearer = heard('20');
  expect(nearer).toBeDefined();
  at.position = 20;
  await clock.run(nearer as Promise<void>);
  at.position = 1_000_000;
  expect(heard('1000000')).toBeUndefined();
  expect(heard('1000001')).toBeDefined();
});
