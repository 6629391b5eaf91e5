/**
 * Ten thousand mutated deliveries over real sockets, from a fixed seed. Whatever arrives: no crash, no 5xx but 503, and
 * every 2xx is in the log, byte for byte.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { webhookBody } from '../../../bench/receiver/body.ts';
import { CodedError } from '../../../src/base/errors.ts';
import { createReceiver, type Receiver } from '../../../src/ingest/receiver.ts';
import { waitFor } from '../../support/wait-for.ts';
import { connection, event, FakeLog, ORG, signature } from './fixtures.ts';

const SEED = 20_260_325;
const log = new FakeLog();
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
let receiver: Receiver;
let port: number;

beforeAll(async () => {
  receiver = createReceiver({
    topic: 'raw',
    connections: { get: (id) => (id === 'cn_a' ? connection() : undefined) },
    appender: log,
    logger: silent as never,
    settings: { maxBodyBytes: 4_000 },
  });
  port = (await receiver.listen({ host: '127.0.0.1', port: 0 })).port;
});

afterAll(() => receiver.close(0));

const bodies = [
  event(),
  event({ org: 'f'.repeat(24) }),
  Buffer.from(webhookBody('65aa000000000000000000c1', 14, ORG)),
  Buffer.from('{"name":"x"}'),
];
const bytes = (max: number) => fc.uint8Array({ maxLength: max }).map((array) => Buffer.from(array));
const token = fc.constantFrom(
  '"',
  '{',
  '}',
  '[',
  ':',
  ',',
  '\\',
  '\0',
  '\r\n',
  '\ud83d\ude00',
  'null',
  '1e999',
  ORG,
  `"org":"${'f'.repeat(24)}",`,
);
const splice = fc.record({
  at: fc.nat({ max: 4_096 }),
  cut: fc.nat({ max: 8 }),
  put: fc.oneof(
    bytes(4),
    token.map((text) => Buffer.from(text)),
  ),
});
type Splice = { at: number; cut: number; put: Buffer };
const splices = fc.array(splice, { maxLength: 3 });
const mutate = (original: Buffer, edits: readonly Splice[]) =>
  edits.reduce((now, { at, cut, put }) => {
    const from = at % (now.length + 1);
    return Buffer.concat([now.subarray(0, from), put, now.subarray(from + cut)]);
  }, original);

/** A header value that can be put on the wire as one line. */
const line = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
  maxLength: 80,
});
const headers = fc.record(
  {
    path: fc.oneof(
      fc.constantFrom(
        '/webhooks/kustomer/cn_a?x',
        '/webhooks/kustomer/',
        '/webhooks/kustomer/cn_b',
        '/webhooks/kustomer/%00',
        '//',
      ),
      fc.constant(undefined),
    ),
    method: fc.constantFrom('POST', 'POST', 'POST', 'PUT', 'OPTIONS', 'HEAD', 'QUERY'),
    type: fc.oneof(fc.constantFrom('application/json', 'application/json;charset=x', 'text/json', ''), line),
    traceparent: fc.oneof(line, fc.constant('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')),
    signature: fc.oneof(line, fc.constant('0'.repeat(64)), fc.constant('')),
    extra: line,
    chunked: fc.boolean(),
  },
  { requiredKeys: [] },
);

interface Delivery {
  readonly body: Buffer;
  readonly signed: Buffer;
  readonly how: Partial<{
    path: string | undefined;
    method: string;
    type: string;
    traceparent: string;
    signature: string;
    extra: string;
    chunked: boolean;
  }>;
}

const delivery: fc.Arbitrary<Delivery> = fc
  .record({
    body: fc.constantFrom(...bodies),
    edits: splices,
    signAfter: fc.boolean(),
    how: fc.oneof(fc.constant({}), headers),
  })
  .map(({ body, edits, signAfter, how }) => {
    const mutated = mutate(body, edits);
    return { body: mutated, signed: signAfter ? mutated : body, how };
  });

