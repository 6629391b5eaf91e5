import { describe, expect, it } from 'vitest';
import {
  type BudgetState,
  type Grant,
  initialBudget,
  observe,
  request,
  settle,
} from '../../../../src/kustomer/budget/budget.ts';
import type { CallKind, Lane } from '../../../../src/kustomer/budget/lanes.ts';
import { type AnswerHeaders, rateFacts } from '../../../../src/kustomer/budget/rate-headers.ts';

const NOW_MS = Date.UTC(2026, 0, 5, 12, 0, 0);
const EPOCH_S = NOW_MS / 1000;
const dateAt = (ms: number): string => new Date(ms).toUTCString();

/** A conversation with the budget at chosen times. */
function budget(config: Parameters<typeof initialBudget>[0] = {}) {
  let state: BudgetState = initialBudget(config);
  return {
    get state() {
      return state;
    },
    ask: (nowMs: number, lane: Lane = 'writes', kind: CallKind = 'call') => {
      const answer = request(state, { lane, kind, nowMs });
      state = answer.state;
      return answer;
    },
    grant: (nowMs: number, lane: Lane = 'writes', kind: CallKind = 'call'): Grant => {
      const answer = request(state, { lane, kind, nowMs });
      state = answer.state;
      if (!('grant' in answer)) throw new Error(`refused: ${answer.reason}`);
      return answer.grant;
    },
    tell: (grant: Grant, nowMs: number, headers: AnswerHeaders = {}, status = 200, random = 0) => {
      state = observe(state, { grant, status, headers, nowMs, random });
    },
  };
}

describe('rateFacts', () => {
  it.each([
    ['seconds', { 'retry-after': '30' }, 30_000],
    ['a fraction', { 'retry-after': '0.5' }, 500],
    ['a date by the server clock', { 'retry-after': dateAt(NOW_MS + 400_000), date: dateAt(NOW_MS + 390_000) }, 10_000],
    ['a date by our clock', { 'retry-after': dateAt(NOW_MS + 20_000) }, 20_000],
    ['a date gone by', { 'retry-after': dateAt(NOW_MS - 20_000) }, 0],
    ['a year', { 'retry-after': '31536000' }, 86_400_000],
    ['words', { 'retry-after': 'in a while' }, null],
    ['minus', { 'retry-after': '-5' }, null],
    ['a date of another form', { 'retry-after': '2026-01-05' }, null],
  ])('reads Retry-After: %s', (_name, headers, ms) => {
    expect(rateFacts(headers as AnswerHeaders, NOW_MS).retryAfterMs).toBe(ms);
  });

  it.each([
    [
      'by the server clock, five minutes ahead of ours',
      { 'x-ratelimit-reset': `${EPOCH_S + 340}`, date: dateAt(NOW_MS + 300_000) },
      40_000,
    ],
    [
      'by the server clock, five minutes behind',
      { 'x-ratelimit-reset': `${EPOCH_S - 260}`, date: dateAt(NOW_MS - 300_000) },
      40_000,
    ],
    ['by our clock', { 'x-ratelimit-reset': `${EPOCH_S + 40}` }, 40_000],
    ['in milliseconds', { 'x-ratelimit-reset': `${NOW_MS + 40_000}` }, 40_000],
    ['far off by our clock, no Date', { 'x-ratelimit-reset': `${EPOCH_S + 340}` }, null],
    ['past by our clock, no Date', { 'x-ratelimit-reset': `${EPOCH_S - 3}` }, null],
    ['longer than a window', { 'x-ratelimit-reset': `${EPOCH_S + 90}`, date: dateAt(NOW_MS) }, null],
    ['no number', { 'x-ratelimit-reset': 'soon' }, null],
  ])('reads the reset %s', (_name, headers, ms) => {
    expect(rateFacts(headers as AnswerHeaders, NOW_MS).resetInMs).toBe(ms);
  });

  it.each([
    ['1000', '40', 1000, 40],
    ['1000;w=60', '40', 1000, 40],
    ['1000', '-3', 1000, 0],
    ['1000', '4000', 1000, 1000],
    ['0', 'x', null, null],
    ['-5', '1.5', null, null],
    ['1e3', '', null, null],
  ])('reads limit %s and remaining %s', (limit, remaining, wantedLimit, wantedRemaining) => {
    const facts = rateFacts({ 'x-ratelimit-limit': limit, 'x-ratelimit-remaining': remaining }, NOW_MS);
    expect([facts.limit, facts.remaining]).toEqual([wantedLimit, wantedRemaining]);
  });
});

