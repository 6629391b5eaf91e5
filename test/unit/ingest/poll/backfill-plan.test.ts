/** The backfill's plan against the model server: pauses, restarts, moved beginnings, crashes. Cites B1–B5 of backfill-plan.ts. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type BackfillPart,
  type BackfillState,
  type BackfillWish,
  backfillAnswered,
  firstBackfillState,
  HORIZON_MS,
  planBackfill,
} from '../../../../src/ingest/poll/backfill-plan.ts';
import { decodeBackfill, encodeBackfill } from '../../../../src/ingest/poll/cursor-record.ts';
import { queryOf } from '../../../../src/ingest/poll/query.ts';
import { Seen } from '../../../../src/ingest/poll/seen.ts';
import { STREAM_SPECS } from '../../../../src/ingest/poll/streams.ts';
import { ModelServer } from './model-server.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 0, 1);
const BEFORE_MS = NOW_MS - 600_000;
const SETTINGS = { beforeMs: BEFORE_MS, horizonMs: HORIZON_MS, pageSize: 3, maxPages: 8 };

class Backfiller {
  readonly published: string[] = [];
  readonly pages: { readonly fromMs: number; readonly phase: string }[] = [];
  readonly server: ModelServer;
  wish: BackfillWish = { sinceMs: BEFORE_MS - 100, paused: false, restartId: null };
  state: BackfillState = firstBackfillState(NOW_MS, NOW_MS);
  #seen = new Seen();
  readonly #slots = new Map<number, Buffer>();
  #record = encodeBackfill({ state: this.state, seen: this.#seen.range });

  constructor(random: () => number = () => 0.5) {
    this.server = new ModelServer(NOW_MS, { pageSize: 3, maxPages: 8, tellsTotal: true, shuffles: false, random });
  }

  /** One page, or a change of plan. False when there is nothing to do. */
  step(): boolean {
    const planned = planBackfill(this.state, this.wish, SETTINGS, this.server.nowMs);
    if (planned !== this.state) this.#commit(planned, [], planned.part === null ? Number.POSITIVE_INFINITY : 0);
    if (planned.status !== 'running' || planned.part === null) return false;
    const state = planned as BackfillState & { part: BackfillPart };
    this.pages.push({ fromMs: state.part.walk.fromMs, phase: state.part.phase });
    const answer = this.server.search(queryOf(STREAM_SPECS.conversations, state.part.walk, 3));
    const step = backfillAnswered(state, answer, this.#seen, SETTINGS, this.server.nowMs);
    this.#commit(step.state, step.publish, step.forgetBeforeMs);
    this.published.push(...step.publish.map(({ id, rev }) => `${id}@${rev}`));
    return true;
  }

  finish(): void {
    for (let steps = 0; this.step(); steps += 1) if (steps > 10_000) throw new Error('it does not end');
  }

  restart(): void {
    const { state, seen } = decodeBackfill('key', this.#record);
    this.state = state;
    this.#seen = Seen.restore(seen, (slot) => this.#slots.get(slot));
  }

  #commit(state: BackfillState, publish: Parameters<Seen['plan']>[0], forgetBeforeMs: number): void {
    const change = this.#seen.plan(publish, forgetBeforeMs);
    for (const [slot, value] of change.slots) {
      if (value === null) this.#slots.delete(slot);
      else this.#slots.set(slot, value);
    }
    this.#record = encodeBackfill({ state, seen: change.range });
    this.#seen.apply(change);
    this.state = state;
  }
}

function history(backfiller: Backfiller, rows: number, everyMs = 1): void {
  for (let made = 0; made < rows; made += 1) {
    backfiller.server.write(`row-${made}`, { stampMs: BEFORE_MS - 1 - made * everyMs, lagMs: -1e12 });
  }
}

