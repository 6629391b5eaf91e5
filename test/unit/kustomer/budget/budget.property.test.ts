/** Cites the invariants of budget.ts (G), bucket.ts (B) and server-window.ts (W). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BudgetAnswer,
  type BudgetState,
  type Grant,
  initialBudget,
  observe,
  request,
  settle,
  snapshot,
} from '../../../../src/kustomer/budget/budget.ts';
import { CALL_KINDS, LANES } from '../../../../src/kustomer/budget/lanes.ts';
import { ServerModel } from './server-model.ts';

const START_MS = 1_700_000_000_000;
const lane = fc.constantFrom(...LANES);
const kind = fc.constantFrom(...CALL_KINDS);

const granted = (answer: BudgetAnswer): Grant | null => ('grant' in answer ? answer.grant : null);

/** A stretch of asking: how long, how eagerly, and how slow the answers are. */
const stretch = fc.record({
  forMs: fc.integer({ min: 1, max: 50_000 }),
  everyMs: fc.integer({ min: 5, max: 3000 }),
  latencyMs: fc.integer({ min: 0, max: 9000 }),
  lane,
  kind,
  ending: fc.constantFrom('answered', 'answered', 'answered', 'unanswered', 'not_sent'),
  /** When within its latency the server counts the call, 0 to 1. */
  counted: fc.double({ min: 0, max: 1, noNaN: true }),
  /** What the others take in one go. */
  others: fc.nat(40),
});
type Stretch = typeof stretch extends fc.Arbitrary<infer T> ? T : never;

const server = fc.record({
  limit: fc.integer({ min: 4, max: 60 }),
  searchLimit: fc.integer({ min: 2, max: 20 }),
  offsetMs: fc.nat(59_999),
  skewMs: fc.integer({ min: -300_000, max: 300_000 }),
  reset: fc.constantFrom('always' as const, 'when_exceeded' as const, 'never' as const),
  retryAfter: fc.boolean(),
  date: fc.boolean(),
});
type Server = typeof server extends fc.Arbitrary<infer T> ? T : never;

interface Counted {
  readonly atMs: number;
  readonly search: boolean;
}

interface Run {
  readonly counted: readonly Counted[];
  readonly states: readonly BudgetState[];
}

/** Asks without end as the stretches say; every answer comes at its time. */
function play(options: Server, stretches: readonly Stretch[], othersShare: number): Run {
  const model = new ServerModel(options);
  const { limit, searchLimit } = options;
  let state = initialBudget({ assumedLimit: limit, searchLimit, othersShare });
  const counted: Counted[] = [];
  const states: BudgetState[] = [];
  const due: { atMs: number; run: () => void }[] = [];
  let nowMs = START_MS;
  const until = (atMs: number): void => {
    for (;;) {
      due.sort((a, b) => a.atMs - b.atMs);
      const first = due[0];
      if (first === undefined || first.atMs > atMs) break;
      due.shift();
      nowMs = first.atMs;
      first.run();
    }
    nowMs = atMs;
  };
  const start = (grant: Grant, { latencyMs, counted: when, ending }: Stretch): void => {
    const search = grant.kind === 'search';
    const endMs = nowMs + latencyMs;
    if (ending === 'not_sent') {
      due.push({
        atMs: endMs,
        run: () => {
          state = settle(state, { grant, ending, nowMs });
        },
      });
      return;
    }
    due.push({
      atMs: nowMs + Math.floor(latencyMs * when),
      run: () => {
        const answer = model.ours(nowMs, search);
        if (answer.status === 200) counted.push({ atMs: nowMs, search });
        due.push({
          atMs: endMs,
          run: () => {
            state =
              ending === 'answered'
                ? observe(state, { grant, ...answer, nowMs, random: 0.5 })
                : settle(state, { grant, ending: 'unanswered', nowMs });
          },
        });
      },
    });
  };
  for (const step of stretches) {
    for (let taken = 0; taken < step.others; taken += 1) model.theirs(nowMs);
    const stopMs = nowMs + step.forMs;
    while (nowMs < stopMs) {
      const answer = request(state, { lane: step.lane, kind: step.kind, nowMs });
      state = answer.state;
      const grant = granted(answer);
      if (grant !== null) start(grant, step);
      else expect((answer as { waitUntilMs: number }).waitUntilMs).toBeGreaterThan(nowMs);
      until(nowMs + step.everyMs);
    }
    states.push(state);
  }
  return { counted, states };
}

