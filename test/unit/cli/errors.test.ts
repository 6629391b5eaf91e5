import { describe, expect, it } from 'vitest';
import { EXIT } from '../../../src/cli/exit.ts';
import { envelope } from '../../support/fibric/fake-api.ts';
import { POLICY_YAML } from '../../support/fibric/fixtures.ts';
import { runInProcess } from '../../support/fibric/run.ts';
import { startFakeApi } from '../../support/fibric/start.ts';
import { installed, withApi } from '../../support/fibric/world.ts';

describe('what goes wrong', () => {
  it.each([
    ['a token without the scope', 403, 'insufficient_scope', EXIT.forbidden],
    ['something that is not there', 404, 'not_found', EXIT.notFound],
    ['a wrong parameter', 400, 'invalid_parameter', EXIT.usage],
    ['a conflict', 409, 'state_conflict', EXIT.failed],
    ['too many requests', 429, 'rate_limited', EXIT.unavailable],
    ['a fault of the service', 500, 'internal', EXIT.failed],
    ['a service that is busy', 503, 'unavailable', EXIT.unavailable],
    ['a code nobody knew', 418, 'brand_new', EXIT.failed],
  ])('%s', async (_what, status, code, exit) => {
    const { api, fibric } = await withApi();
    api.fault = () => ({ status, body: envelope(status, code, 'in words') });
    const run = await fibric('connectors list');
    expect(run.code).toBe(exit);
    expect(run.out).toBe('');
    expect(run.notes).toContain(`error (${code}): in words`);
    expect(run.notes).toContain('request: req_test0001');
    const told = (await fibric('connectors list --json')).notes.trim().split('\n').at(-1) as string;
    expect(JSON.parse(told)).toMatchObject({ error: { code, status, request_id: 'req_test0001' } });
  });

  it('an answer that is not of the API', async () => {
    const { api, fibric } = await withApi();
    api.fault = () => ({ status: 200, body: '<html>a page for people</html>' });
    const run = await fibric('connectors list');
    expect(run.code).toBe(EXIT.failed);
    expect(run.notes).toMatch(/not_the_api/);
    api.fault = () => ({ status: 302, headers: { location: 'https://elsewhere.example.com' } });
    expect((await fibric('connectors list')).code).toBe(EXIT.failed);
  });

  it('nobody there', async () => {
    const api = await startFakeApi();
    await api.close();
    const run = await runInProcess(['connectors', 'list'], { endpoint: api.endpoint });
    expect(run.code).toBe(EXIT.unavailable);
    expect(run.notes).toMatch(/api_unreachable.*ECONNREFUSED/);
  });

  it('no answer in time', async () => {
    const { api, fibric } = await withApi();
    api.fault = () => 'hang';
    const run = await fibric('connectors list --timeout 200ms');
    expect(run.code).toBe(EXIT.unavailable);
    expect(run.notes).toMatch(/error \(timeout\)/);
    expect(api.asked).toHaveLength(1);
  });

  it.each([
    'nonsense',
    'events tail --sourc kustomer',
    'connectors show',
    'policy apply',
    'completion csh',
    'events ls --limit 0',
    'events ls --since soon',
    'events ls --type conversation.**',
    'connectors list --timeout 5',
  ])('wrong words: %s', async (line) => {
    const { api, fibric } = await withApi();
    const run = await fibric(line);
    expect(run.code).toBe(EXIT.usage);
    expect(run.out).toBe('');
    expect(run.notes).not.toBe('');
    expect(api.asked).toEqual([]);
  });

  it('Ctrl-C before the answer', async () => {
    const { api, fibric } = await withApi();
    const stop = new AbortController();
    api.fault = () => {
      stop.abort();
      return 'hang';
    };
    const run = await fibric('connectors list', { signal: stop.signal });
    expect(run.code).toBe(EXIT.interrupted);
    expect(run.notes).toBe('error (interrupted): interrupted\n');
  });
});

describe('trying again', () => {
  const busy = { status: 503, body: envelope(503, 'unavailable', 'later'), headers: { 'retry-after': '1' } };

  it('reads while the API asks to come back', async () => {
    const { api, fibric } = await withApi();
    let left = 2;
    api.fault = () => (left-- > 0 ? busy : undefined);
    const run = await fibric('connectors list');
    expect(run.code).toBe(EXIT.ok);
    expect(run.notes).toMatch(/later; trying again in 1 s/);
    expect(api.asked).toHaveLength(3);
  });

  it('sends a POST again under the same Idempotency-Key, also where the connection broke', async () => {
    const { api, fibric } = await withApi();
    let left = 1;
    api.fault = () => (left-- > 0 ? 'reset' : undefined);
    await fibric('policy apply -', { stdin: POLICY_YAML });
    expect(api.asked).toHaveLength(2);
    expect(new Set(api.asked.map(({ headers }) => headers['idempotency-key']))).toEqual(new Set(['key-of-request-1']));
  });

  it('sends nothing else again', async () => {
    const { api, fibric } = await installed();
    const before = api.asked.length;
    api.fault = ({ method }) => (method === 'PUT' || method === 'DELETE' ? busy : undefined);
    expect((await fibric('capabilities grant customer.read --operator o')).code).toBe(EXIT.unavailable);
    expect((await fibric('capabilities revoke customer.read --operator o')).code).toBe(EXIT.unavailable);
    expect(api.asked.length - before).toBe(2);
  });

  it('gives up after some attempts', async () => {
    const { api, fibric } = await withApi();
    api.fault = () => busy;
    expect((await fibric('connectors list')).code).toBe(EXIT.unavailable);
    expect(api.asked).toHaveLength(4);
  });
});
