/** What an install ends of what was found of a connection before. */
import { expect, it } from 'vitest';
import { isMended, type StateRecord } from '../../../src/app/api/records.ts';

const check = (name: string, ok: boolean) => ({ name, ok, code: ok ? 'ok' : 'failed', message: '', nextStep: null });
const found = (state: StateRecord['state'], reason: string | null): StateRecord => ({
  version: 1,
  state,
  reason,
  since_ms: 0,
});

it.each([
  ['a refused key', found('pending_auth', 'key_refused'), [check('webhook', false)], true],
  ['no webhook, when one was made', found('error', 'no_webhook'), [check('webhook', true)], true],
  ['no webhook, when none could be made', found('degraded', 'no_webhook'), [check('webhook', false)], false],
  ['no webhook, when none was tried', found('degraded', 'no_webhook'), [], false],
  [
    'failing deliveries, which only time can mend',
    found('degraded', 'deliveries_failing'),
    [check('webhook', true)],
    false,
  ],
  ['failing polls', found('degraded', 'poll_failing'), [check('webhook', true)], false],
  ['nothing', undefined, [check('webhook', true)], false],
])('%s', (_, before, checks, expected) => {
  expect(isMended(before, checks)).toBe(expected);
});
