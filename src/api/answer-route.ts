/** One request of one route, from its body to its answer. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { withDeadline } from '../base/deadline.ts';
import type { Caller } from './caller.ts';
import { ApiError, notFound } from './errors.ts';
import type { Begun, Idempotency } from './idempotency.ts';
import type { JsonAnswer, Route, StreamAnswer } from './route.ts';
import { type ApiServerOptions, JSON_TYPE, tenantKey } from './server.ts';
import { refuseOtherTenancy } from './tenancy.ts';
import { checked } from './validate.ts';

type Options = Pick<ApiServerOptions, 'idempotency' | 'clock' | 'checkAnswers'> & { readonly stop: AbortSignal };

const DEFAULT_TIMEOUT_MS = 30_000;
/** For a stream to say its last when the service stops. */
export const STREAM_END_MS = 500;

export async function answerRoute(
  route: Route,
  options: Options,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { caller, startedAtMs } = request.api;
  const input = inputOf(route, request, caller);
  const first = await beginOnce(route, options.idempotency, request);
  if (first?.kind === 'repeated') {
    reply.header('x-request-id', first.requestId).header('idempotency-replayed', 'true');
    return reply.code(200).type(JSON_TYPE).send(first.body);
  }
  const gone = goneSignal(reply);
  const late = new AbortController();
  const signal = AbortSignal.any([gone, late.signal, options.stop]);
  const work = route.handler({
    ...input,
    caller,
    requestId: request.id,
    nowMs: startedAtMs,
    signal,
    headers: request.headers,
  } as never);
  try {
    const answer = await withDeadline(work, route.timeoutMs ?? DEFAULT_TIMEOUT_MS, () => {
      late.abort(); // what comes of it later is no answer any more (but see keepLater)
      throw new ApiError('deadline_exceeded', 'it was not done in time');
    });
    if ('stream' in answer) return sendStream(answer, { gone, stop: options.stop, reply });
    if (options.checkAnswers === true) checkAnswer(route, answer);
    if (first !== null) await keep(route, options.idempotency, { first, requestId: request.id, answer });
    for (const [name, value] of Object.entries(answer.headers ?? {})) reply.header(name, value);
    return reply
      .code(answer.status ?? 200)
      .type(JSON_TYPE)
      .send(JSON.stringify(answer.body));
  } catch (error) {
    if (first !== null && late.signal.aborted)
      void keepLater(route, options.idempotency, { first, requestId: request.id, work });
    else if (first !== null) await options.idempotency.release(first).catch(() => undefined);
    throw error;
  }
}

interface Keeping {
  readonly first: Extract<Begun, { kind: 'first' }>;
  readonly requestId: string;
}

/** The answer stands whether or not it could be kept: a repetition would then be done again, as without a key. */
async function keep(
  route: Route,
  idempotency: Idempotency,
  { first, requestId, answer }: Keeping & { readonly answer: JsonAnswer<unknown> },
): Promise<void> {
  const secretFields = route.idempotent?.secretFields ?? [];
  await idempotency.finish(first, { requestId, body: answer.body, secretFields }).catch(() => undefined);
}

/** Whoever asked was told that it takes too long; it may be done all the same, and is not to be done twice. */
async function keepLater(
  route: Route,
  idempotency: Idempotency,
  { work, ...keeping }: Keeping & { readonly work: Promise<JsonAnswer<unknown> | StreamAnswer> },
): Promise<void> {
  const answer = await work.catch(() => null);
  if (answer !== null && !('stream' in answer)) return keep(route, idempotency, { ...keeping, answer });
  await idempotency.release(keeping.first).catch(() => undefined);
}

function inputOf(route: Route, request: FastifyRequest, caller: Caller | null) {
  const query = refuseOtherTenancy(request.query, caller);
  const body = route.body === undefined ? request.body : refuseOtherTenancy(request.body ?? {}, caller);
  const params = route.params?.safeParse(request.params);
  // An id that cannot be one is an id that is not there.
  if (params?.success === false) throw notFound('thing');
  if (route.body === undefined && !isEmpty(body)) {
    throw new ApiError('invalid_parameter', 'this route takes no body');
  }
  if (route.query === undefined && !isEmpty(query)) {
    const [name = ''] = Object.keys(query as object);
    throw new ApiError('invalid_parameter', `${name.slice(0, 60)} is not known here: this route takes no query`);
  }
  return {
    params: params?.data ?? {},
    query: route.query === undefined ? {} : checked(route.query, query),
    body: route.body === undefined ? {} : checked(route.body, body),
  };
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0);
}

async function beginOnce(route: Route, idempotency: Idempotency, request: FastifyRequest): Promise<Begun | null> {
  const key = request.headers['idempotency-key'];
  if (route.idempotent === undefined || key === undefined) return null;
  return idempotency.begin(
    {
      scope: tenantKey(request.api.caller),
      key: String(key),
      method: request.method,
      path: request.url,
      body: request.body,
    },
    request.api.startedAtMs,
  );
}

/** Aborts when the connection closes before the answer is out. */
function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort();
  });
  return gone.signal;
}

interface StreamEnds {
  /** The client is not there any more. */
  readonly gone: AbortSignal;
  /** The service stops: the stream has heard of it, and a moment to say so. */
  readonly stop: AbortSignal;
  readonly reply: FastifyReply;
}

function sendStream({ stream, contentType }: StreamAnswer, { gone, stop, reply }: StreamEnds): FastifyReply {
  const end = (): void => void stream.destroy();
  const endSoon = (): void => void setTimeout(end, STREAM_END_MS).unref();
  if (gone.aborted) end();
  gone.addEventListener('abort', end, { once: true });
  if (stop.aborted) endSoon();
  stop.addEventListener('abort', endSoon, { once: true });
  stream.once('close', () => {
    gone.removeEventListener('abort', end);
    stop.removeEventListener('abort', endSoon);
  });
  reply.header('x-accel-buffering', 'no');
  return reply.code(200).type(contentType).send(stream);
}

function checkAnswer({ id, response }: Route, { status = 200, body }: JsonAnswer<unknown>): void {
  const schema = response[status];
  if (schema === undefined) throw new Error(`${id} declares no answer ${status}`);
  const parsed = schema.safeParse(JSON.parse(JSON.stringify(body)));
  if (!parsed.success) throw new Error(`${id}: the answer is not as declared: ${parsed.error.message}`);
}
