/**
 * A stream of server-sent events that outlives its connections.
 *
 * F1 After each loss it goes on behind the last event handed over, or behind the place the API has told since without one:
 *    nothing is left out.
 * F2 An event that comes again is not handed over again; what was seen is remembered up to a bound.
 * F3 Waits between connections grow up to a bound and begin anew once something arrived.
 * F4 What the API refuses for good (a token, a cursor, a filter) ends it; what passes does not.
 */
import { CliError, toCliError } from '../errors.ts';
import { apiError } from './api-error.ts';
import { backoffMs } from './retry.ts';
import { type SseEvent, SseParser } from './sse.ts';

export interface FollowOptions {
  /** A connection that begins behind that place; null = none is known, so wherever the caller wants to begin. */
  readonly open: (lastEventId: string | null) => Promise<AsyncIterable<Uint8Array>>;
  /** False: the end of the stream is the end. */
  readonly forever: boolean;
  readonly endpoint: string;
  readonly signal: AbortSignal;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly random: () => number;
  readonly note: (text: string) => void;
}

export interface Followed {
  readonly id: string;
  readonly value: Record<string, unknown>;
}

export const LONGEST_WAIT_MS = 30_000;
const REMEMBERED = 2_000;

export async function* follow(options: FollowOptions): AsyncGenerator<Followed> {
  const { open, forever, signal, random, note } = options;
  const seen = new Set<string>();
  let lastId: string | null = null;
  let connected = false;
  let failures = 0;
  for (;;) {
    let lost = 'the stream ended';
    let askedMs = 0;
    try {
      const body = await open(lastId);
      if (connected && failures > 0) note('connected again');
      connected = true;
      const parser = new SseParser();
      const decoder = new TextDecoder();
      for await (const chunk of body) {
        for (const event of parser.push(decoder.decode(chunk, { stream: true }))) {
          failures = 0;
          const value = objectOf(event, options.endpoint);
          const id = typeof value['id'] === 'string' ? value['id'] : event.id;
          if (!seen.has(id)) yield { id, value };
          remember(seen, id);
          lastId = event.id || lastId;
        }
        // Behind the last event there may be frames that only move the place on.
        lastId = parser.lastId || lastId;
      }
      askedMs = parser.retryMs ?? 0;
      if (!forever) return;
    } catch (thrown) {
      if (signal.aborted) return;
      const error = streamError(thrown);
      if (!connected || isFinal(error)) throw error;
      lost = error.message;
    }
    if (signal.aborted) return;
    failures++;
    const waitMs = Math.max(backoffMs(failures, random(), LONGEST_WAIT_MS), Math.min(askedMs, LONGEST_WAIT_MS));
    note(`${lost}; connecting again in ${(waitMs / 1000).toFixed(1)} s, nothing is lost`);
    await options.sleep(waitMs, signal);
    if (signal.aborted) return;
  }
}

function objectOf(event: SseEvent, endpoint: string): Record<string, unknown> {
  const value = parsed(event.data);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CliError('stream_unreadable', 'the stream sent something that is no event');
  }
  // A server that has begun to answer can say what went wrong only within the stream.
  if (event.type === 'error')
    throw apiError({ status: statusOf(value), body: value, requestId: null, endpoint, path: '/stream' });
  return value as Record<string, unknown>;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function statusOf(value: object): number {
  const type = 'error' in value ? (value.error as { type?: unknown } | null)?.type : undefined;
  return typeof type === 'string' ? (STATUS_OF_TYPE[type] ?? 503) : 503;
}

const STATUS_OF_TYPE: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  permission_error: 403,
  not_found_error: 404,
  validation_error: 422,
  rate_limit_error: 429,
};

/** A connection that breaks in the middle is the ordinary case here, not a fault of ours. */
function streamError(thrown: unknown): CliError {
  if (thrown instanceof CliError) return thrown;
  if (thrown instanceof RangeError) return new CliError('stream_unreadable', thrown.message);
  const isOurs =
    !(thrown instanceof Error && 'code' in thrown) && !(thrown instanceof TypeError && thrown.message === 'terminated');
  return isOurs ? toCliError(thrown) : new CliError('stream_lost', 'the connection broke', { status: 503 });
}

const FINAL_CODES: ReadonlySet<string> = new Set(['stream_unreadable', 'interrupted']);

function isFinal({ code, status }: CliError): boolean {
  if (FINAL_CODES.has(code)) return true;
  if (code === 'internal' && status === null) return true;
  return status !== null && status >= 400 && status < 500 && status !== 429 && status !== 408 && status !== 409;
}

function remember(seen: Set<string>, id: string): void {
  if (id === '') return;
  seen.add(id);
  if (seen.size <= REMEMBERED) return;
  const [oldest] = seen;
  if (oldest !== undefined) seen.delete(oldest);
}