describe('the limit', () => {
  it('is assumed, then learned, and leaves the others their share', () => {
    const it = budget();
    expect(it.state.calls.limit).toBe(210);
    it.tell(it.grant(NOW_MS), NOW_MS, { 'x-ratelimit-limit': '2000' });
    expect(it.state.calls.limit).toBe(1400);
    it.tell(it.grant(NOW_MS), NOW_MS, { 'x-ratelimit-limit': 'rubbish' });
    expect(it.state.calls.limit).toBe(1400);
    it.tell(it.grant(NOW_MS), NOW_MS, { 'x-ratelimit-limit': '1000' });
    expect(it.state.calls.limit).toBe(700);
  });

  it('of searches is kept apart, also when the headers of a search speak of it', () => {
    const it = budget();
    it.tell(it.grant(NOW_MS), NOW_MS, { 'x-ratelimit-limit': '1000' });
    it.tell(it.grant(NOW_MS, 'poll', 'search'), NOW_MS, { 'x-ratelimit-limit': '50', 'x-ratelimit-remaining': '0' });
    expect(it.state.calls.limit).toBe(700);
    expect(it.state.searches.limit).toBe(50);
    expect(it.ask(NOW_MS)).toHaveProperty('grant');
  });
});

describe('what others leave (G7, W1–W3)', () => {
  const headers = (remaining: number, resetInS = 30, limit = 1000): AnswerHeaders => ({
    'x-ratelimit-limit': String(limit),
    'x-ratelimit-remaining': String(remaining),
    'x-ratelimit-reset': String(EPOCH_S + resetInS),
    date: dateAt(NOW_MS),
  });

  it('stops at nothing left until the window ends, a second later for the rounding', () => {
    const it = budget();
    it.tell(it.grant(NOW_MS), NOW_MS, headers(0));
    expect(it.ask(NOW_MS + 10)).toMatchObject({ reason: 'window_empty', waitUntilMs: NOW_MS + 31_000 });
    expect(it.ask(NOW_MS + 30_999)).toMatchObject({ reason: 'window_empty' });
    expect(it.ask(NOW_MS + 31_000)).toHaveProperty('grant');
  });

  it('leaves the last calls of a window to writes', () => {
    const it = budget();
    it.tell(it.grant(NOW_MS), NOW_MS, headers(3));
    expect(it.ask(NOW_MS, 'backfill')).toMatchObject({ reason: 'window_empty' });
    expect(it.ask(NOW_MS, 'poll')).toMatchObject({ reason: 'window_empty' });
    for (let index = 0; index < 3; index += 1) it.grant(NOW_MS, 'writes');
    expect(it.ask(NOW_MS, 'writes')).toMatchObject({ reason: 'window_empty' });
  });

  it('W1 is not misled by answers that overtake each other', () => {
    const it = budget();
    const [first, second] = [it.grant(NOW_MS), it.grant(NOW_MS)];
    it.tell(second, NOW_MS + 5, headers(1));
    // The first may be counted after the second: nothing is sure to be left.
    expect(it.ask(NOW_MS + 6)).toMatchObject({ reason: 'window_empty' });
    it.tell(first, NOW_MS + 7, headers(2));
    // It was counted before: one is left, not two.
    it.grant(NOW_MS + 8);
    expect(it.ask(NOW_MS + 8)).toMatchObject({ reason: 'window_empty' });
  });

  it('W1 counts calls without an answer as counted', () => {
    const it = budget();
    it.tell(it.grant(NOW_MS), NOW_MS, headers(2));
    it.tell(it.grant(NOW_MS), NOW_MS, {});
    it.grant(NOW_MS);
    expect(it.ask(NOW_MS)).toMatchObject({ reason: 'window_empty' });
  });

  it('W3 takes a later window for what it is and ignores an earlier one', () => {
    const it = budget();
    const [old, next] = [it.grant(NOW_MS), it.grant(NOW_MS)];
    it.tell(next, NOW_MS + 1, headers(900, 60));
    it.tell(old, NOW_MS + 2, headers(0, 1));
    expect(it.ask(NOW_MS + 3)).toHaveProperty('grant');
  });

  it('without a reset it finds out by one call now and then, not by a minute of silence', () => {
    const it = budget();
    it.tell(it.grant(NOW_MS), NOW_MS, { 'x-ratelimit-limit': '1000', 'x-ratelimit-remaining': '0' });
    expect(it.ask(NOW_MS + 1)).toMatchObject({ reason: 'window_empty', waitUntilMs: NOW_MS + 2000 });
    const trial = it.grant(NOW_MS + 2000);
    expect(it.ask(NOW_MS + 2001)).toMatchObject({ reason: 'window_empty' });
    it.tell(trial, NOW_MS + 2100, { 'x-ratelimit-limit': '1000', 'x-ratelimit-remaining': '998' });
    expect(it.ask(NOW_MS + 2101)).toHaveProperty('grant');
  });
});

