/** Cites the invariants of lanes.ts (N), rounds.ts (R) and passed.ts (V): what one tenant has to do with another. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Rounds } from '../../../../src/sinks/lanes/rounds.ts';
import { LANE_LIMITS, type LaneLimits, Lanes, type Turn } from '../../../../src/sinks/lanes.ts';

function lanesOf(limits: Partial<LaneLimits> = {}): Lanes<string> {
  const lanes = new Lanes<string>({ ...LANE_LIMITS, ...limits });
  lanes.assign(0, { epoch: 1, position: 0, progress: null });
  return lanes;
}

/** Each conversation of its own unless named. */
function offer(lanes: Lanes<string>, tenantId: string, offset: number, mayPass = false, conversation = `${offset}`) {
  const lane = `${tenantId}/${conversation}`;
  return lanes.offer({ partition: 0, offset, tenantId, lane, value: `${tenantId} ${offset}`, bytes: 1 }, mayPass);
}

function takeAll(lanes: Lanes<string>): Turn<string>[] {
  const turns: Turn<string>[] = [];
  for (let turn = lanes.take(0); turn !== null; turn = lanes.take(0)) turns.push(turn);
  return turns;
}

const tenantOf = (turn: Turn<string>) => turn.value.split(' ')[0] as string;

describe('turns', () => {
  it('N4 R1: with slots contended, who has one lane that can start waits at most one turn of each other tenant', () => {
    const waiting = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(waiting, fc.nat(60), fc.integer({ min: 1, max: 3 }), (others, turnsBefore, maxActive) => {
        const lanes = lanesOf({ maxActive });
        let offset = 0;
        for (const [other, count] of others.entries())
          for (let index = 0; index < count; index++) offer(lanes, `t_${other}`, offset++);
        const active = takeAll(lanes);
        const next = () => {
          const turn = active.shift();
          if (turn !== undefined) lanes.settle(turn.ticket);
          active.push(...takeAll(lanes));
          return active.at(-1);
        };
        for (let turn = 0; turn < turnsBefore && active.length > 0; turn++) next();
        offer(lanes, 't_quiet', offset);
        const before: string[] = [];
        active.push(...takeAll(lanes));
        while (!active.some((turn) => tenantOf(turn) === 't_quiet')) before.push(tenantOf(next() as Turn<string>));
        const strangers = before.filter((tenant) => tenant !== 't_quiet');
        expect(new Set(strangers).size, `${strangers}`).toBe(strangers.length);
      }),
    );
  });

  it('R2: who may not have a turn keeps its place, and holds up nobody', () => {
    const rounds = new Rounds<string>();
    for (const item of ['a1', 'a2', 'b1', 'c1']) rounds.push(item[0] as string, item);
    expect(rounds.take((party) => party !== 'a')).toBe('b1');
    expect(rounds.take(() => false)).toBeUndefined();
    expect([rounds.take(() => true), rounds.take(() => true), rounds.take(() => true)]).toEqual(['a1', 'c1', 'a2']);
    expect(rounds.size).toBe(0);
  });

  it('R1: what is gone takes no turn', () => {
    const rounds = new Rounds<string>();
    for (const item of ['a1', 'a2', 'b1']) rounds.push(item[0] as string, item);
    rounds.remove((item) => item.startsWith('a'));
    expect([rounds.size, rounds.take(() => true), rounds.take(() => true)]).toEqual([1, 'b1', undefined]);
  });

  it('N10: calls that take long do not keep the slots from another tenant, and one alone has nearly all', () => {
    const lanes = lanesOf({ maxActive: 90 });
    for (let offset = 0; offset < 200; offset++) offer(lanes, 't_noisy', offset);
    const noisy = takeAll(lanes);
    expect(noisy).toHaveLength(80);
    offer(lanes, 't_quiet', 200);
    expect(takeAll(lanes).map(tenantOf)).toEqual(['t_quiet']);
    lanes.settle((noisy[0] as Turn<string>).ticket);
    expect(takeAll(lanes), 'what it gave back is for others while they have little').toEqual([]);
  });
});

