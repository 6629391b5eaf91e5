/**
 * One HTTP exchange over a pool of connections to one origin, with a deadline on every phase.
 *
 * X1 `sent: false` is said only when undici never began to write the request. It tells us before the first byte
 *    (`onRequestStart`) and does not write when we refuse there, so a request given up while it waited for a connection
 *    is never sent later.
 * X2 Every exchange ends within `totalMs`, whatever the server does; so does every phase within its own deadline.
 * X3 No more than `maxBytes` of a body are held.
 * X4 Nothing is repeated and no redirect is followed here.
 */
import { type Dispatcher, Pool } from 'undici';
import type { AnswerHeaders } from '../budget/rate-headers.ts';
import type { WireResult } from './classify.ts';

export interface Timeouts {
  /** Until a connection is there and takes the request. */
  readonly connectMs: number;
  /** From then to the answer's headers. */
  readonly headersMs: number;
  /** Between two pieces of the body. */
  readonly bodyMs: number;
  readonly totalMs: number;
}

export const DEFAULT_TIMEOUTS: Timeouts = { connectMs: 5000, headersMs: 20_000, bodyMs: 10_000, totalMs: 40_000 };

export interface Exchange {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
  readonly signal?: AbortSignal | undefined;
  /** Asked right before the first byte; false keeps all of them back. */
  readonly maySend?: (() => boolean) | undefined;
}

export interface Transport {
  exchange(exchange: Exchange): Promise<WireResult>;
  close(): Promise<void>;
}

export interface TransportOptions {
  readonly origin: string;
  readonly timeouts: Timeouts;
  readonly maxBytes: number;
  readonly connections: number;
}

export function createTransport({ origin, timeouts, maxBytes, connections }: TransportOptions): Transport {
  const pool = new Pool(origin, {
    connections,
    pipelining: 1,
    connect: { timeout: timeouts.connectMs },
    // Ours are exact; undici's count in whole seconds.
    headersTimeout: 0,
    bodyTimeout: 0,
    // Shorter than any proxy's, so that a kept connection is seldom one the other side is closing.
    keepAliveTimeout: 4000,
    keepAliveMaxTimeout: 30_000,
  });
  return {
    exchange: (exchange) => new Promise((resolve) => start(pool, exchange, timeouts, maxBytes, resolve)),
    close: () => pool.destroy(),
  };
}

function start(
  pool: Pool,
  { method, path, headers, body, signal, maySend }: Exchange,
  timeouts: Timeouts,
  maxBytes: number,
  resolve: (result: WireResult) => void,
): void {
  let controller: Dispatcher.DispatchController | null = null;
  let head: { readonly status: number; readonly headers: AnswerHeaders } | null = null;
  const chunks: Buffer[] = [];
  let bytes = 0;
  let done = false;
  let phase: NodeJS.Timeout | undefined;

  const finish = (result: WireResult): void => {
    if (done) return;
    done = true;
    clearTimeout(phase);
    clearTimeout(total);
    signal?.removeEventListener('abort', aborted);
    resolve(result);
  };
  const giveUp = (reason: string): void => {
    if (done) return;
    finish(
      head === null
        ? { answer: 'none', sent: controller !== null, reason }
        : { answer: 'partial', ...head, body: Buffer.concat(chunks), reason },
    );
    controller?.abort(new Error(reason));
  };
  const within = (ms: number, reason: string): void => {
    clearTimeout(phase);
    phase = setTimeout(() => giveUp(`${reason} within ${ms} ms`), ms);
  };
  const aborted = (): void => giveUp('the caller gave up');

  const total = setTimeout(() => giveUp(`not done within ${timeouts.totalMs} ms`), timeouts.totalMs);
  within(timeouts.connectMs, 'no connection');
  signal?.addEventListener('abort', aborted, { once: true });
  if (signal?.aborted) {
    aborted();
    return;
  }

  const handler: Dispatcher.DispatchHandler = {
    onRequestStart: (begun) => {
      // Given up while it waited: refusing here keeps every byte of it back (X1).
      if (!done && maySend?.() === false) giveUp('too late to send it');
      if (done) return begun.abort(new Error('given up'));
      controller = begun;
      within(timeouts.headersMs, 'no answer');
    },
    onResponseStart: (_begun, status, answerHeaders) => {
      // 1xx is no answer yet.
      if (status < 200) return;
      head = { status, headers: answerHeaders };
      const declared = Number(answerHeaders['content-length'] ?? 0);
      if (declared > maxBytes) return giveUp(`more than ${maxBytes} bytes`);
      within(timeouts.bodyMs, 'nothing more of the body');
    },
    onResponseData: (_begun, chunk) => {
      bytes += chunk.length;
      if (bytes > maxBytes) return giveUp(`more than ${maxBytes} bytes`);
      chunks.push(chunk);
      within(timeouts.bodyMs, 'nothing more of the body');
    },
    onResponseEnd: () => {
      if (head !== null) finish({ answer: 'whole', ...head, body: Buffer.concat(chunks) });
      else giveUp('the answer ended before it began');
    },
    onResponseError: (_begun, error) => giveUp(reasonOf(error)),
  };
  try {
    pool.dispatch({ method, path, headers: { ...headers }, body }, handler);
  } catch (error) {
    giveUp(reasonOf(error));
  }
}

/** A code where there is one; never the error's own text, which may quote what was sent. */
function reasonOf(error: unknown): string {
  const { code, name, cause } = error as { code?: unknown; name?: unknown; cause?: { code?: unknown } };
  if (typeof code === 'string') return code;
  if (typeof cause?.code === 'string') return cause.code;
  return typeof name === 'string' ? name : 'unknown failure';
}
