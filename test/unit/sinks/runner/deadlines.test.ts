/** Deadlines of what is under way, with one sleeper. */
import { expect, it } from 'vitest';
import { VirtualClock } from '../../../../src/kafka/memory/virtual-clock.ts';
import { Deadlines } from '../../../../src/sinks/runner/deadlines.ts';

function setUp() {
  const clock = new VirtualClock(0);
  const deadlines = new Deadlines(clock);
  const aborts: string[] = [];
  const run = (name: string, atMs: number) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = deadlines.within(atMs, async (signal) => {
      if (signal.aborted) aborts.push(`${name} at once`);
      signal.addEventListener('abort', () => aborts.push(`${name} at ${clock.nowMs()}`));
      await promise;
    });
    return { end: resolve, done };
  };
  return { clock, deadlines, aborts, run };
}

it('E1: each ends at its own time, whatever the order they began in, and those that are done do not', async () => {
  const { clock, aborts, run } = setUp();
  run('late', 300);
  run('early', 100);
  const done = run('done', 200);
  run('between', 250);
  await clock.advance(150);
  done.end();
  await done.done;
  expect(aborts).toEqual(['early at 100']);
  await clock.advance(1000);
  expect(aborts).toEqual(['early at 100', 'between at 250', 'late at 300']);
});

it('has one sleeper however many there are, and none when everything is given up', async () => {
  const { clock, deadlines, run } = setUp();
  for (let n = 0; n < 100; n++) run(`${n}`, 1000 + n);
  expect(clock.pendingTimers).toBe(1);
  deadlines.giveUp();
  await clock.advance(0);
  expect(clock.pendingTimers).toBe(0);
});

it('E2: giving up aborts what is under way at once, and what comes after', async () => {
  const { deadlines, aborts, run } = setUp();
  run('one', 100);
  deadlines.giveUp();
  run('two', 100);
  expect(aborts).toEqual(['one at 0', 'two at once']);
});