describe('room', () => {
  /** The noisy tenant has its share, and one more was refused: at the offset returned. */
  function crowded(limits: Partial<LaneLimits> = {}) {
    const lanes = lanesOf({ maxQueued: 30, maxActive: 1000, slotGreed: Number.POSITIVE_INFINITY, ...limits });
    let offset = 0;
    while (offer(lanes, 't_noisy', offset) === 'queued') offset++;
    return { lanes, offset };
  }

  it('N10: a tenant alone has two thirds, and then waits as it did when there were no others', () => {
    const { lanes, offset } = crowded();
    expect(offset).toBe(20);
    expect(lanes.isPaused(0)).toBe(true);
    for (const { ticket } of takeAll(lanes)) lanes.settle(ticket);
    expect(offer(lanes, 't_noisy', offset)).toBe('queued');
    expect(lanes.counts.passed).toBe(0);
  });

  it('N10: passed over when it has been waited for, it lets the others by, and comes in its order when there is room', () => {
    const { lanes, offset } = crowded();
    expect(offer(lanes, 't_noisy', 20, true, 'x')).toBe('passed');
    expect(offer(lanes, 't_quiet', 21)).toBe('queued');
    expect(offer(lanes, 't_noisy', 22, false, 'x'), 'V1: none after one that was passed over').toBe('passed');
    expect(offer(lanes, 't_quiet', 23)).toBe('queued');
    expect([lanes.counts.passed, lanes.passedOver(0), lanes.goBack(0)]).toEqual([2, ['t_noisy'], null]);

    const turns = takeAll(lanes);
    for (const { ticket } of turns) lanes.settle(ticket);
    expect(lanes.commitOffset(0), 'N7: what was passed over is not finished').toBe(offset);
    expect(lanes.progress(0)?.unfinished).toEqual([20, 22]);
    expect(offer(lanes, 't_noisy', 24, false, 'x'), 'V1: not even now that it has room').toBe('passed');

    expect(lanes.goBack(0)).toBe(20);
    const again = [20, 21, 22, 23, 24].map((at) => offer(lanes, at % 2 === 1 ? 't_quiet' : 't_noisy', at, false, 'x'));
    expect(again).toEqual(['queued', 'known', 'queued', 'known', 'queued']);
    expect(offer(lanes, 't_quiet', 25)).toBe('queued');
    expect(lanes.passedOver(0)).toEqual([]);
    expect(takeAll(lanes).map(({ value }) => value)).toEqual(['t_noisy 20', 't_quiet 25']);
  });

  it('V1: what finds no room when it is read again closes the door behind it', () => {
    const { lanes } = crowded({ maxQueued: 6, lowWater: 1 });
    const held = takeAll(lanes);
    expect(held).toHaveLength(4);
    for (const at of [4, 5, 6]) expect(offer(lanes, 't_noisy', at, true)).toBe('passed');
    lanes.settle((held[0] as Turn<string>).ticket);
    expect(lanes.goBack(0)).toBe(4);
    expect([offer(lanes, 't_noisy', 4), offer(lanes, 't_noisy', 5)]).toEqual(['queued', 'passed']);
    for (const { ticket } of held.slice(1)) lanes.settle(ticket);
    expect(offer(lanes, 't_noisy', 6), 'there is room, but not for this one yet').toBe('passed');
    expect(lanes.goBack(0)).toBe(5);
    expect([5, 6].map((at) => offer(lanes, 't_noisy', at))).toEqual(['queued', 'queued']);
  });

  it('V2: what was passed over and is refused when it comes again is finished', () => {
    const { lanes } = crowded();
    expect(offer(lanes, 't_noisy', 20, true)).toBe('passed');
    for (const { ticket } of takeAll(lanes)) lanes.settle(ticket);
    expect(lanes.goBack(0)).toBe(20);
    expect([lanes.skip(0, 20), lanes.skip(0, 20)]).toEqual(['skipped', 'known']);
    expect(lanes.progress(0)).toEqual({ commitOffset: 21, nextOffset: 21, unfinished: [] });
  });

  it('N10: no more is passed over than is bounded; then the partition waits, until there is room to go back', () => {
    const { lanes } = crowded({ maxPassed: 2 });
    expect([20, 21, 22].map((at) => offer(lanes, 't_noisy', at, true))).toEqual(['passed', 'passed', 'full']);
    expect([lanes.isPaused(0), lanes.goBack(0)]).toEqual([true, null]);
    for (const { ticket } of takeAll(lanes)) lanes.settle(ticket);
    expect(lanes.goBack(0)).toBe(20);
    expect([20, 21, 22].map((at) => offer(lanes, 't_noisy', at))).toEqual(['queued', 'queued', 'queued']);
  });

  it('what the log does not give back is told, not forgotten', () => {
    const { lanes } = crowded();
    for (const at of [20, 21]) offer(lanes, 't_noisy', at, true);
    for (const { ticket } of takeAll(lanes)) lanes.settle(ticket);
    lanes.goBack(0);
    expect(offer(lanes, 't_noisy', 21)).toBe('queued');
    expect(offer(lanes, 't_quiet', 22)).toBe('lost');
    expect(lanes.commitOffset(0)).toBe(20);
  });

  it('N10: a tenant with nothing queued finds room beside any that have their shares', () => {
    const { lanes, offset: refused } = crowded({ maxQueued: 300 });
    expect(offer(lanes, 't_noisy', refused, true)).toBe('passed');
    let offset = refused + 1;
    for (const tenant of ['t_second', 't_third']) {
      while (offer(lanes, tenant, offset, true) === 'queued') offset++;
      offset++;
    }
    expect(offer(lanes, 't_quiet', offset)).toBe('queued');
  });
});
