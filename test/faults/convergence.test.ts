/**
 * What is published equals the truth, whatever is lost on the way: webhooks dropped, doubled, reordered and switched off,
 * requests that fail, budgets that are empty, pollers that die. A change may be absent only where nobody could know of it.
 *
 * The seeds are fixed. SOAK_SEEDS=4711,12 runs others; `make soak SEEDS=50` as many as wanted, in tens.
 */
import { expect, test } from 'vitest';
import { converge } from '../support/convergence/converge.ts';
import { webhooksAlone } from '../support/convergence/webhooks-alone.ts';

const SEEDS = process.env['SOAK_SEEDS']?.split(',') ?? ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10'];

test('webhooks alone, doubled and reordered, are the whole truth but for the time that passes', async () => {
  const results = await webhooksAlone(SEEDS.slice(0, 2));
  for (const { published, changes } of results) {
    expect(published).toBe(changes);
    expect(changes).toBeGreaterThan(20);
  }
});

/** The phase of faults ends with a minute and lasts at least forty seconds. */
const TIMEOUT_MS = 240_000;

test(
  'webhooks and polls together are the truth one poll interval and five seconds after the faults',
  async () => {
    const results = await converge(SEEDS);
    for (const { seed, tookMs, webhookOffMs, ...counts } of results) {
      const shown = Object.entries(counts).map(([name, count]) => `${count} ${name}`);
      process.stdout.write(
        `convergence: seed ${seed}: ${shown.join(', ')}; webhook off for ${webhookOffMs} ms; true after ${tookMs} ms\n`,
      );
      const { changes, published, collapsed, byPoll, refused } = counts;
      expect(changes).toBeGreaterThan(100);
      expect(published).toBeGreaterThan(changes / 4);
      // The faults were there.
      expect(Math.min(collapsed, byPoll, refused)).toBeGreaterThan(0);
      expect(webhookOffMs).toBeGreaterThan(0);
    }
    expect(Math.max(...results.map(({ spoiled }) => spoiled))).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);