/** The most calls counted in any 60 s, wherever they begin. */
function most(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  let first = 0;
  let best = 0;
  for (let last = 0; last < sorted.length; last += 1) {
    while ((sorted[last] as number) - (sorted[first] as number) >= 60_000) first += 1;
    best = Math.max(best, last - first + 1);
  }
  return best;
}

const plays = fc.tuple(server, fc.array(stretch, { minLength: 1, maxLength: 12 }), fc.constantFrom(0, 0.3, 0.5));

describe('the budget', () => {
  it('G1 never has more of ours counted than our share, in no 60 s at all', { timeout: 60_000 }, () => {
    let busiest = 0;
    fc.assert(
      fc.property(plays, ([options, stretches, othersShare]) => {
        const { counted } = play(options, stretches, othersShare);
        const share = Math.max(1, Math.floor(options.limit * (1 - othersShare) + 1e-9));
        const ours = most(counted.map(({ atMs }) => atMs));
        busiest = Math.max(busiest, ours / share);
        expect(ours).toBeLessThanOrEqual(share);
        const searches = counted.filter(({ search }) => search).map(({ atMs }) => atMs);
        expect(most(searches)).toBeLessThanOrEqual(options.searchLimit);
      }),
      { numRuns: 300 },
    );
    // The property would hold of a budget that grants nothing.
    expect(busiest).toBe(1);
  });

  it('G2 refuses to lower lanes whatever it refuses to a higher one', () => {
    fc.assert(
      fc.property(plays, fc.nat(70_000), ([options, stretches, othersShare], laterMs) => {
        for (const state of play(options, stretches, othersShare).states) {
          const nowMs = state.nowMs + laterMs;
          for (const asked of CALL_KINDS) {
            const grants = LANES.map((name) => granted(request(state, { lane: name, kind: asked, nowMs })) !== null);
            expect(grants).toEqual([...grants].sort((a, b) => Number(b) - Number(a)));
          }
          for (const name of LANES) {
            const search = granted(request(state, { lane: name, kind: 'search', nowMs }));
            if (search !== null) expect(granted(request(state, { lane: name, kind: 'call', nowMs }))).not.toBeNull();
          }
        }
      }),
      { numRuns: 100 },
    );
  });

  it('G3 stops every lane on a 429 until the time told, and lets one call try first', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(plays, fc.integer({ min: 1, max: 200 }), ([options, stretches, othersShare], seconds) => {
        const { states } = play(options, stretches, othersShare);
        const last = states.at(-1) as BudgetState;
        // Long enough for grants never ended to be given up (G5), and then for whatever stood before to be over.
        const nobody: Grant = { grantId: 0, kind: 'call', lane: 'poll', grantedAtMs: 0 };
        const idle = settle(last, { grant: nobody, ending: 'not_sent', nowMs: last.nowMs + 400_000 });
        const nowMs = idle.nowMs + 400_000;
        const first = request(idle, { lane: 'poll', kind: 'call', nowMs });
        const grant = granted(first) as Grant;
        expect(grant).not.toBeNull();
        const headers = { 'retry-after': String(seconds) };
        const paused = observe(first.state, { grant, status: 429, headers, nowMs, random: 0 });
        const untilMs = nowMs + seconds * 1000;
        for (const name of LANES) {
          for (const asked of CALL_KINDS) {
            const answer = request(paused, { lane: name, kind: asked, nowMs: untilMs - 1 });
            expect(answer).toMatchObject({ reason: 'paused' });
            expect((answer as { waitUntilMs: number }).waitUntilMs).toBeGreaterThanOrEqual(untilMs);
          }
        }
        expect(snapshot(paused, nowMs).pausedUntilMs).toBeGreaterThanOrEqual(untilMs);
        const laterMs = (paused.pause?.untilMs ?? 0) + 1;
        const trial = request(paused, { lane: 'writes', kind: 'call', nowMs: laterMs });
        expect(granted(trial)).not.toBeNull();
        expect(request(trial.state, { lane: 'writes', kind: 'call', nowMs: laterMs })).toMatchObject({
          reason: 'trial',
        });
        const thawed = observe(trial.state, {
          grant: granted(trial) as Grant,
          status: 200,
          headers: {},
          nowMs: laterMs,
          random: 0,
        });
        expect(thawed.pause).toBeNull();
      }),
      { numRuns: 100 },
    );
  });

  it('G4 takes any header for what it can be at most, and never breaks', () => {
    const garbage = fc.oneof(
      fc.string(),
      fc.constantFrom(
        '',
        ' ',
        '-1',
        '0',
        '1e9',
        'NaN',
        'Infinity',
        '99999999999999999999',
        '1000;w=60',
        '0x10',
        'null',
      ),
      fc.integer().map(String),
      fc
        .date({ noInvalidDate: false })
        .map((date) => (Number.isNaN(date.getTime()) ? 'Invalid Date' : date.toUTCString())),
    );
    const value = fc.oneof(garbage, fc.array(garbage, { maxLength: 3 }), fc.constant(undefined));
    const headers = fc.record({
      'x-ratelimit-limit': value,
      'x-ratelimit-remaining': value,
      'x-ratelimit-reset': value,
      'retry-after': value,
      date: value,
    });
    const answers = fc.array(fc.record({ headers, status: fc.constantFrom(200, 429, 500), kind }), { maxLength: 8 });
    fc.assert(
      fc.property(answers, (list) => {
        let state = initialBudget();
        let nowMs = START_MS;
        for (const { headers: said, status, kind: asked } of list) {
          const answer = request(state, { lane: 'writes', kind: asked, nowMs });
          const grant = granted(answer);
          state = answer.state;
          if (grant === null) {
            // Whatever was said, the organisation is not stopped for longer than this.
            const { waitUntilMs } = answer as { waitUntilMs: number };
            expect(waitUntilMs - nowMs).toBeLessThanOrEqual(state.config.maxPauseMs);
            nowMs = waitUntilMs;
            continue;
          }
          state = observe(state, { grant, status, headers: said, nowMs, random: 0.9 });
          expect(state.calls.limit).toBeGreaterThanOrEqual(1);
          expect(state.calls.limit).toBeLessThanOrEqual(Math.max(1, state.limit * 0.7 + 1));
          expect(Number.isSafeInteger(state.calls.limit)).toBe(true);
          expect(state.limit).toBeLessThanOrEqual(1_000_000);
        }
        const { limit } = state;
        expect(Number.isSafeInteger(limit)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('G5 ends a grant once, G6 whatever the clock does; not_sent costs nothing', () => {
    const first = request(initialBudget(), { lane: 'writes', kind: 'search', nowMs: START_MS });
    const grant = granted(first) as Grant;
    const nothing = settle(first.state, { grant, ending: 'not_sent', nowMs: START_MS - 99_000 });
    expect(snapshot(nothing, START_MS)).toMatchObject({ used: 0, searchUsed: 0, openCalls: 0 });
    expect(nothing.nowMs).toBe(START_MS);
    const again = settle(nothing, { grant, ending: 'unanswered', nowMs: START_MS });
    expect(snapshot(again, START_MS)).toMatchObject({ used: 0, searchUsed: 0, openCalls: 0 });
    const lost = snapshot(first.state, START_MS + 300_001);
    expect(lost).toMatchObject({ used: 1, openCalls: 0 });
    expect(snapshot(first.state, START_MS + 299_000)).toMatchObject({ used: 1, openCalls: 1 });
  });

  it('B4 is bounded, whatever the limit and however many calls', () => {
    let state = initialBudget({ assumedLimit: 100_000, othersShare: 0 });
    let nowMs = START_MS;
    for (let index = 0; index < 20_000; index += 1) {
      const answer = request(state, { lane: 'writes', kind: 'call', nowMs });
      const grant = granted(answer) as Grant;
      state = observe(answer.state, { grant, status: 200, headers: {}, nowMs, random: 0 });
      nowMs += 3;
    }
    expect(state.calls.heldCount).toBe(20_000);
    expect(state.calls.held.length).toBeLessThan(320);
  });
});
