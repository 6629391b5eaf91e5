import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bodyKey, resourceKey } from '../../../src/ingest/raw-record.ts';
import { validTraceparent } from '../../../src/ingest/traceparent.ts';
import { decideBody, decideHead, prepareConnection, type RequestHead } from '../../../src/ingest/webhook-decision.ts';
import { connection, event, ORG, signature } from './fixtures.ts';

const prepared = prepareConnection(connection());
const head: RequestHead = {
  method: 'POST',
  contentType: 'application/json',
  contentEncoding: undefined,
  contentLength: '100',
};
const context = { shuttingDown: false, connection: prepared, maxBodyBytes: 1_000 };

function decide(body: Buffer, patch: Partial<Parameters<typeof decideBody>[0]> = {}) {
  return decideBody({
    topic: 'raw',
    connection: prepared,
    body,
    signature: signature(body),
    traceparent: undefined,
    receivedAtMs: 1_700_000_000_000,
    ...patch,
  });
}

describe('decideHead', () => {
  it.each([
    ['GET', { method: 'GET' }, {}, 405, 'method_not_allowed'],
    ['PUT', { method: 'PUT' }, {}, 405, 'method_not_allowed'],
    ['a method in lower case', { method: 'post' }, {}, 405, 'method_not_allowed'],
    ['shutting down', {}, { shuttingDown: true }, 503, 'shutting_down'],
    ['an unknown connection', {}, { connection: undefined }, 404, 'connection_unknown'],
    ['a connection that cannot be opened', {}, { connection: 'unreadable' as const }, 503, 'secret_unreadable'],
    ['no content type', { contentType: undefined }, {}, 415, 'media_type_unsupported'],
    ['text', { contentType: 'text/plain' }, {}, 415, 'media_type_unsupported'],
    ['a form', { contentType: 'application/x-www-form-urlencoded' }, {}, 415, 'media_type_unsupported'],
    ['what only begins like JSON', { contentType: 'application/jsonp' }, {}, 415, 'media_type_unsupported'],
    ['what only contains JSON', { contentType: 'text/html; x=application/json' }, {}, 415, 'media_type_unsupported'],
    ['a compressed body', { contentEncoding: 'gzip' }, {}, 415, 'media_type_unsupported'],
    ['a body declared too long', { contentLength: '1001' }, {}, 413, 'body_too_large'],
  ])('refuses %s', (_what, headPatch, contextPatch, status, code) => {
    expect(decideHead({ ...head, ...headPatch }, { ...context, ...contextPatch })).toMatchObject({
      kind: 'refuse',
      status,
      code,
    });
  });

  it.each([
    ['plain JSON', {}],
    ['a charset', { contentType: 'application/json; charset=utf-8' }],
    ['other case', { contentType: 'Application/JSON' }],
    ['a suffix', { contentType: 'application/vnd.api+json' }],
    ['identity encoding', { contentEncoding: 'identity' }],
    ['the longest body', { contentLength: '1000' }],
    ['no length', { contentLength: undefined }],
  ])('admits %s', (_what, patch) => {
    expect(decideHead({ ...head, ...patch }, context)).toEqual({ kind: 'admit', connection: prepared });
  });
});

