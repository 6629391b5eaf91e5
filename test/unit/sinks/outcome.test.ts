import { describe, expect, it } from 'vitest';
import { ERROR_TABLE, type ErrorCode } from '../../../src/base/errors.ts';
import { classify, type WireResult } from '../../../src/kustomer/client/classify.ts';
import { failure } from '../../../src/kustomer/client/outcome.ts';
import { nextStepOf } from '../../../src/sinks/next-steps.ts';
import { judge, OUTCOME_TABLE } from '../../../src/sinks/outcome.ts';

const NOW_MS = Date.UTC(2026, 2, 25);
const UNKNOWN_STEP = nextStepOf('log_fatal');

/** What a write gets, as the client would classify it. */
function written(result: WireResult) {
  return judge(
    classify(result, {
      operation: 'note.create',
      effect: 'write',
      permission: 'org.permission.note.create',
      nowMs: NOW_MS,
    }),
  );
}

const answered = (status: number, error: object = { code: 'x', title: 'Said so' }, headers = {}): WireResult => ({
  answer: 'whole',
  status,
  headers,
  body: Buffer.from(JSON.stringify({ errors: [error] })),
});
const done: WireResult = { answer: 'whole', status: 201, headers: {}, body: Buffer.from('{"data":{}}') };
const unreadable: WireResult = { ...done, body: Buffer.from('<html>') };
const broken: WireResult = { ...done, answer: 'partial', reason: 'reset' };
const lost: WireResult = { answer: 'none', sent: true, reason: 'timeout' };
const unsent: WireResult = { answer: 'none', sent: false, reason: 'no connection' };

describe('an answer to a write', () => {
  it.each<[string, WireResult, string, string, ErrorCode | null]>([
    ['200', { ...done, status: 200 }, 'done', 'applied', null],
    ['201', done, 'done', 'applied', null],
    ['204 without a body', { ...done, status: 204, body: Buffer.alloc(0) }, 'done', 'applied', null],
    ['no connection', unsent, 'not_sent', 'retry_later', 'kustomer_not_sent'],
    ['429', answered(429), 'rate_limited', 'retry_later', 'kustomer_rate_limited'],
    ['409', answered(409, { title: 'Optimistic locking failed' }), 'conflict', 'conflict', 'kustomer_conflict'],
    ['401', answered(401), 'key_refused', 'failed_final', 'kustomer_unauthorized'],
    ['403', answered(403), 'role_missing', 'failed_final', 'kustomer_permission'],
    ['a redirect', answered(302), 'misconfigured', 'failed_final', 'kustomer_misconfigured'],
    ['400', answered(400), 'bad_request', 'failed_final', 'kustomer_refused'],
    ['404', answered(404), 'not_found', 'failed_final', 'target_not_found'],
    ['410', answered(410), 'gone', 'failed_final', 'target_not_found'],
    ['413', answered(413), 'too_large', 'failed_final', 'write_too_large'],
    ['422', answered(422), 'unprocessable', 'failed_final', 'kustomer_refused'],
    ['423', answered(423, { title: 'Conversation is locked' }), 'locked', 'failed_final', 'target_locked'],
    ['400 for a lock', answered(400, { detail: 'Locked by u1' }), 'locked', 'failed_final', 'target_locked'],
    ['418', answered(418), 'refused', 'failed_final', 'kustomer_refused'],
    ['408', answered(408), 'answer_lost', 'ambiguous', 'outcome_unknown'],
    ['500', answered(500), 'server_error', 'ambiguous', 'outcome_unknown'],
    ['501', answered(501), 'server_error', 'ambiguous', 'outcome_unknown'],
    ['502', answered(502), 'server_error', 'ambiguous', 'outcome_unknown'],
    ['503', answered(503), 'server_error', 'ambiguous', 'outcome_unknown'],
    ['504', answered(504), 'server_error', 'ambiguous', 'outcome_unknown'],
    ['a lost answer', lost, 'answer_lost', 'ambiguous', 'outcome_unknown'],
    ['no JSON', unreadable, 'answer_unreadable', 'ambiguous', 'outcome_unknown'],
    ['half a body', broken, 'answer_unreadable', 'ambiguous', 'outcome_unknown'],
  ])('%s', (_, result, row, becomes, code) => {
    const judgement = written(result);
    expect(judgement).toMatchObject({ row, becomes, code });
    expect(judgement.nextStep === null).toBe(code === null);
  });

  it('of our own client that would not send it', () => {
    const unsendable = failure('refuse', { operation: 'x', message: 'not sent: 200000 bytes' });
    expect(judge(unsendable)).toMatchObject({ row: 'unsendable', becomes: 'failed_final' });
    const noRoom = failure('not_sent', { operation: 'x', message: 'm', code: 'budget_exhausted', retryAtMs: 5 });
    expect(judge(noRoom)).toMatchObject({ row: 'no_budget', becomes: 'retry_later', retryAtMs: 5 });
    expect(judge(failure('retry', { operation: 'x', message: 'reset' }))).toMatchObject({ row: 'read_unanswered' });
  });

  it('of another pod is a wrong address and no bad key', () => {
    const text = 'Auth token associated with pod prod2 but request is being handled by prod1';
    expect(written(answered(401, { title: text }))).toMatchObject({
      row: 'misconfigured',
      connectionFault: 'misconfigured',
    });
  });

  it("carries Kustomer's words, the missing permission and the time to come back", () => {
    expect(written(answered(400, { code: 'badparam', title: 'No such field' })).message).toContain('No such field');
    const denied = written(answered(403));
    expect(denied.message).toContain('org.permission.note.create');
    expect(denied.connectionFault).toBe('role_missing');
    expect(written(answered(401)).connectionFault).toBe('key_refused');
    expect(written(answered(404)).connectionFault).toBeNull();
    expect(written(answered(429, {}, { 'retry-after': '7' })).retryAtMs).toBe(NOW_MS + 7000);
  });
});

