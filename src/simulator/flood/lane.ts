/**
 * The HTTP connections to one origin: one request at a time on each, kept alive. undici's clients are used one by one
 * rather than as a pool, so that the time a request is written is known: a pool would queue it out of sight.
 */
import { Client } from 'undici';
import { Fifo } from '../fifo.ts';

export interface Request {
  readonly path: string;
  readonly headers: readonly string[];
  readonly body: Buffer;
  /** A connection is free for it: it is written now. */
  writing(): void;
  /** Exactly once, also without `writing` when the lane closes first. `status` 0 = no answer. */
  answered(status: number, retryAfter: string | null, error: string | null): void;
}

export interface LaneOptions {
  readonly origin: string;
  readonly connections: number;
  readonly answerTimeoutMs: number;
}

const CONNECT_TIMEOUT_MS = 3000;
const KEEP_ALIVE_MS = 4000;

export class Lane {
  readonly #clients: readonly Client[];
  readonly #free: Client[];
  /** Bounded by the flood's `maxInFlight`. */
  readonly #waiting = new Fifo<Request>();
  #closed = false;

  constructor(options: LaneOptions) {
    this.#clients = Array.from(
      { length: options.connections },
      () =>
        new Client(options.origin, {
          pipelining: 1,
          headersTimeout: options.answerTimeoutMs,
          bodyTimeout: options.answerTimeoutMs,
          keepAliveTimeout: KEEP_ALIVE_MS,
          connect: { timeout: Math.min(CONNECT_TIMEOUT_MS, options.answerTimeoutMs) },
        }),
    );
    this.#free = [...this.#clients];
  }

  /** Sends it, or keeps it until a connection is free. */
  submit(request: Request): void {
    const client = this.#free.pop();
    if (this.#closed) request.answered(0, null, 'closed');
    else if (client === undefined) this.#waiting.push(request);
    else this.#dispatch(client, request);
  }

  /** Ends what waits and what is under way with the error `closed` or undici's own. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const request of this.#waiting.clear()) request.answered(0, null, 'closed');
    await Promise.all(this.#clients.map((client) => client.destroy()));
  }

  #dispatch(client: Client, request: Request): void {
    let status = 0;
    let retryAfter: string | null = null;
    const finish = (error: string | null): void => {
      // After an error undici is still tidying the client up, and must not be given the next request meanwhile.
      if (error === null) this.#release(client);
      else setImmediate(() => this.#release(client));
      request.answered(error === null ? status : 0, retryAfter, error);
    };
    request.writing();
    client.dispatch(
      { method: 'POST', path: request.path, headers: request.headers as string[], body: request.body },
      {
        onRequestStart: () => {},
        onResponseStart: (_controller, statusCode, headers) => {
          status = statusCode;
          const value = headers['retry-after'];
          retryAfter = typeof value === 'string' ? value : null;
        },
        onResponseData: () => {},
        onResponseEnd: () => finish(null),
        onResponseError: (_controller, error) => finish(errorName(error)),
      },
    );
  }

  #release(client: Client): void {
    if (this.#closed) return;
    // The next in line goes first: it has waited longer than whatever the answer leads to.
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(client);
    else this.#dispatch(client, next);
  }
}

/** A short stable name: the message may hold addresses that differ from run to run. */
function errorName(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return typeof code === 'string' ? code : typeof name === 'string' ? name : 'error';
}
