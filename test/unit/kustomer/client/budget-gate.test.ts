/** Cites the invariants of grant-queue.ts (Q). Virtual time throughout. */
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../../src/kafka/memory/virtual-clock.ts';
import type { CallKind, Lane } from '../../../../src/kustomer/budget/lanes.ts';
import { type BudgetGate, type CallEnd, createBudgetGate } from '../../../../src/kustomer/client/budget-gate.ts';

const OK: CallEnd = { ending: 'answered', status: 200, headers: {} };

function gateOf(options: Partial<Parameters<typeof createBudgetGate>[0]> = {}) {
  const clock = new VirtualClock();
  const gate = createBudgetGate({ clock, random: () => 0, budget: { assumedLimit: 60, othersShare: 0 }, ...options });
  return { clock, gate };
}

interface Asking {
  readonly lane?: Lane;
  readonly kind?: CallKind;
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
  readonly end?: CallEnd;
}

/** Asks and notes who was let through, in order. */
function asker(gate: BudgetGate, order: string[] = []) {
  return (name: string, { lane = 'writes', kind = 'call', waitMs = 300_000, signal, end = OK }: Asking = {}) =>
    gate.run({ lane, kind, waitMs, signal }, async () => {
      order.push(name);
      return { value: name, end };
    });
}

async function fill(gate: BudgetGate, calls: number): Promise<void> {
  const ask = asker(gate);
  for (let index = 0; index < calls; index += 1) await ask(`fill ${index}`);
}

