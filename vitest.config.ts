/**
 * Four tiers by folder, run from the quickest to the slowest. `vitest run --project unit` runs one of them.
 *
 * unit         pure code and in-memory wiring; no broker, a file on every core (vitest by itself would leave one idle)
 * contract     one conformance suite over the in-memory and the real log
 * integration  the real broker, two files at a time: each brings processes of its own, on what may be two cores
 * faults       crashes, stopped processes, stopped brokers: one file at a time, because they measure time
 *
 * The tiers with a broker share one, started by test/support/global-setup.ts for the run. No retries anywhere, and a
 * skipped test fails the run (test/support/summary-reporter.ts).
 */
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { SummaryReporter } from './test/support/summary-reporter.ts';

interface Tier {
  readonly name: string;
  /** From 1: vitest runs the group 0, its default, after the others. */
  readonly order: number;
  readonly broker: boolean;
  readonly workers: number | string;
  readonly timeoutMs: number;
}

function tier({ name, order, broker, workers, timeoutMs }: Tier): TestProjectInlineConfiguration {
  return {
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      environment: 'node',
      sequence: { groupOrder: order },
      testTimeout: timeoutMs,
      hookTimeout: timeoutMs,
      allowOnly: false,
      restoreMocks: true,
      unstubEnvs: true,
      maxWorkers: workers,
      ...(broker ? { globalSetup: ['test/support/global-setup.ts'] } : {}),
    },
  };
}

// biome-ignore lint/style/noDefaultExport: the form vitest reads
export default defineConfig({
  test: {
    projects: [
      tier({ name: 'unit', order: 1, broker: false, workers: '100%', timeoutMs: 20_000 }),
      tier({ name: 'contract', order: 2, broker: true, workers: 2, timeoutMs: 60_000 }),
      tier({ name: 'integration', order: 3, broker: true, workers: 2, timeoutMs: 90_000 }),
      tier({ name: 'faults', order: 4, broker: true, workers: 1, timeoutMs: 180_000 }),
    ],
    reporters: ['default', new SummaryReporter()],
    teardownTimeout: 60_000,
  },
});
