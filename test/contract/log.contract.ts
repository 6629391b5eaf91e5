/**
 * The conformance suite of the log port. Every sentence of the docstrings in src/kafka/port.ts has a test here, and every
 * implementation runs all of them.
 *
 * What must *not* happen is shown by a witness, never by waiting: something sent later has arrived somewhere, so what was
 * sent before would have arrived too.
 */
import { describe, it } from 'vitest';
import { adminContract } from './admin.contract.ts';
import { groupContract } from './group.contract.ts';
import type { LogContractOptions, LogHarness } from './harness.ts';
import { producerContract } from './producer.contract.ts';
import { readerContract } from './reader.contract.ts';
import { transactionContract } from './transaction.contract.ts';

/** Declares one test; the harness is fresh and closed afterwards. */
export type Prove = (claim: string, proof: (harness: LogHarness) => Promise<void>) => void;

const DEFAULT_TIMEOUT_MS = 30_000;

export function logContract(
  name: string,
  makeHarness: () => Promise<LogHarness>,
  options: LogContractOptions = {},
): void {
  const knownFailures = options.knownFailures ?? {};
  const claims = new Set<string>();
  const prove: Prove = (claim, proof) => {
    claims.add(claim);
    const body = async () => {
      const harness = await makeHarness();
      try {
        await proof(harness);
      } finally {
        await harness.close();
      }
    };
    const timeoutMs = options.testTimeoutMs ?? DEFAULT_TIMEOUT_MS;
    const reason = knownFailures[claim];
    if (reason === undefined) it(claim, body, timeoutMs);
    else it.fails(`${claim} (known failure: ${reason})`, body, timeoutMs);
  };

  describe(`log port: ${name}`, () => {
    describe('admin', () => adminContract(prove));
    describe('producer', () => producerContract(prove));
    describe('reader', () => readerContract(prove));
    describe('transactions', () => transactionContract(prove));
    describe('group', () => groupContract(prove));
  });

  for (const claim of Object.keys(knownFailures)) {
    if (!claims.has(claim)) throw new Error(`a known failure names no test of the contract: ${claim}`);
  }
}
