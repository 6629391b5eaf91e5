/** Tokens that were made before there was a scope: those with all others have it too, and nobody else. */
import { expect, it } from 'vitest';
import { TOKEN_KIND, type TokenRecord } from '../../../src/api/auth/records.ts';
import { SCOPES } from '../../../src/api/caller.ts';

const FIRST = SCOPES.filter((scope) => scope !== 'customers:read');
const stored = {
  ...{ version: 1, key_id: 'key_1', tenant_id: 't_a', workspace_id: null, name: 'laptop' },
  ...{ hash: 'a'.repeat(64), hint: '…abcd', created_at_ms: 1, created_by: 'platform admin' },
  ...{ expires_at_ms: null, revoked_at_ms: null, last_used_at_ms: null },
};
const parse = (more: object) => TOKEN_KIND.parse({ ...stored, ...more });
const again = (record: TokenRecord) => TOKEN_KIND.parse(JSON.parse(JSON.stringify(TOKEN_KIND.encode(record))));

it('with all scopes there were keeps all', () => {
  expect(parse({ scopes: FIRST }).scopes).toEqual(SCOPES);
  expect(parse({ scopes: FIRST.toReversed() }).scopes).toEqual(SCOPES);
  expect(again(parse({ scopes: FIRST })).scopes).toEqual(SCOPES);
});

it('with fewer has what it had', () => {
  for (const scope of FIRST) {
    const scopes = FIRST.filter((one) => one !== scope);
    expect(parse({ scopes }).scopes, scope).toEqual(scopes);
  }
});

it('that was made without it stays without it', () => {
  const made: TokenRecord = { ...parse({ scopes: [] }), scopes: [...FIRST] };
  expect(again(made)).toEqual(made);
  expect(again({ ...made, scopes: [...SCOPES] }).scopes).toEqual(SCOPES);
  // Nothing new in the record of any other: a version before it reads them.
  expect(TOKEN_KIND.encode({ ...made, scopes: ['events:read'] })).not.toHaveProperty('without');
});
