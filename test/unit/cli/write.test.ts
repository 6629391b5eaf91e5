import { describe, expect, it } from 'vitest';
import { EXIT } from '../../../src/cli/exit.ts';
import { envelope } from '../../support/fibric/fake-api.ts';
import {
  API_KEY,
  APPROVAL,
  connectorOf,
  type Json,
  READ_ONLY_TOKEN,
  READING_KEY,
} from '../../support/fibric/fixtures.ts';
import { apply, installed, NOTE, SEND, withApi } from '../../support/fibric/world.ts';

describe('writing', () => {
  it('BLOCK has an exit code of its own, live and dry, for tests and actions', async () => {
    const { fibric } = await installed();
    for (const line of [
      SEND,
      `${SEND} --live`,
      `connectors test cn-kustomer note.write ${NOTE}`,
      `connectors test support note.write --live ${NOTE}`,
    ]) {
      const run = await fibric(line);
      expect(run.code, line).toBe(EXIT.blocked);
      expect(run.out).toContain('A block here is the system working.');
    }
  });

  it('says what is missing: a rule, or a grant, which no rule makes up for', async () => {
    const { api, fibric } = await installed();
    api.world.ungranted = true;
    const test = `connectors test cn-kustomer note.write --operator triage-analyst ${NOTE}`;
    for (const line of [`${SEND} --live`, test]) {
      const run = await fibric(line);
      expect(run.code).toBe(EXIT.blocked);
      expect(run.out).toContain('next: fibric capabilities grant conversation.note.write --operator triage-analyst');
      expect(run.out).not.toContain('Add an allow rule');
    }
  });

  it('applies once, and says DEDUP to the same again', async () => {
    const both = await installed();
    await apply(both);
    const first = await both.fibric(`${SEND} --live --json`);
    const second = await both.fibric(`${SEND} --live`);
    expect([first.code, second.code]).toEqual([EXIT.ok, EXIT.ok]);
    expect(JSON.parse(first.out)).toMatchObject({ object: 'action', receipt: { outcome: 'applied' } });
    expect(second.out).toContain('DEDUP means the duplicate was caught');
    const keys = both.api.asked
      .filter(({ path }) => path === '/v1/actions')
      .map(({ body }) => (body as Json)['idempotency_key']);
    expect(new Set(keys).size).toBe(1);
  });

  it('is a dry run unless --live', async () => {
    const both = await installed();
    await apply(both);
    expect((await both.fibric(SEND)).out).toContain('Add --live to carry it out.');
    expect(both.api.asked.at(-1)?.body).toMatchObject({
      mode: 'dry_run',
      wait_ms: 15_000,
      connection: 'kustomer-prod',
    });
  });

  it('ALERT ends with the code for waiting, and names the approval', async () => {
    const both = await installed();
    await apply(both, 'policy: p\nrules:\n  - require_confirmation: conversation.note.write\ndefault: deny\n');
    const run = await both.fibric(`${SEND} --live`);
    expect(run.code).toBe(EXIT.waiting);
    expect(run.out).toContain('fibric approvals approve apr_7c1e');
    const tested = await both.fibric(`connectors test cn-kustomer note.write --live --key key-t ${NOTE}`);
    expect(tested.code).toBe(EXIT.waiting);
    expect((await both.fibric(`connectors test cn-kustomer note.write ${NOTE}`)).code).toBe(EXIT.waiting);
  });

  it('a receipt that does not come is an outcome nobody knows', async () => {
    const both = await installed();
    await apply(both);
    const run = await both.fibric(
      `actions send conversation.note.write --operator o --live --wait 1s --args '{"conversation_id":"63k1","body":"lost"}'`,
    );
    expect(run.code).toBe(EXIT.writeFailed);
    expect(run.out).toMatch(/fibric receipts ls --key 'o:conversation\.note\.write:/);
    both.api.fault = ({ path }) =>
      path === '/v1/actions' ? { status: 504, body: envelope(504, 'deadline_exceeded', 'late') } : undefined;
    const late = await both.fibric(`${SEND} --live`);
    expect(late.code).toBe(EXIT.writeFailed);
    expect(late.notes).toMatch(/whether it was carried out is not known/);
  });

  it('403 of a live test is explained as the guide does', async () => {
    const both = await installed(READING_KEY);
    await apply(both);
    const run = await both.fibric(`connectors test cn-kustomer note.write --live ${NOTE}`);
    expect(run.code).toBe(EXIT.writeFailed);
    expect(run.out).toContain('Kustomer keys cannot be re-scoped in place.');
  });

  it('arguments that are not valid are wrong words, wherever that shows', async () => {
    const { fibric } = await installed();
    const tested = await fibric(`connectors test cn-kustomer note.write --args '{"body":"x"}'`);
    expect(tested.code).toBe(EXIT.usage);
    expect(tested.out).toContain('args.conversation_id: is missing');
    expect((await fibric(`actions send conversation.note.write --operator o --args '{"body":"x"}'`)).code).toBe(
      EXIT.usage,
    );
    expect((await fibric(`actions send conversation.note.write --operator o --args '{body'`)).code).toBe(EXIT.usage);
  });

  it('guesses no connection where there are several', async () => {
    const { api, fibric } = await installed();
    api.world.connectors.push(connectorOf('kustomer-two', API_KEY, { subdomain: 'acme' }));
    const run = await fibric(SEND);
    expect(run.code).toBe(EXIT.usage);
    expect(run.notes).toContain('kustomer-prod, kustomer-two');
    expect((await fibric('read customer 65c0 --connection kustomer-two')).code).toBe(EXIT.ok);
  });

  it('may not be done with a token that only reads', async () => {
    const { fibric } = await installed();
    expect((await fibric(SEND, { token: READ_ONLY_TOKEN })).code).toBe(EXIT.forbidden);
  });

  it('sends what a person says of a parked action, and refuses what cannot be meant', async () => {
    const { api, fibric } = await withApi();
    expect((await fibric('receipts resolve rc_1 --outcome applied --resend')).code).toBe(EXIT.usage);
    expect((await fibric('receipts resolve rc_1 --outcome maybe')).code).toBe(EXIT.usage);
    expect((await fibric('receipts resolve rc_1 --outcome not_applied --vendor-id x')).code).toBe(EXIT.usage);
    expect(api.world.resolved).toEqual([]);
    expect((await fibric("receipts resolve rc_1 --outcome applied --vendor-id x --note 'seen'")).code).toBe(EXIT.ok);
    expect(api.world.resolved).toEqual([{ id: 'rc_1', outcome: 'applied', vendor_id: 'x', note: 'seen' }]);
  });

  it('answers an approval, with the note', async () => {
    const { api, fibric } = await withApi();
    api.world.approvals.push({ ...APPROVAL });
    expect((await fibric("approvals reject apr_7c1e --note 'no'")).code).toBe(EXIT.ok);
    expect(api.asked.at(-1)).toMatchObject({ path: '/v1/approvals/apr_7c1e/reject', body: { note: 'no' } });
    expect((await fibric('approvals approve apr_none')).code).toBe(EXIT.notFound);
  });
});