describe('the table', () => {
  it('never takes for certain what may have happened: no status leads from ambiguous to a resend', () => {
    for (let status = 500; status <= 599; status += 1) expect(written(answered(status)).becomes).toBe('ambiguous');
    for (const { kind, becomes } of OUTCOME_TABLE) {
      expect(becomes === 'ambiguous', kind).toBe(kind === 'ambiguous');
      expect(becomes === 'applied', kind).toBe(kind === 'ok');
    }
  });

  it('ends each kind with a row that takes whatever is left', () => {
    const last = new Map(OUTCOME_TABLE.map((row) => [row.kind, row]));
    for (const kind of [
      'ok',
      'not_sent',
      'ambiguous',
      'retry',
      'wait',
      'conflict',
      'permission',
      'config',
      'refuse',
    ] as const) {
      const { status, code, says, unanswered } = last.get(kind) ?? { status: 0 };
      expect([status, code, says, unanswered], kind).toEqual([undefined, undefined, undefined, undefined]);
    }
  });

  it('names rows once, and errors that the error table knows, each with a step to take', () => {
    expect(new Set(OUTCOME_TABLE.map(({ name }) => name)).size).toBe(OUTCOME_TABLE.length);
    for (const { receiptCode, meaning } of OUTCOME_TABLE) {
      expect(meaning).not.toBe('');
      if (receiptCode === null) continue;
      expect(Object.hasOwn(ERROR_TABLE, receiptCode)).toBe(true);
      expect(nextStepOf(receiptCode)).not.toBe(UNKNOWN_STEP);
    }
  });
});

describe('next steps', () => {
  it.each<ErrorCode>([
    'command_invalid',
    'idempotency_conflict',
    'deadline_passed',
    'policy_blocked',
    'operator_without_rule',
    'grant_missing',
    'capability_not_exposed',
    'kustomer_unauthorized',
    'limit_reached',
    'confirmation_expired',
    'confirmation_rejected',
    'attempts_exhausted',
    'outcome_unknown',
    'conversation_merged',
    'assignment_full',
    'customer_not_found',
    'customer_ambiguous',
    'call_foreign',
    'target_locked',
  ])('there is one for %s', (code) => {
    expect(nextStepOf(code)).not.toBe(UNKNOWN_STEP);
  });
});
