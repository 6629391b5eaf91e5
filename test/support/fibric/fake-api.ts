/**
 * The control API as the tests of the command need it: answers as the contract says, on a real port, over a small world
 * that requests change. It knows faults that a real one has seldom: slowness, 503s, streams that break.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseHeaders } from './fake-http.ts';
import { routes } from './fake-routes.ts';
import { FakeStream } from './fake-stream.ts';
import { ADMIN_TOKEN, type Json, READ_ONLY_TOKEN, TOKEN } from './fixtures.ts';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Fault = (asked: Asked) => Answer | 'hang' | 'reset' | undefined;

export interface FakeApi {
  readonly endpoint: string;
  /** Every request, in order. */
  readonly asked: readonly Asked[];
  readonly events: FakeStream;
  readonly receipts: FakeStream;
  readonly world: World;
  /** Asked before every answer; what it gives is the answer. */
  fault: Fault | null;
  close(): Promise<void>;
}

/** What requests read and change. */
export interface World {
  connectors: Json[];
  policies: Json[];
  grants: { operator: string; capability: string }[];
  approvals: Json[];
  parked: Json[];
  tenants: Json[];
  tokens: Json[];
  resolved: Json[];
  /** True: whoever is blocked is so because nothing was granted. */
  ungranted: boolean;
}

export class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly problems: readonly Json[];

  constructor(status: number, code: string, message: string, problems: readonly Json[] = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.problems = problems;
  }
}

const TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  409: 'conflict_error',
  422: 'validation_error',
  429: 'rate_limit_error',
};

export function envelope(status: number, code: string, message: string, problems: readonly Json[] = []): Json {
  return {
    error: {
      type: TYPES[status] ?? 'api_error',
      code,
      message,
      doc_url: `https://docs.fibric.io/errors#${code}`,
      request_id: 'req_test0001',
      ...(problems.length > 0 && { problems }),
    },
  };
}

export async function openFakeApi(): Promise<FakeApi> {
  const asked: Asked[] = [];
  const world: World = {
    connectors: [],
    policies: [],
    grants: [],
    approvals: [],
    parked: [],
    tenants: [],
    tokens: [],
    resolved: [],
    ungranted: false,
  };
  const api: { fault: Fault | null; events: FakeStream; receipts: FakeStream } = {
    fault: null,
    events: new FakeStream(),
    receipts: new FakeStream(),
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const one = await readRequest(request);
    asked.push(one);
    const fault = api.fault?.(one);
    if (fault === 'hang') return;
    if (fault === 'reset') return void request.socket.destroy();
    if (fault !== undefined) return send(response, fault);
    try {
      if (authorize(one) && one.path.endsWith('/stream')) {
        const stream = one.path === '/v1/events/stream' ? api.events : api.receipts;
        return stream.serve(one.query, one.headers['last-event-id'], response);
      }
      send(response, routes(one, world, api));
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal(500, 'internal', String(error));
      send(response, {
        status: refusal.status,
        body: envelope(refusal.status, refusal.code, refusal.message, refusal.problems),
      });
    }
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(api, { endpoint, asked, world, close: () => closeServer(server) });
}

function authorize({ path, headers, method }: Asked): true {
  const token = headers['authorization']?.replace(/^Bearer /, '');
  if (token === undefined) throw new Refusal(401, 'key_missing', 'there is no Authorization header');
  if (token === ADMIN_TOKEN) {
    if (/^\/v1\/(?:tenants|tokens)\b/.test(path)) return true;
    throw new Refusal(403, 'insufficient_scope', 'the admin token is for tenants and their tokens only');
  }
  if (token !== TOKEN && token !== READ_ONLY_TOKEN) throw new Refusal(401, 'key_invalid', 'no such token exists');
  if (token === READ_ONLY_TOKEN && method !== 'GET') {
    throw new Refusal(403, 'insufficient_scope', `the token lacks the scope for ${method} ${path}`);
  }
  return true;
}

async function readRequest(request: IncomingMessage): Promise<Asked> {
  const url = new URL(request.url ?? '/', 'http://fake');
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  return {
    method: request.method ?? 'GET',
    path: url.pathname,
    query: Object.fromEntries(url.searchParams),
    headers: parseHeaders(request.headers),
    body: text === '' ? undefined : JSON.parse(text),
  };
}

function send(response: ServerResponse, { status, body, headers }: Answer): void {
  response.writeHead(status, {
    'x-request-id': 'req_test0001',
    'content-type': 'application/json; charset=utf-8',
    ...headers,
  });
  response.end(body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body));
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}
