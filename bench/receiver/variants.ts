/** The servers receiver-http.ts compares. Each takes the same signed webhooks; none has a broker behind it. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import fastify from 'fastify';
import { pino } from 'pino';
import { Secret } from '../../src/base/secret.ts';
import { CONNECTION_SETTINGS, type ConnectionWithTokens } from '../../src/fibric/connection.ts';
import type { RawAppender } from '../../src/ingest/ports.ts';
import { createReceiver, RECEIVER_DEFAULTS } from '../../src/ingest/receiver.ts';
import { decideBody, prepareConnection } from '../../src/ingest/webhook-decision.ts';
import { createWebhookHandler } from '../../src/ingest/webhook-handler.ts';
import { WEBHOOK_PATH } from '../../src/ingest/webhook-path.ts';

export const TOKEN = 'bench-token';
export const CONNECTION: ConnectionWithTokens = {
  connectionId: 'cn_bench',
  tenantId: 't_bench',
  resellerId: null,
  workspaceId: null,
  name: 'bench',
  subdomain: 'acme',
  orgId: '5a8f1c2e9b1d4e0012ab34cd',
  apiBaseUrl: null,
  hasApiKey: false,
  startedAtMs: 0,
  webhookId: null,
  previousWebhookId: null,
  settings: CONNECTION_SETTINGS,
  webhookTokens: [new Secret(TOKEN)],
  apiKey: null,
};

const connections = { get: (id: string) => (id === CONNECTION.connectionId ? CONNECTION : undefined) };

/** Acknowledges all that waits together, in a turn of its own, as answers of a broker come; at once would be no model. */
function createAppender(): RawAppender {
  let waiting: (() => void)[] = [];
  const acknowledge = () => {
    const all = waiting;
    waiting = [];
    for (const resolve of all) resolve();
  };
  return {
    append: () =>
      new Promise((resolve) => {
        if (waiting.push(resolve) === 1) setImmediate(acknowledge);
      }),
  };
}

const appender = createAppender();
const logger = pino({ level: 'silent' });
const handlerOptions = {
  ...RECEIVER_DEFAULTS,
  topic: 'raw',
  connections,
  appender,
  logger,
  nowMs: Date.now,
};

/** The ceiling: verifies the HMAC, answers 200, and does nothing else. */
function bare(): Server {
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const given = Buffer.from(String(request.headers['x-kustomer-webhook-signature'] ?? ''), 'hex');
      const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      const wanted = createHmac('sha256', TOKEN).update(body).digest();
      response.statusCode = given.length === wanted.length && timingSafeEqual(given, wanted) ? 200 : 401;
      response.end();
    });
  });
}

/** The receiver as it would be written with Fastify alone: its router, its body parser, its reply. */
async function fastifyRoute(): Promise<Server> {
  const app = fastify({ logger: false });
  const prepared = prepareConnection(CONNECTION);
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.post<{ Params: { connection: string } }>(`${WEBHOOK_PATH}:connection`, async (request, reply) => {
    const decision = decideBody({
      topic: 'raw',
      connection: prepared,
      body: request.body as Buffer,
      signature: request.headers['x-kustomer-webhook-signature'] as string,
      traceparent: undefined,
      receivedAtMs: Date.now(),
    });
    if (decision.kind === 'refuse') return reply.code(decision.status).send();
    await appender.append(decision.record, prepared.tenantId);
    return reply.code(200).send();
  });
  await app.ready();
  return app.server;
}

/** Fastify's router in front of our own handler. */
async function fastifyHijack(): Promise<Server> {
  const app = fastify({ logger: false });
  const handler = createWebhookHandler(handlerOptions);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.post<{ Params: { connection: string } }>(`${WEBHOOK_PATH}:connection`, (request, reply) => {
    reply.hijack();
    handler.handle(request.raw, reply.raw, request.params.connection);
  });
  await app.ready();
  return app.server;
}

async function receiver(): Promise<Server> {
  const { app } = createReceiver(handlerOptions);
  await app.ready();
  return app.server;
}

export const VARIANTS: Readonly<Record<string, () => Server | Promise<Server>>> = {
  bare,
  receiver,
  'fastify-hijack': fastifyHijack,
  'fastify-route': fastifyRoute,
};