describe('a 429 (G3, G4)', () => {
  it('without any time told backs off longer each time, spread by chance', () => {
    const it = budget();
    let nowMs = NOW_MS;
    const waits: number[] = [];
    for (let index = 0; index < 6; index += 1) {
      it.tell(it.grant(nowMs), nowMs, {}, 429, 0);
      waits.push((it.state.pause?.untilMs ?? 0) - nowMs);
      nowMs = it.state.pause?.untilMs ?? 0;
    }
    expect(waits).toEqual([2500, 5000, 10_000, 20_000, 30_000, 30_000]);
    it.tell(it.grant(nowMs), nowMs, {}, 429, 0.999);
    expect((it.state.pause?.untilMs ?? 0) - nowMs).toBeGreaterThan(59_000);
  });

  it('counts the refusals that were under way with the first as one', () => {
    const it = budget();
    const grants = [1, 2, 3, 4].map(() => it.grant(NOW_MS));
    for (const grant of grants) it.tell(grant, NOW_MS + 10, {}, 429);
    expect(it.state.pause).toMatchObject({ strikes: 1, untilMs: NOW_MS + 2510 });
  });

  it('stays when a success that was under way comes in', () => {
    const it = budget();
    const [refused, fine] = [it.grant(NOW_MS), it.grant(NOW_MS)];
    it.tell(refused, NOW_MS, { 'retry-after': '9' }, 429);
    it.tell(fine, NOW_MS + 5, {}, 200);
    expect(it.ask(NOW_MS + 8999)).toMatchObject({ reason: 'paused' });
    expect(it.ask(NOW_MS + 9000)).toHaveProperty('grant');
  });

  it('does not believe the same short time for ever', () => {
    const it = budget();
    it.tell(it.grant(NOW_MS), NOW_MS, { 'retry-after': '0' }, 429);
    it.tell(it.grant(NOW_MS), NOW_MS, { 'retry-after': '0' }, 429);
    expect(it.state.pause).toMatchObject({ cause: 'backoff', untilMs: NOW_MS + 5000 });
  });

  it('is not obeyed for a day: after maxPauseMs one call asks again', () => {
    const it = budget({ maxPauseMs: 120_000 });
    it.tell(it.grant(NOW_MS), NOW_MS, { 'retry-after': '86400' }, 429);
    expect(it.state.pause?.untilMs).toBe(NOW_MS + 120_000);
    it.grant(NOW_MS + 120_000);
    expect(it.ask(NOW_MS + 120_000)).toMatchObject({ reason: 'trial' });
  });
});

it('a trial given to somebody who died with it holds the others up for seconds, not until it lapses (G3, regression)', () => {
  const it = budget();
  it.tell(it.grant(NOW_MS), NOW_MS, { 'retry-after': '1' }, 429);
  it.grant(NOW_MS + 1000);
  expect(it.ask(NOW_MS + 5999)).toMatchObject({ reason: 'trial' });
  const next = it.grant(NOW_MS + 6000);
  // It alone, again.
  expect(it.ask(NOW_MS + 6001)).toMatchObject({ reason: 'trial' });
  it.tell(next, NOW_MS + 6100, { 'x-ratelimit-limit': '1000', 'x-ratelimit-remaining': '998' });
  expect(it.ask(NOW_MS + 6101)).toHaveProperty('grant');
});

it('a storm of calls that were not sent holds nobody up afterwards (regression)', () => {
  let state: BudgetState = initialBudget();
  for (let index = 0; index < 10_000; index += 1) {
    const answer = request(state, { lane: 'writes', kind: 'search', nowMs: NOW_MS });
    const { grant } = answer as { readonly grant: Grant };
    state = settle(answer.state, { grant, ending: 'not_sent', nowMs: NOW_MS });
  }
  expect(request(state, { lane: 'backfill', kind: 'search', nowMs: NOW_MS })).toHaveProperty('grant');
});