describe('the gate', () => {
  it('Q1 lets urgent lanes first, each in the order of asking', async () => {
    const { clock, gate } = gateOf();
    await fill(gate, 60);
    const order: string[] = [];
    const ask = asker(gate, order);
    const all = Promise.all([
      ask('backfill 1', { lane: 'backfill' }),
      ask('poll 1', { lane: 'poll' }),
      ask('write 1'),
      ask('probe 1', { lane: 'probes' }),
      ask('write 2'),
      ask('poll 2', { lane: 'poll' }),
    ]);
    expect(order).toEqual([]);
    await clock.run(all, 300_000);
    expect(order).toEqual(['write 1', 'write 2', 'probe 1', 'poll 1', 'poll 2', 'backfill 1']);
    gate.close();
  });

  it('Q1 lets a plain call pass a search that waits for the search limit', async () => {
    const { gate } = gateOf({ budget: { assumedLimit: 1000, othersShare: 0, searchLimit: 2 } });
    const order: string[] = [];
    const ask = asker(gate, order);
    await Promise.all([ask('search 1', { kind: 'search' }), ask('search 2', { kind: 'search' })]);
    const third = ask('search 3', { lane: 'poll', kind: 'search' });
    await ask('call', { lane: 'poll' });
    expect(order).toEqual(['search 1', 'search 2', 'call']);
    expect(gate.health()).toMatchObject({ waitingFor: 'search_limit', waiting: { poll: 1 } });
    gate.close();
    await expect(third).rejects.toMatchObject({ code: 'budget_exhausted' });
  });

  it('Q2 refuses when a lane is full, and only that lane', async () => {
    const { clock, gate } = gateOf({ maxWaiting: 2 });
    await fill(gate, 60);
    const ask = asker(gate);
    const waiting = [ask('a', { lane: 'poll' }), ask('b', { lane: 'poll' })];
    await expect(ask('c', { lane: 'poll' })).rejects.toMatchObject({ code: 'budget_exhausted', disposition: 'wait' });
    const write = ask('d');
    expect(gate.health()).toMatchObject({ refused: { poll: 1, writes: 0 }, waiting: { poll: 2, writes: 1 } });
    await clock.run(Promise.all([...waiting, write]), 300_000);
    gate.close();
  });

  it('Q2 refuses when the deadline passes, and the call is never run', async () => {
    const { clock, gate } = gateOf();
    await fill(gate, 60);
    const order: string[] = [];
    const late = asker(gate, order)('late', { waitMs: 5000 });
    const refused = expect(late).rejects.toMatchObject({ code: 'budget_exhausted', detail: { lane: 'writes' } });
    await clock.advance(4999);
    expect(gate.health()).toMatchObject({ waiting: { writes: 1 }, oldestWaitMs: { writes: 4999 } });
    await clock.advance(1);
    await refused;
    await clock.advance(300_000);
    expect(order).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('Q2 forgets who gives up', async () => {
    const { clock, gate } = gateOf();
    await fill(gate, 60);
    const abort = new AbortController();
    const order: string[] = [];
    const ask = asker(gate, order);
    const gone = ask('gone', { signal: abort.signal });
    const stays = ask('stays');
    abort.abort();
    await expect(gone).rejects.toMatchObject({ code: 'budget_exhausted' });
    await clock.run(stays, 300_000);
    expect(order).toEqual(['stays']);
  });

  it('Q3 ends the grant of a call that throws, as unanswered, and of one that was not sent, at no cost', async () => {
    const { gate } = gateOf();
    const broken = gate.run({ lane: 'poll', kind: 'call', waitMs: 1 }, () => Promise.reject(new Error('bug')));
    await expect(broken).rejects.toThrow('bug');
    expect(gate.health()).toMatchObject({ openCalls: 0, used: 1 });
    await asker(gate)('not sent', { end: { ending: 'not_sent' } });
    expect(gate.health()).toMatchObject({ openCalls: 0, used: 1, granted: { poll: 1, writes: 1 } });
    gate.close();
  });

  it('stops everybody on a 429 and lets one try when the time has come', async () => {
    const { clock, gate } = gateOf();
    const order: string[] = [];
    const ask = asker(gate, order);
    const end: CallEnd = { ending: 'answered', status: 429, headers: { 'retry-after': '20' } };
    await ask('limited', { end });
    const others = [ask('write'), ask('poll', { lane: 'poll' }), ask('search', { kind: 'search' })];
    await clock.advance(19_999);
    expect(order).toEqual(['limited']);
    expect(gate.health()).toMatchObject({ limited: 1, pauseCause: 'retry_after', waitingFor: 'paused' });
    await clock.advance(1);
    await Promise.all(others);
    expect(order).toEqual(['limited', 'write', 'search', 'poll']);
    expect(gate.health()).toMatchObject({ pausedUntilMs: null });
  });

  it('holds no more calls open than it may, and goes on when one ends', async () => {
    const { gate } = gateOf({ maxOpen: 2 });
    const ends: (() => void)[] = [];
    const calls = [1, 2, 3].map((value) =>
      gate.run({ lane: 'poll', kind: 'call', waitMs: 1000 }, () => {
        return new Promise<{ value: number; end: CallEnd }>((resolve) => ends.push(() => resolve({ value, end: OK })));
      }),
    );
    await Promise.resolve();
    await Promise.resolve();
    expect(ends).toHaveLength(2);
    expect(gate.health()).toMatchObject({ openCalls: 2, waiting: { poll: 1 } });
    ends[0]?.();
    await calls[0];
    await Promise.resolve();
    await Promise.resolve();
    expect(ends).toHaveLength(3);
    for (const end of ends) end();
    expect(await Promise.all(calls)).toEqual([1, 2, 3]);
    gate.close();
  });

  it('Q4 sleeps once however many wait, and not at all when nobody does', async () => {
    const { clock, gate } = gateOf();
    expect(clock.pendingTimers).toBe(0);
    await fill(gate, 60);
    expect(clock.pendingTimers).toBe(0);
    const ask = asker(gate);
    const waiting = Array.from({ length: 50 }, (_, index) =>
      ask(`${index}`, { lane: 'backfill' }).catch(() => 'closed'),
    );
    expect(clock.pendingTimers).toBe(1);
    gate.close();
    expect(await Promise.all(waiting)).toEqual(Array(50).fill('closed'));
    await clock.settle();
    expect(clock.pendingTimers).toBe(0);
    await expect(ask('after')).rejects.toMatchObject({ code: 'budget_exhausted' });
  });
});