describe('the plan of a backfill', () => {
  test('covers what is wanted once, whatever pauses, moved beginnings, ties and crashes come between (B1, B2)', () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.constant({ do: 'read' as const }) },
      { weight: 1, arbitrary: fc.constant({ do: 'crash' as const }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('pause' as const), paused: fc.boolean() }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('since' as const), ms: fc.integer({ min: 1, max: 60 }) }) },
    );
    const grain = fc.constantFrom(0, 0.2, 1, 2);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), grain, fc.integer({ min: 0, max: 20 }), (steps, everyMs, rows) => {
        const backfiller = new Backfiller();
        backfiller.wish = { sinceMs: BEFORE_MS - 30, paused: false, restartId: null };
        for (let made = 0; made < rows; made += 1) {
          const stampMs = BEFORE_MS - 1 - Math.floor(made * everyMs);
          backfiller.server.write(`row-${made}`, { stampMs, lagMs: -1e12 });
        }
        backfiller.server.write('present', { stampMs: BEFORE_MS, lagMs: -1e12 });
        let cutShort = false;
        for (const one of steps) {
          if (one.do === 'read') backfiller.step();
          else if (one.do === 'crash') backfiller.restart();
          else if (one.do === 'pause') backfiller.wish = { ...backfiller.wish, paused: one.paused };
          else {
            // What was read of a part that is cut short is not remembered: should it be wanted again, it comes twice.
            cutShort ||= BEFORE_MS - one.ms > (backfiller.wish.sinceMs as number);
            backfiller.wish = { ...backfiller.wish, sinceMs: BEFORE_MS - one.ms };
          }
        }
        backfiller.wish = { ...backfiller.wish, paused: false };
        backfiller.finish();
        const sinceMs = backfiller.wish.sinceMs as number;
        const wanted = [...backfiller.server.versions.values()].flatMap(([version]) =>
          version !== undefined && version.timeMs >= sinceMs && version.timeMs < BEFORE_MS ? [`${version.id}@1`] : [],
        );
        expect(wanted.filter((row) => !backfiller.published.includes(row))).toEqual([]);
        if (!cutShort) expect(new Set(backfiller.published).size).toBe(backfiller.published.length);
        expect(backfiller.published).not.toContain('present@1');
        expect(backfiller.state).toMatchObject({ status: 'done', part: null });
      }),
      { numRuns: 1500 },
    );
  });

  test('rows that change meanwhile leave for the live poll, and none behind them is missed', () => {
    const touches = fc.array(fc.tuple(fc.integer({ min: 0, max: 19 }), fc.integer({ min: 0, max: 4 })));
    fc.assert(
      fc.property(touches, (all) => {
        const backfiller = new Backfiller();
        history(backfiller, 20);
        const touched = new Set<string>();
        for (const [row, pages] of all) {
          for (let page = 0; page < pages; page += 1) backfiller.step();
          backfiller.server.write(`row-${row}`, { stampMs: backfiller.server.nowMs, lagMs: 0 });
          backfiller.server.nowMs += 1;
          touched.add(`row-${row}`);
        }
        backfiller.finish();
        for (let row = 0; row < 20; row += 1) {
          if (!touched.has(`row-${row}`)) expect(backfiller.published).toContain(`row-${row}@1`);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('without backfill_since nothing is read, and what was begun is left as it is', () => {
    const backfiller = new Backfiller();
    history(backfiller, 10);
    backfiller.step();
    const { part } = backfiller.state;
    backfiller.wish = { ...backfiller.wish, sinceMs: null };
    expect(backfiller.step()).toBe(false);
    expect(backfiller.state).toMatchObject({ status: 'off', rowsPerSecond: null });
    expect(backfiller.state.part).toBe(part);
    backfiller.wish = { ...backfiller.wish, sinceMs: BEFORE_MS - 100 };
    backfiller.finish();
    expect(backfiller.published).toHaveLength(10);
  });

  test('a restart is done once (B4)', () => {
    const backfiller = new Backfiller();
    history(backfiller, 10);
    backfiller.finish();
    backfiller.wish = { ...backfiller.wish, restartId: 'one' };
    backfiller.finish();
    expect(backfiller.published).toHaveLength(20);
    backfiller.restart();
    backfiller.finish();
    expect(backfiller.published).toHaveLength(20);
    expect(backfiller.state).toMatchObject({ status: 'done', rowsDone: 10, restartId: 'one' });
  });

  test('an earlier beginning adds only what is missing (B1)', () => {
    const backfiller = new Backfiller();
    history(backfiller, 20, 10);
    backfiller.finish();
    expect(backfiller.published).toHaveLength(10);
    const { length } = backfiller.pages;
    backfiller.wish = { ...backfiller.wish, sinceMs: BEFORE_MS - 1000 };
    backfiller.finish();
    expect(new Set(backfiller.pages.slice(length).map(({ fromMs }) => fromMs))).toEqual(new Set([BEFORE_MS - 1000]));
    expect(backfiller.published).toHaveLength(20);
    expect(new Set(backfiller.published).size).toBe(20);
  });

  test('the archive is read where it is needed only, and last (B3)', () => {
    const young = new Backfiller();
    young.wish = { ...young.wish, sinceMs: NOW_MS - 700 * DAY_MS };
    young.finish();
    expect(young.pages.map(({ phase }) => phase)).toEqual(['standard']);
    const old = new Backfiller();
    old.wish = { ...old.wish, sinceMs: NOW_MS - 800 * DAY_MS };
    old.finish();
    expect(old.pages.map(({ phase }) => phase)).toEqual(['standard', 'archive']);
    expect(old.state.status).toBe('done');
  });

  test('a page out of order is asked for again, and nothing has moved (B5)', () => {
    const backfiller = new Backfiller();
    history(backfiller, 10);
    backfiller.step();
    const { part } = backfiller.state;
    backfiller.server.disorder = 1;
    backfiller.step();
    expect(backfiller.state.part).toEqual(part);
    backfiller.finish();
    expect(new Set(backfiller.published).size).toBe(10);
  });

  test('how much is left is told by every page', () => {
    const backfiller = new Backfiller();
    history(backfiller, 10);
    backfiller.step();
    expect(backfiller.state).toMatchObject({ rowsDone: 3, rowsLeft: 7 });
    backfiller.finish();
    expect(backfiller.state).toMatchObject({ rowsDone: 10, rowsLeft: 0 });
  });
});
