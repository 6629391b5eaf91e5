/** Budgets of several processes over the in-memory log: cites lender.ts (L), lease-holder.ts (H), lease-demand.ts (D) and leased-gate.ts (E). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { most } from '../../kustomer/budget/lease-world.ts';
import { BudgetHouse, ORGANISATION, type Process } from './budget-house.ts';

const SHARE = 210;
/** Of 60: small, so that three processes come to its end often. */
const SMALL_SHARE = 42;

async function ready(house: BudgetHouse, processes: readonly Process[]): Promise<void> {
  await house.clock.runUntil(() => processes.every(({ budgets }) => budgets.health().ready));
}

describe('one budget, several processes', () => {
  it('L1: three that always have work use the share, and never more', { timeout: 60_000 }, async () => {
    const house = await BudgetHouse.build();
    const processes = [await house.start(), await house.start(), await house.start()];
    await ready(house, processes);
    const startMs = house.clock.nowMs();
    const untilMs = startMs + 300_000;
    const work = processes.flatMap((process) => [
      house.keepCalling(process, untilMs),
      house.keepCalling(process, untilMs),
      house.keepCalling(process, untilMs, { lane: 'writes', everyMs: 15_000 }),
    ]);
    await house.clock.run(Promise.all(work), 500_000);
    const counted = house.counted();
    expect(most(counted)).toBeLessThanOrEqual(SHARE);
    expect(house.sent.filter(({ status }) => status === 429)).toEqual([]);
    const settled = counted.filter((atMs) => atMs >= startMs + 60_000 && atMs < startMs + 300_000);
    // biome-ignore lint/suspicious/noConsole: the numbers of the run
    console.info(JSON.stringify({ used: settled.length / (SHARE * 4) }));
    expect(settled.length / (SHARE * 4)).toBeGreaterThanOrEqual(0.96);
    expect(processes.flatMap(({ crashes }) => crashes)).toEqual([]);
    // D1: an answer for one lane once made it forget what it was told for another, and ask for that again at once.
    expect((await house.messages()) / 300 / processes.length).toBeLessThan(6);
  });

  it('L1–L7, H1–H4: never more counted than the share, whoever dies, freezes or comes back', {
    timeout: 120_000,
  }, async () => {
    const event = fc.record({
      afterMs: fc.integer({ min: 100, max: 25_000 }),
      do: fc.constantFrom('kill', 'freeze', 'thaw', 'start', 'commitUnknown', 'commitLost', 'others', 'appendFails'),
      who: fc.nat(2),
    });
    let busiest = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 4, maxLength: 12 }), async (events) => {
        const house = await BudgetHouse.build({ limit: 60, reset: 'when_exceeded' });
        const processes: Process[] = [await house.start(), await house.start(), await house.start()];
        await ready(house, processes);
        const untilMs = house.clock.nowMs() + events.reduce((sum, { afterMs }) => sum + afterMs, 0) + 90_000;
        const work: Promise<void>[] = [];
        const employ = (process: Process): void => {
          work.push(
            house.keepCalling(process, untilMs),
            house.keepCalling(process, untilMs, { lane: 'poll', everyMs: 3000 }),
          );
          work.push(house.keepCalling(process, untilMs, { lane: 'writes', everyMs: 4000, tookMs: 3000 }));
        };
        for (const process of processes) employ(process);
        for (const step of events) {
          await house.clock.advance(step.afterMs);
          const process = processes[step.who] as Process;
          if (step.do === 'kill') house.kill(process);
          else if (step.do === 'freeze') {
            house.freeze(process);
            // Longer than a call may take, no call is of use to anybody (L2).
            work.push(house.clock.sleep(35_000).then(() => house.thaw(process)));
          } else if (step.do === 'thaw') house.thaw(process);
          else if (step.do === 'start' && process.dead) {
            const next = await house.start();
            processes[step.who] = next;
            employ(next);
          } else if (step.do === 'commitUnknown') house.log.faults.commitUnknown('committed');
          else if (step.do === 'commitLost') house.log.faults.commitUnknown('lost');
          else if (step.do === 'appendFails') house.log.faults.unavailable('append', 2);
          else for (let calls = 0; calls < 30; calls += 1) house.server.theirs(house.clock.nowMs());
        }
        await house.clock.run(Promise.all(work), 900_000);
        const ours = most(house.counted());
        busiest = Math.max(busiest, ours);
        expect(ours).toBeLessThanOrEqual(SMALL_SHARE);
        expect(processes.flatMap(({ crashes }) => crashes)).toEqual([]);
      }),
      { numRuns: 40 },
    );
    expect(busiest).toBeGreaterThanOrEqual(SMALL_SHARE - 1);
  });

  it('L6: a 429 in one process stops the others, until one of them has tried', { timeout: 60_000 }, async () => {
    const house = await BudgetHouse.build();
    const processes = [await house.start(), await house.start(), await house.start()];
    await ready(house, processes);
    const untilMs = house.clock.nowMs() + 150_000;
    const work = processes.flatMap((process) => [
      house.keepCalling(process, untilMs),
      house.keepCalling(process, untilMs, { lane: 'writes', everyMs: 1500 }),
    ]);
    await house.clock.advance(5000);
    // All at once: nobody could have seen it coming.
    while (house.server.theirs(house.clock.nowMs()));
    const endMs = house.server.endOfWindow(house.clock.nowMs());
    await house.clock.run(Promise.all(work), 300_000);
    const refused = house.sent.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    const firstMs = refused[0]?.atMs ?? 0;
    // What was under way, and what the others started before they heard of it.
    expect(refused.length).toBeLessThanOrEqual(6);
    expect(house.sent.filter(({ atMs }) => atMs > firstMs + 250 && atMs < endMs)).toEqual([]);
    const after = house.sent.filter(({ atMs }) => atMs >= endMs);
    expect(new Set(after.map(({ process }) => process)).size).toBe(3);
    // The first goes alone: the second begins after its answer.
    expect((after[1]?.atMs ?? 0) - (after[0]?.atMs ?? 0)).toBeGreaterThanOrEqual(100);
    expect((after[0]?.atMs ?? 0) - endMs).toBeLessThanOrEqual(2500);
  });

  it('L7: a limit told in one process is known in all', async () => {
    const house = await BudgetHouse.build({ limit: 2000 });
    const processes = [await house.start(), await house.start()];
    await ready(house, processes);
    const [first, second] = processes as [Process, Process];
    await house.clock.run(house.call(second, { lane: 'writes' }));
    expect(second.budgets.gateFor(ORGANISATION).health()).toMatchObject({ share: 210, limitTold: false });
    await house.clock.run(house.call(first, { lane: 'writes' }));
    const share = () => second.budgets.gateFor(ORGANISATION).health().share;
    await house.clock.runUntil(() => share() === 1400, 5000);
  });

  it('E1: without a lender everybody waits as long as he said, is refused, and nothing is sent', async () => {
    const house = await BudgetHouse.build();
    const process = await house.start();
    await ready(house, [process]);
    house.log.faults.down();
    const late = house.call(process, { lane: 'writes', waitMs: 7000 });
    await house.clock.advance(6999);
    const gate = process.budgets.gateFor(ORGANISATION);
    expect(gate.health()).toMatchObject({ waiting: { writes: 1 }, waitingFor: 'lease' });
    await house.clock.advance(1);
    expect(await late).toBeNull();
    expect(house.refusals).toEqual([
      expect.objectContaining({ code: 'budget_exhausted', detail: expect.objectContaining({ reason: 'lease' }) }),
    ]);
    expect(house.sent).toEqual([]);
    house.log.faults.up();
    expect(await house.clock.run(house.call(process, { lane: 'writes' }))).toBe(200);
  });

  it('D2: a write after a write waits for nothing; after a minute without one it asks again', async () => {
    const house = await BudgetHouse.build({}, () => 10);
    const process = await house.start();
    await ready(house, [process]);
    for (let index = 0; index < 10; index += 1) {
      await house.clock.run(house.call(process, { lane: 'writes' }));
      await house.clock.advance(5000);
    }
    const [cold, ...warm] = house.waits.map(({ ms }) => ms);
    expect(cold).toBeGreaterThan(20);
    expect(warm).toEqual(Array(9).fill(0));
    await house.clock.advance(90_000);
    await house.clock.run(house.call(process, { lane: 'writes' }));
    expect(house.waits.at(-1)?.ms).toBeGreaterThan(20);
  });

  it('gives back what it has not used when it closes: the next process need not wait for it to lapse', async () => {
    const house = await BudgetHouse.build({ limit: 10 });
    const first = await house.start();
    await ready(house, [first]);
    // The limit is told: seven are ours, and one of them is held in store.
    for (let index = 0; index < 5; index += 1) await house.clock.run(house.call(first, { lane: 'writes' }));
    await house.clock.advance(1000);
    await house.clock.run(first.budgets.close());
    const second = await house.start();
    await ready(house, [second]);
    expect(await house.clock.run(house.call(second, { lane: 'writes', waitMs: 1000 }))).toBe(200);
    expect(await house.clock.run(house.call(second, { lane: 'writes', waitMs: 1000 }))).toBe(200);
    expect(await house.clock.run(house.call(second, { lane: 'writes', waitMs: 1000 }))).toBeNull();
  });
});
