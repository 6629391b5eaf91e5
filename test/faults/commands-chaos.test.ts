/**
 * Commands of all kinds while everything around them goes wrong: replies are lost, Kustomer fails and refuses, sinks are
 * killed, stopped and replaced. Of each conversation every command takes effect once, in order, and has one receipt.
 *
 * One seed of fewer commands here; `make soak` has the whole size, and prints how to run a seed again.
 */
import { expect, it } from 'vitest';
import { type ChaosOptions, runChaos } from '../support/commands-chaos/run.ts';

const SMALL = { conversations: 200, each: 10, happenings: 6, deadlineMs: 60_000 };
const WHOLE = { conversations: 1000, each: 20, happenings: 20, deadlineMs: 900_000 };

const size: Omit<ChaosOptions, 'seed'> = process.env['CHAOS_SIZE'] === 'whole' ? WHOLE : SMALL;
const seeds = (process.env['SOAK_SEEDS'] ?? '1').split(',');
const commands = size.conversations * size.each;

it.each(seeds)(
  `${commands} commands over ${size.conversations} conversations, each once and in order: seed %s`,
  async (seed) => {
    const tell = (line: string): void => void process.stderr.write(`commands-chaos: seed ${seed}: ${line}\n`);
    const { violations, ...figures } = await runChaos({ seed, ...size, tell });
    tell(JSON.stringify(figures));
    expect(violations.slice(0, 20), `${violations.length} violations`).toEqual([]);
    // It was what it says it was.
    expect(figures.ambiguous).toBeGreaterThan(0.15 * commands);
    expect(Math.min(...Object.values(figures.happened))).toBeGreaterThan(0);
    // At least 99.9 % of what nobody could know was found out without a person.
    expect(figures.parked.length).toBeLessThanOrEqual(Math.ceil(0.001 * figures.ambiguous));
  },
  2 * size.deadlineMs,
);
