/** Calls to the control API: each with a deadline, retried where that is safe, and failing as a CliError. */
import type { Readable } from 'node:stream';
import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import type { Clock } from '../../base/clock.ts';
import type { Secret } from '../../base/secret.ts';
import { CliError, interrupted } from '../errors.ts';
import { apiError, foreignAnswer } from './api-error.ts';
import { isLoopback } from './endpoint.ts';
import { parseRetryAfter, retryWaitMs } from './retry.ts';
import { noteSlowness, tooSlow, unreachable } from './silence.ts';

export type Query = Readonly<Record<string, string | number | boolean | undefined | null>>;
export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

export interface CallOptions {
  readonly query?: Query;
  readonly body?: unknown;
  /** Beyond the client's own, for an answer that is known to take longer. */
  readonly timeoutMs?: number;
}

export interface ApiClient {
  readonly endpoint: string;
  get<T>(path: string, query?: Query): Promise<T>;
  call<T>(method: Method, path: string, options?: CallOptions): Promise<T>;
  /** An open stream of bytes; its reader ends it. Not retried here. */
  stream(path: string, query: Query, lastEventId: string | null): Promise<OpenStream>;
  close(): Promise<void>;
}

export interface OpenStream {
  readonly body: Readable;
  /** What the API's clock showed when it began; null where it does not say. */
  readonly openedAtMs: number | null;
}

export interface ClientOptions {
  readonly endpoint: string;
  readonly token: Secret | null;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly random: () => number;
  readonly newKey: () => string;
  /** A wait that a person would wonder about. */
  readonly note: (text: string) => void;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Streams send keep-alives; a silence this long is a dead connection. */
export const STREAM_IDLE_MS = 60_000;
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;
const USER_AGENT = 'fibric-cli';

export function createClient(options: ClientOptions): ApiClient {
  const { endpoint, token, signal, clock } = options;
  const dispatcher = createDispatcher(endpoint);
  const url = (path: string, query: Query = {}): string => `${endpoint}/v1${path}${queryText(query)}`;
  const headers = (extra: Record<string, string>): Record<string, string> => ({
    accept: 'application/json',
    'user-agent': USER_AGENT,
    ...(token !== null && { authorization: `Bearer ${token.reveal()}` }),
    ...extra,
  });

  const call = async <T>(method: Method, path: string, given: CallOptions = {}): Promise<T> => {
    const deadlineMs = clock.nowMs() + (given.timeoutMs ?? options.timeoutMs);
    const idempotencyKey = method === 'POST' ? options.newKey() : null;
    const wondering = noteSlowness(options.note, endpoint);
    try {
      for (let attempts = 1; ; attempts++) {
        const msLeft = () => deadlineMs - clock.nowMs();
        const answer = await attempt(method, path, url(path, given.query), {
          body: given.body === undefined ? null : JSON.stringify(given.body),
          headers: headers({
            ...(given.body !== undefined && { 'content-type': 'application/json' }),
            ...(idempotencyKey !== null && { 'idempotency-key': idempotencyKey }),
          }),
          timeoutMs: Math.max(1, msLeft()),
        });
        if (answer.error === null) return answer.body as T;
        if (signal.aborted) throw interrupted();
        const { error, retryAfter } = answer;
        const waitMs = retryWaitMs({
          method,
          hasIdempotencyKey: idempotencyKey !== null,
          attempts,
          error,
          retryAfterMs: parseRetryAfter(retryAfter, clock.nowMs()),
          msLeft: msLeft(),
          random: options.random(),
        });
        if (waitMs === null) throw error;
        if (waitMs >= 1000) options.note(`${error.message}; trying again in ${Math.ceil(waitMs / 1000)} s`);
        await clock.sleep(waitMs, signal);
        if (signal.aborted) throw interrupted();
      }
    } finally {
      wondering();
    }
  };

  interface Sent {
    readonly body: string | null;
    readonly headers: Record<string, string>;
    readonly timeoutMs: number;
  }
  type Answer =
    | { readonly error: null; readonly body: unknown }
    | { readonly error: CliError; readonly retryAfter: string | null };

  const attempt = async (method: Method, path: string, address: string, sent: Sent): Promise<Answer> => {
    const timeout = AbortSignal.timeout(sent.timeoutMs);
    try {
      const response = await request(address, {
        method,
        headers: sent.headers,
        body: sent.body,
        dispatcher,
        signal: AbortSignal.any([signal, timeout]),
      });
      const text = await readBounded(response.body, MAX_ANSWER_BYTES);
      const { statusCode: status } = response;
      const requestId = headerOf(response.headers, 'x-request-id');
      const body = parseJson(text);
      if (status >= 200 && status < 300 && (body !== undefined || text === '')) return { error: null, body };
      const error =
        status >= 400
          ? apiError({ status, body, requestId, endpoint, path })
          : foreignAnswer(status, requestId, endpoint);
      return { error, retryAfter: headerOf(response.headers, 'retry-after') };
    } catch (error) {
      if (signal.aborted) throw interrupted();
      return {
        error: timeout.aborted ? tooSlow(endpoint, sent.timeoutMs, method) : unreachable(endpoint, error),
        retryAfter: null,
      };
    }
  };

  return {
    endpoint,
    get: (path, query) => call('GET', path, query === undefined ? {} : { query }),
    call,
    stream: async (path, query, lastEventId) => {
      const opening = AbortSignal.timeout(options.timeoutMs);
      const stop = new AbortController();
      const onAbort = (): void => stop.abort();
      opening.addEventListener('abort', onAbort);
      try {
        const response = await request(url(path, query), {
          method: 'GET',
          headers: headers({
            accept: 'text/event-stream',
            ...(lastEventId !== null && lastEventId !== '' && { 'last-event-id': lastEventId }),
          }),
          dispatcher,
          bodyTimeout: STREAM_IDLE_MS,
          signal: AbortSignal.any([signal, stop.signal]),
        });
        const { statusCode: status } = response;
        const requestId = headerOf(response.headers, 'x-request-id');
        const isStream = headerOf(response.headers, 'content-type')?.startsWith('text/event-stream') === true;
        if (status === 200 && isStream) {
          const openedAtMs = Date.parse(headerOf(response.headers, 'date') ?? '');
          return { body: response.body, openedAtMs: Number.isNaN(openedAtMs) ? null : openedAtMs };
        }
        const body = parseJson(await readBounded(response.body, MAX_ANSWER_BYTES));
        throw status >= 400
          ? apiError({ status, body, requestId, endpoint, path })
          : foreignAnswer(status, requestId, endpoint);
      } catch (error) {
        if (error instanceof CliError) throw error;
        if (signal.aborted) throw interrupted();
        throw opening.aborted ? tooSlow(endpoint, options.timeoutMs, 'GET') : unreachable(endpoint, error);
      } finally {
        opening.removeEventListener('abort', onAbort);
      }
    },
    close: () => dispatcher.destroy(),
  };
}

/** The proxy of the environment, but never for this machine: a token for a service here has no business elsewhere. */
function createDispatcher(endpoint: string): Dispatcher {
  const connect = { timeout: CONNECT_TIMEOUT_MS };
  return isLoopback(endpoint) ? new Agent({ connect }) : new EnvHttpProxyAgent({ connect });
}

function queryText(query: Query): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined || value === null ? [] : [[name, String(value)] as [string, string]],
  );
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}

async function readBounded(body: Readable, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error(`an answer of more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function headerOf(headers: Readonly<Record<string, string | string[] | undefined>>, name: string): string | null {
  const value = headers[name];
  return typeof value === 'string' ? value : (value?.[0] ?? null);
}