describe('decideBody', () => {
  it('W3: appends the very bytes, keyed by resource, with headers of the connection and the body', () => {
    const body = event();
    const decision = decide(body, { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' });
    if (decision.kind !== 'append') return expect.unreachable();
    expect(decision.record).toMatchObject({ topic: 'raw', timestampMs: 1_700_000_000_000 });
    expect(decision.record.value).toBe(body);
    expect(decision.record.key?.toString()).toBe('65aa000000000000000000c1');
    expect(text(decision.record.headers)).toEqual({
      tenant: 't_a',
      connection: 'cn_a',
      channel: 'webhook',
      received_at: '1700000000000',
      resource_type: 'conversation',
      event_name: 'kustomer.conversation.update',
      rev: '14',
      delivery_id: '6601f0c2a1b2c3d4e5f60718',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    });
    expect(decision).toMatchObject({ malformed: false, knownName: 'kustomer.conversation.update' });
  });

  it.each([
    ['an empty body', Buffer.alloc(0), {}, 400, 'body_empty'],
    ['no signature', event(), { signature: undefined }, 401, 'signature_missing'],
    ['a wrong signature', event(), { signature: 'a'.repeat(64) }, 401, 'signature_invalid'],
    ['the signature of other bytes', event(), { signature: signature('{}') }, 401, 'signature_invalid'],
    ['another organisation', event({ org: 'f'.repeat(24) }), {}, 403, 'org_mismatch'],
  ])('refuses %s', (_what, body, patch, status, code) => {
    const decision = decide(body, patch);
    expect(decision).toMatchObject({ kind: 'refuse', status, code });
    // W4
    for (const hidden of [ORG, 't_a', 'webhook-token', 'f'.repeat(24)])
      expect(JSON.stringify(decision)).not.toContain(hidden);
  });

  it.each([
    ['malformed JSON', '{"org":"other", nope', { malformed: true, eventName: null, knownName: null }],
    ['an array', '[1]', { malformed: true }],
    [
      'an unknown name',
      event({ name: 'kustomer.note.create' }),
      { malformed: false, eventName: 'kustomer.note.create', knownName: null },
    ],
    ['no name', event({ name: undefined }), { eventName: null, knownName: null }],
    ['no organisation', event({ org: undefined }), { malformed: false }],
    ['an organisation of another type', event({ org: 5 }), { malformed: false }],
  ])('W2: appends %s', (_what, body, wanted) => {
    expect(decide(Buffer.from(body))).toMatchObject({ kind: 'append', ...wanted });
  });

  it("takes every organisation while the connection's is unknown", () => {
    const open = prepareConnection(connection({ orgId: null }));
    expect(decide(event({ org: 'f'.repeat(24) }), { connection: open }).kind).toBe('append');
  });

  it('W1, W2, W3: over any bytes, appends exactly them if and only if they are signed and of no other organisation', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ minLength: 1 }), fc.json()), fc.boolean(), (raw, signed) => {
        const body = Buffer.from(raw as string);
        const decision = decide(body, { signature: signature(signed ? body : Buffer.concat([body, body])) });
        if (!signed) {
          expect(decision).toMatchObject({ kind: 'refuse', status: 401 });
          return;
        }
        if (decision.kind === 'refuse') {
          expect(decision.code).toBe('org_mismatch');
          return;
        }
        expect(decision.record.value).toBe(body);
        expect(decision.record.key).not.toHaveLength(4);
        expect(decision.record.key?.length).toBeGreaterThan(0);
      }),
    );
  });
});

describe('record keys', () => {
  it('are the resource id, or a stable hash of one Kafka would choke on', () => {
    expect(resourceKey('65aa').toString()).toMatch(/^id:[0-9a-f]{64}$/);
    expect(resourceKey('65aa')).toEqual(resourceKey('65aa'));
    expect(resourceKey('65aa')).not.toEqual(resourceKey('65ab'));
    expect(resourceKey('é€x'.slice(0, 2))).toHaveLength(5);
    expect(resourceKey('\u{1f600}').toString()).toMatch(/^id:/);
    expect(resourceKey('x'.repeat(201)).length).toBe(67);
    expect(resourceKey('x'.repeat(200)).toString()).toBe('x'.repeat(200));
  });

  it("of bodies without a resource are the same for the same bytes, and never a resource's", () => {
    expect(bodyKey(Buffer.from('a'))).toEqual(bodyKey(Buffer.from('a')));
    expect(bodyKey(Buffer.from('a'))).not.toEqual(bodyKey(Buffer.from('b')));
    expect(bodyKey(Buffer.from('65aa'))).not.toEqual(resourceKey('65aa'));
  });

  it('carry no hint longer than a hint', () => {
    const decision = decide(event({ name: 'n'.repeat(500), id: 'i'.repeat(500) }));
    const names = decision.kind === 'append' ? Object.keys(decision.record.headers ?? {}) : [];
    expect(names).not.toContain('event_name');
    expect(names).not.toContain('delivery_id');
    expect(names).toContain('resource_type');
  });
});

it('a traceparent is kept only when a tracer could read it', () => {
  const good = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  expect(validTraceparent(good)).toBe(good);
  for (const bad of [
    undefined,
    '',
    good.toUpperCase(),
    `${good}-x`,
    `ff${good.slice(2)}`,
    good.replace(/[1-9a-f](?=.*-b7)/g, '0'),
    ` ${good}`,
  ]) {
    expect(validTraceparent(bad)).toBeUndefined();
  }
});

function text(headers: Readonly<Record<string, Buffer | string>> | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, value.toString()]));
}
