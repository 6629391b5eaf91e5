/**
 * Ends a run with one line, `N passed, N failed`, and makes it true: a test that was skipped or never collected, a file
 * that could not be loaded and an error outside every test all count as failed.
 */
import { writeSync } from 'node:fs';
import type { Reporter, TestModule, Vitest } from 'vitest/node';

/** What of a run decides the line. */
export interface Counts {
  passed: number;
  failed: number;
  /** Names of the tests that did not run. */
  readonly notRun: string[];
  /** Files that failed as a whole, and errors outside every test. */
  errors: number;
}

/** `deselected`: tests were left out by a name filter, as in `vitest run -t one`, and are not held against the run. */
export function countTests(modules: readonly TestModule[], outsideErrors: number, deselected: boolean): Counts {
  const counts: Counts = { passed: 0, failed: 0, notRun: [], errors: outsideErrors };
  for (const module of modules) {
    counts.errors += module.errors().length;
    for (const suite of module.children.allSuites()) counts.errors += suite.errors().length;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === 'passed') counts.passed += 1;
      else if (state === 'failed') counts.failed += 1;
      else if (!deselected) counts.notRun.push(`${module.relativeModuleId}: ${test.fullName}`);
    }
  }
  return counts;
}

export class SummaryReporter implements Reporter {
  #deselected = false;
  #counts: Counts | null = null;

  onInit(vitest: Vitest): void {
    this.#deselected = vitest.config.testNamePattern !== undefined;
    // At exit, not at the end of the run: the teardown of the broker comes in between, and may fail or print.
    process.once('exit', (code) => this.#print(code));
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    this.#counts = countTests(modules, unhandledErrors.length, this.#deselected);
    if (this.#failures() > 0) process.exitCode = 1;
  }

  #failures(): number {
    if (this.#counts === null) return 1;
    return this.#counts.failed + this.#counts.errors + this.#counts.notRun.length;
  }

  #print(exitCode: number): void {
    for (const name of this.#counts?.notRun ?? []) writeSync(1, `not run, which counts as failed: ${name}\n`);
    // A run that ends non-zero for a reason seen in no test (its teardown, say) has not passed.
    const failed = exitCode !== 0 ? Math.max(1, this.#failures()) : this.#failures();
    if (failed > 0) process.exitCode = 1;
    writeSync(1, `${this.#counts?.passed ?? 0} passed, ${failed} failed\n`);
  }
}
