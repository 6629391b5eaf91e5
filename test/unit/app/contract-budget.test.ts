/** What the contract check says of the rate limit: of now, not of the whole life of the process. */
import { expect, it } from 'vitest';
import { budgetCheck } from '../../../src/app/api/contract.ts';

const NOW_MS = 1_000_000_000;
const MINUTE_MS = 60_000;

const check = (budget: object) => {
  const told = { limit: 1000, limitTold: true, left: 900, pausedUntilMs: null, limited: 0, limitedAtMs: null };
  return budgetCheck({ health: () => ({ budget: { ...told, ...budget } }) as never }, NOW_MS);
};

it.each([
  ['enough left', {}, true, 'ok'],
  [
    'a 429 a moment ago, which broke nothing',
    { limited: 3, limitedAtMs: NOW_MS - 10_000 },
    false,
    'optional_rate_limited',
  ],
  ['a 429 that is long over', { limited: 3, limitedAtMs: NOW_MS - 16 * MINUTE_MS }, true, 'ok'],
  ['told to wait', { limited: 3, limitedAtMs: NOW_MS, pausedUntilMs: NOW_MS + 5000 }, false, 'rate_limited'],
  ['little left', { left: 50 }, false, 'low'],
  ['nobody told', { limitTold: false, left: null }, null, 'unknown'],
])('%s', (_, budget, ok, code) => {
  expect(check(budget)).toMatchObject({ ok, code });
});
