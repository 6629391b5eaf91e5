/** Causes are told apart by codes: what a message says, in whatever words, changes nothing. */
import { describe, expect, it } from 'vitest';
import type { Receipt } from '../../../src/cli/api-types.ts';
import { EXIT } from '../../../src/cli/exit.ts';
import {
  BLOCKED,
  failureOfCheck,
  failureOfReceipt,
  MISSING_PERMISSION,
  RATE_LIMITED,
  UNAUTHORIZED,
} from '../../../src/cli/failures.ts';
import { exitCodeOfReceipt } from '../../../src/cli/receipt-text.ts';

/** Every word that once decided. */
const WORDS = '401 Unauthorized: expired, revoked; 403; no grant, not granted; they apply to other operators; webhook';
const MESSAGES = ['', 'something else', WORDS];

function receipt(decision: string, code: string | null, message: string, rule: string | null = null): Receipt {
  return {
    ...{ capability: 'conversation.note.write', operator: 'ann', outcome: decision === 'BLOCK' ? 'refused' : 'failed' },
    verdict: { decision, rule },
    error: code === null ? null : { code, message },
  };
}

describe('a receipt', () => {
  it.each([
    ['kustomer_unauthorized', 'ALLOW', UNAUTHORIZED],
    ['kustomer_permission', 'ALLOW', MISSING_PERMISSION],
    ['kustomer_rate_limited', 'ALLOW', RATE_LIMITED],
    ['budget_exhausted', 'ALLOW', RATE_LIMITED],
    ['policy_blocked', 'BLOCK', BLOCKED],
    ['kustomer_refused', 'ALLOW', null],
    ['limit_reached', 'BLOCK', null],
    ['capability_not_exposed', 'BLOCK', null],
    ['a_code_of_tomorrow', 'BLOCK', null],
  ])('of %s is told by its code', (code, decision, failure) => {
    for (const message of MESSAGES) expect(failureOfReceipt(receipt(decision, code, message))).toEqual(failure);
  });

  it('of a missing grant says what to grant, of rules for others whom to name; an allow rule helps neither', () => {
    for (const message of MESSAGES) {
      const ungranted = failureOfReceipt(receipt('BLOCK', 'grant_missing', message));
      expect(ungranted?.fix).toBe('fibric capabilities grant conversation.note.write --operator ann');
      const others = failureOfReceipt(receipt('BLOCK', 'operator_without_rule', message));
      expect(others?.cause).toContain('apply to other operators');
      expect(others?.fix).toContain('--operator');
    }
  });

  it('of a rule that forbids needs no allow rule', () => {
    expect(failureOfReceipt(receipt('BLOCK', 'policy_blocked', '', 'deny: conversation.note.write'))).toBeNull();
  });

  it('of a dry run has no error: the verdict has the code', () => {
    const verdict = { decision: 'BLOCK', rule: null, reason: WORDS };
    expect(failureOfReceipt({ verdict: { ...verdict, code: 'policy_blocked' } })).toBe(BLOCKED);
    expect(failureOfReceipt({ verdict: { ...verdict, code: 'grant_missing' } })?.fix).toMatch(/^fibric capabilities/);
    expect(failureOfReceipt({ verdict })).toBe(BLOCKED);
    expect(failureOfReceipt({ verdict: { decision: 'ALLOW', rule: 'allow: x' } })).toBeNull();
  });

  it.each(['policy_blocked', 'operator_without_rule', 'grant_missing', 'capability_not_exposed', 'limit_reached'])(
    'of %s ends with the exit code of BLOCK',
    (code) => expect(exitCodeOfReceipt(receipt('BLOCK', code, ''))).toBe(EXIT.blocked),
  );
});

describe('a check', () => {
  it('is told by its code and its name', () => {
    const check = (name: string, code: string) => failureOfCheck({ name, ok: false, code, message: WORDS });
    expect(check('authentication', 'unauthorized')).toBe(UNAUTHORIZED);
    expect(check('webhook_health', 'deliveries_failing')?.cause).toContain('the poll backfill is carrying the stream');
    expect(check('poll_lag', 'late')).toBeNull();
    expect(failureOfCheck({ name: 'webhook', ok: true, code: 'ok' })).toBeNull();
  });
});