function onTheWire({ body, signed, how }: Delivery): Buffer {
  const chunked = Buffer.from(`${body.length.toString(16)}\r\n${body.toString('latin1')}\r\n0\r\n\r\n`, 'latin1');
  const head = [
    `${how.method ?? 'POST'} ${how.path ?? '/webhooks/kustomer/cn_a'} HTTP/1.1`,
    'Host: x',
    'Connection: close',
    `Content-Type: ${how.type ?? 'application/json'}`,
    `X-Kustomer-Webhook-Signature: ${how.signature ?? signature(signed)}`,
    ...(how.traceparent === undefined ? [] : [`Traceparent: ${how.traceparent}`]),
    ...(how.extra === undefined ? [] : [`X-Extra: ${how.extra}`]),
    how.chunked && body.length > 0 ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`,
    '',
    '',
  ].join('\r\n');
  return Buffer.concat([Buffer.from(head, 'latin1'), how.chunked && body.length > 0 ? chunked : body]);
}

/** Writes, and resolves to the status codes answered until the connection ends; ours ends first where `leave` says so. */
async function exchange(sent: Buffer, leave = false): Promise<number[]> {
  const socket: Socket = connect(port, '127.0.0.1');
  const answered: Buffer[] = [];
  socket.on('data', (chunk) => answered.push(chunk));
  socket.on('error', () => undefined);
  if (leave) socket.end(sent);
  else socket.write(sent);
  await once(socket, 'close');
  return [
    ...Buffer.concat(answered)
      .toString('latin1')
      .matchAll(/HTTP\/1\.1 (\d{3}) /g),
  ].map(([, status]) => Number(status));
}

const ALLOWED = [200, 400, 401, 403, 404, 405, 408, 413, 415, 431, 503];

it('survives 8,000 mutated bodies and headers, and stores what it says it has stored', {
  timeout: 120_000,
}, async () => {
  const seen = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(delivery, fc.integer({ min: 0, max: 19 }), async (one, luck) => {
      log.acknowledged.length = 0;
      log.next = () =>
        luck === 0
          ? Promise.reject(new CodedError('queue_full', 'full'))
          : new Promise((resolve) => setImmediate(resolve));
      const statuses = await exchange(onTheWire(one));
      expect(statuses).toHaveLength(1);
      const status = statuses[0] as number;
      seen.set(status, (seen.get(status) ?? 0) + 1);
      expect(ALLOWED).toContain(status);
      expect(log.acknowledged.map(({ value }) => value)).toEqual(status === 200 ? [one.body] : []);
      if (status === 200) expect(signature(one.body)).toBe(one.how.signature ?? signature(one.signed));
      if (log.acknowledged[0]?.key) expect(log.acknowledged[0].key).not.toHaveLength(4);
    }),
    { numRuns: 8_000, seed: SEED },
  );
  // The mutations are not all refused at the door.
  for (const status of [200, 400, 401, 403, 404, 405, 415, 503])
    expect(seen.get(status) ?? 0, String(status)).toBeGreaterThan(20);
  expect(receiver.health()).toMatchObject({ openRequests: 0, heldBytes: 0 });
});

it('survives 2,000 mutated byte streams', { timeout: 120_000 }, async () => {
  log.next = () => new Promise((resolve) => setImmediate(resolve));
  await fc.assert(
    fc.asyncProperty(delivery, splices, fc.nat({ max: 4_096 }), async (one, edits, cutAt) => {
      log.acknowledged.length = 0;
      const sent = mutate(onTheWire(one), edits).subarray(0, cutAt === 0 ? undefined : cutAt);
      const statuses = await exchange(sent, true);
      for (const status of statuses) expect(ALLOWED).toContain(status);
      expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(log.acknowledged.length);
      for (const { value } of log.acknowledged) expect(sent.includes(value as Buffer) || one.how.chunked).toBe(true);
    }),
    { numRuns: 2_000, seed: SEED },
  );
  await waitFor(() => receiver.health().openRequests === 0, { message: 'every request to be over' });
  expect(receiver.health()).toMatchObject({ openRequests: 0, heldBytes: 0 });
  log.acknowledged.length = 0;
  expect(await exchange(onTheWire({ body: event(), signed: event(), how: {} }))).toEqual([200]);
});
