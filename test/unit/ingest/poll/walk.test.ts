/** Cases with a name, on the way to walk.ts and plan.ts as they are: cites P1–P6, L2. */
import { describe, expect, test } from 'vitest';
import { ModelServer } from './model-server.ts';
import { ModelPoller } from './poller-model.ts';

const OVERLAP_MS = 300_000;
const START_MS = Date.UTC(2026, 0, 1);

function house(pageSize: number, maxPages: number, options: { tellsTotal?: boolean; shuffles?: boolean } = {}) {
  let drawn = 1;
  const random = () => {
    drawn = (Math.imul(drawn, 1_664_525) + 1_013_904_223) >>> 0;
    return drawn / 2 ** 32;
  };
  const all = { pageSize, maxPages, tellsTotal: true, shuffles: false, random, ...options };
  const server = new ModelServer(START_MS, all);
  const settings = { overlapMs: OVERLAP_MS, pageSize, maxPages };
  const poller = new ModelPoller(server, settings, { serverMs: () => server.nowMs });
  return { server, poller };
}

const codes = ({ alarms }: ModelPoller): readonly string[] => alarms.map(({ code }) => code);

describe('a group of ties', () => {
  test.each([
    ['in a stable order', {}],
    ['in another order every time', { shuffles: true }],
    ['without totals', { tellsTotal: false }],
  ])('larger than all pages of a search is split by creation, %s', (_name, options) => {
    const { server, poller } = house(4, 5, options);
    for (let made = 0; made < 60; made += 1) {
      server.write(`tie-${made}`, { stampMs: START_MS, lagMs: 0, createdMs: START_MS - Math.floor(made / 7) });
    }
    server.write('behind', { stampMs: START_MS + 5, lagMs: -5 });
    server.nowMs += 100;
    poller.poll();
    expect(poller.known.size).toBe(61);
    expect(poller.published).toHaveLength(61);
    expect(codes(poller)).toEqual([]);
  });

  test.each([
    ['regression: one page out of order made it one that creations do not split, and rows were left', 1, 60, []],
    ['whose creations are never in order is counted through, and what is left is told', 1e9, 21, ['poll_rows_unread']],
  ])('%s', (_name, disorder, known, alarms) => {
    const { server, poller } = house(4, 5);
    for (let made = 0; made < 60; made += 1) {
      server.write(`tie-${made}`, { stampMs: START_MS, lagMs: 0, createdMs: START_MS - 60 + made });
    }
    server.nowMs += 100;
    while (poller.state.walk?.place.kind !== 'tie') poller.step();
    server.disorder = disorder;
    poller.poll();
    expect(poller.known.size).toBe(known);
    expect(codes(poller)).toEqual(alarms);
  });

  test('of one creation, in another order every time, is read until as many are known as there are', () => {
    const { server, poller } = house(4, 10, { shuffles: true });
    for (let made = 0; made < 40; made += 1) server.write(`tie-${made}`, { stampMs: START_MS, lagMs: 0, createdMs: 1 });
    poller.poll();
    expect(poller.known.size).toBe(40);
    expect(codes(poller)).toEqual([]);
  });

  test('of one creation that nothing can split is an alarm with the number of rows unread, and the poll goes on behind', () => {
    const { server, poller } = house(4, 5);
    for (let made = 0; made < 30; made += 1) server.write(`tie-${made}`, { stampMs: START_MS, lagMs: 0, createdMs: 1 });
    server.write('behind', { stampMs: START_MS + 5, lagMs: -5 });
    server.nowMs += 10;
    poller.poll();
    expect(poller.alarms).toMatchObject([{ code: 'poll_rows_unread', rows: 10 }]);
    expect(poller.known.size).toBe(21);
    expect(poller.known.has('behind')).toBe(true);
    expect(poller.state.cursorMs).toBe(START_MS + 5);
  });

  test('of exactly one page is passed', () => {
    const { server, poller } = house(4, 5);
    for (let made = 0; made < 4; made += 1) server.write(`tie-${made}`, { stampMs: START_MS, lagMs: 0 });
    server.write('behind', { stampMs: START_MS + 1, lagMs: -1 });
    server.nowMs += 10;
    poller.poll();
    expect([...poller.known.keys()].sort()).toEqual(['behind', 'tie-0', 'tie-1', 'tie-2', 'tie-3']);
  });
});

describe('while a window is being read', () => {
  test('a row that moves to the end takes no other with it: counted pages would miss the one that moves up', () => {
    const { server, poller } = house(3, 100);
    for (let made = 0; made < 12; made += 1) {
      server.write(`row-${made}`, { stampMs: START_MS + made, lagMs: -made });
    }
    server.nowMs += 100;
    for (let step = 0; poller.windows.length === 0; step += 1) {
      poller.step();
      server.write(`row-${step % 3}`, { stampMs: server.nowMs, lagMs: 0 });
    }
    for (let made = 3; made < 12; made += 1) expect(poller.known.has(`row-${made}`)).toBe(true);
  });

  test('the window ends although rows change faster than they are read', () => {
    const { server, poller } = house(2, 100);
    for (let made = 0; made < 6; made += 1) server.write(`row-${made}`, { stampMs: START_MS + made, lagMs: -made });
    server.nowMs += 100;
    let steps = 0;
    for (; poller.windows.length === 0 && steps < 100; steps += 1) {
      poller.step();
      for (let made = 0; made < 4; made += 1) {
        server.write(`new-${steps}-${made}`, { stampMs: server.nowMs, lagMs: 0 });
        server.nowMs += 1;
      }
    }
    expect(steps).toBeLessThan(20);
  });

  test('a row that shows up late is found after a window that took longer than the overlap (L2)', () => {
    const { server, poller } = house(2, 100);
    for (let made = 0; made < 8; made += 1) server.write(`row-${made}`, { stampMs: START_MS + made, lagMs: -made });
    server.nowMs += 1000;
    // Made now, in the index five minutes later; the window has passed its place by then.
    server.write('late', { stampMs: server.nowMs, lagMs: OVERLAP_MS - 1000 });
    server.write('present', { stampMs: server.nowMs + 1, lagMs: -1 });
    server.nowMs += 10;
    while (poller.windows.length === 0) {
      poller.step();
      server.nowMs += 60_000;
      server.write('busy', { stampMs: server.nowMs, lagMs: 0 });
      if (server.nowMs > START_MS + 20 * OVERLAP_MS) throw new Error('the window does not end');
    }
    expect(server.nowMs).toBeGreaterThan(START_MS + OVERLAP_MS);
    poller.poll();
    expect(poller.known.get('late')).toBe(1);
  });

  test('a crash in the middle neither begins the window anew nor publishes anything twice (L6)', () => {
    const { server, poller } = house(2, 100);
    for (let made = 0; made < 40; made += 1) server.write(`row-${made}`, { stampMs: START_MS + made, lagMs: -made });
    server.nowMs += 100;
    for (let step = 0; step < 10; step += 1) poller.step('die');
    const before = server.searches;
    poller.poll();
    expect(poller.published).toHaveLength(40);
    expect(server.searches - before).toBeLessThan(40);
  });
});
