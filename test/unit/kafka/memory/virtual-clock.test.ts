import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../../src/kafka/memory/index.ts';

describe('virtual clock', () => {
  it('C1 fires timers by due time, then in the order they were set', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 50 }), { maxLength: 30 }), async (delays) => {
        const clock = new VirtualClock(0);
        const fired: { index: number; atMs: number }[] = [];
        for (const [index, ms] of delays.entries()) {
          void clock.sleep(ms).then(() => fired.push({ index, atMs: clock.nowMs() }));
        }
        await clock.advance(50);
        const wanted = delays
          .map((atMs, index) => ({ index, atMs }))
          .sort((a, b) => a.atMs - b.atMs || a.index - b.index);
        expect(fired).toEqual(wanted);
        expect(clock.pendingTimers).toBe(0);
      }),
    );
  });

  it('C2 runs every reaction before the next timer, also those that sleep again', async () => {
    const clock = new VirtualClock(0);
    const seen: string[] = [];
    const tick = async (name: string, everyMs: number) => {
      for (let round = 1; round <= 3; round += 1) {
        await clock.sleep(everyMs);
        for (let hop = 0; hop < 20; hop += 1) await Promise.resolve();
        seen.push(`${name}${round}@${clock.nowMs()}`);
      }
    };
    const both = Promise.all([tick('a', 10), tick('b', 15)]);
    await clock.run(both);
    expect(seen).toEqual(['a1@10', 'b1@15', 'a2@20', 'b2@30', 'a3@30', 'b3@45']);
  });

  it('C3 stands still by itself, and stops exactly where advance says', async () => {
    const clock = new VirtualClock(1_000);
    let woke = false;
    void clock.sleep(100).then(() => {
      woke = true;
    });
    await clock.settle();
    expect(clock.nowMs()).toBe(1_000);
    await clock.advance(99);
    expect([clock.nowMs(), woke]).toEqual([1_099, false]);
    await clock.advance(1);
    expect([clock.nowMs(), woke]).toEqual([1_100, true]);
  });

  it('an aborted sleep resolves at once and leaves no timer behind', async () => {
    const clock = new VirtualClock();
    const abort = new AbortController();
    const sleeping = clock.sleep(60_000, abort.signal);
    abort.abort();
    await sleeping;
    await clock.sleep(60_000, abort.signal);
    expect(clock.pendingTimers).toBe(0);
  });

  it('runUntil stops at the first moment the condition holds', async () => {
    const clock = new VirtualClock(0);
    let count = 0;
    const stop = new AbortController();
    void (async () => {
      while (!stop.signal.aborted) {
        await clock.sleep(10, stop.signal);
        count += 1;
      }
    })();
    await clock.runUntil(() => count === 7);
    expect(clock.nowMs()).toBe(70);
    stop.abort();
  });

  it('runUntil says when nothing is left to happen, and gives up after its limit', async () => {
    const clock = new VirtualClock(0);
    await expect(clock.runUntil(() => false)).rejects.toThrow('nothing is left to happen');
    void clock.sleep(5_000);
    await expect(clock.runUntil(() => false, 1_000)).rejects.toThrow('1000 ms of virtual time have passed');
    expect(clock.nowMs()).toBe(0);
  });

  it('run hands on the outcome, also a rejection', async () => {
    const clock = new VirtualClock(0);
    expect(await clock.run(clock.sleep(30).then(() => 'done'))).toBe('done');
    const failing = clock.sleep(30).then(() => Promise.reject(new Error('no')));
    await expect(clock.run(failing)).rejects.toThrow('no');
  });
});
