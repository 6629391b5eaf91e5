/** Whatever is sent, the answer is one of those the API declares: never a fault of ours, always in its forms. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { API_ERRORS } from '../../../src/api/errors.ts';
import { ADMIN_TOKEN, type Api, type Called, startApi } from '../../support/api/harness.ts';
import { type FuzzRequest, requestsOf } from '../../support/api/requests.ts';

const POLICY = `policy: support-writes
rules:
  - allow: conversation.note.write
default: deny
`;

async function furnished() {
  const api = await startApi({
    settings: { ratePerMinute: 10_000_000, refusals: { perAddress: 10_000_000, overall: 10_000_000 } },
  });
  await api.tenant('t_a');
  const token = await api.token('t_a');
  // Another one than the one in use, which would be revoked.
  const other = await api.call('POST', '/v1/tokens', { token, body: { name: 'other', scopes: ['admin'] } });
  const refurnish = async () => {
    const { connectors, policies } = api.memory;
    if (connectors.find('t_a', 'kustomer-prod') === undefined) api.memory.addConnection('t_a', 'kustomer-prod');
    if (policies.set('t_a').get('support-writes')?.status === 'active') return;
    await api.call('POST', '/v1/policies', { token, body: { document: POLICY } });
  };
  await refurnish();
  const known = [
    ...['kustomer-prod', 'cn-kustomer', 't_a', other.body.id, 'support-writes', 'triage'],
    ...['conversation.note.write', 'note.write', POLICY, '2026-01-01', 'live'],
  ];
  return { api, token, known, refurnish };
}

function send(api: Api, token: string | null, { method, url, body, raw, headers }: FuzzRequest): Promise<Called> {
  return api.call(method, url, { token, body, headers, ...(raw !== undefined && { raw }) });
}

function expectAnswer(answer: Called, request: FuzzRequest, api: Api): void {
  const at = () => `${request.method} ${request.url} ${JSON.stringify(request.body)} → ${answer.text.slice(0, 500)}`;
  if (answer.status >= 500) throw new Error(`${at()} ${String((api.failures.at(-1)?.error as Error)?.stack)}`);
  expect(answer.headers['x-request-id'], at()).toMatch(/^req_/);
  if (answer.status < 400) {
    expect(answer.body, at()).toMatchObject({});
    return;
  }
  const { error } = answer.body;
  expect(Object.keys(API_ERRORS), at()).toContain(error.code);
  const row = API_ERRORS[error.code as keyof typeof API_ERRORS];
  expect([error.type, answer.status], at()).toEqual([row.type, row.status]);
  expect(error.request_id, at()).toBe(answer.headers['x-request-id']);
  expect(error.message, at()).toMatch(/\S/);
}

describe('requests made from the OpenAPI document', () => {
  it('are answered as declared, right or broken: 2,500 of a tenant', { timeout: 120_000 }, async () => {
    const { api, token, known, refurnish } = await furnished();
    const document = (await api.call('GET', '/v1/openapi.json')).body;
    const statuses = new Map<number, number>();
    const reached = new Set<string>();
    await fc.assert(
      fc.asyncProperty(requestsOf(document, known), async (request) => {
        await refurnish();
        const answer = await send(api, token, request);
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        if (answer.status < 300) reached.add(`${request.method} ${request.url.split('?')[0]}`);
        expectAnswer(answer, request, api);
      }),
      { numRuns: 2500 },
    );
    // It must have got through to the handlers, and not have been turned away at the door.
    expect(statuses.get(200) ?? 0).toBeGreaterThan(100);
    expect([...statuses.keys()]).toEqual(expect.arrayContaining([200, 400, 404, 422]));
    expect(reached.size).toBeGreaterThan(12);
    await api.server.close();
  });

  it('are answered as declared for the admin, and for nobody: 500 each', { timeout: 120_000 }, async () => {
    const { api, known } = await furnished();
    const document = (await api.call('GET', '/v1/openapi.json')).body;
    for (const token of [ADMIN_TOKEN, null]) {
      await fc.assert(
        fc.asyncProperty(requestsOf(document, known), async (request) => {
          const answer = await send(api, token, request);
          expectAnswer(answer, request, api);
          if (token === null && !request.url.startsWith('/v1/openapi.json'))
            expect([401, 404, 405]).toContain(answer.status);
        }),
        { numRuns: 500 },
      );
    }
    await api.server.close();
  });
});

describe('the OpenAPI document', () => {
  it('names every route once, and describes every answer it gives', async () => {
    const { api } = await furnished();
    const document = (await api.call('GET', '/v1/openapi.json')).body;
    expect(document.openapi).toBe('3.1.0');
    // biome-ignore lint/suspicious/noExplicitAny: a document is anything
    const operations: any[] = Object.values(document.paths).flatMap((path) => Object.values(path as object));
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const operation of operations) {
      expect(operation.summary).toMatch(/\.$/);
      expect(operation.responses.default).toBeDefined();
      expect(Object.keys(operation.responses).some((status) => /^2/.test(status))).toBe(true);
    }
    expect(document.paths['/v1/connectors/{ref}'].get.parameters[0]).toMatchObject({
      name: 'ref',
      in: 'path',
      required: true,
    });
    expect(document.paths['/v1/connectors'].get.parameters).toContainEqual(
      expect.objectContaining({
        name: 'limit',
        required: false,
        schema: expect.objectContaining({ type: 'integer', minimum: 1, maximum: 100, default: 20 }),
      }),
    );
    expect(document.paths['/v1/whoami'].get.security).toBeUndefined();
    expect(document.paths['/v1/openapi.json'].get.security).toEqual([]);
    await api.server.close();
  });
});
