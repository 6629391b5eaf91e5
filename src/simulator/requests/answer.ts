/**
 * One API request from arrival to answer, without HTTP: who asks, within which budget, with which fault, allowed or not. The
 * server only carries the outcome to the wire.
 *
 * In order: key, clock, rate limits, fault, roles, handler. A request that is refused for its rate never takes effect. One
 * that takes effect later does so as if it came then; its caller has been told something else, or nothing.
 */
import { mayCall } from '../access.ts';
import { rolesOf } from '../api/roles.ts';
import { type ApiAnswer, ApiError, badParameter, type Route, tooMany } from '../api/route.ts';
import type { Org } from '../org.ts';
import { effectOf, type RequestFault } from './faults.ts';
import { bodyFacts } from './log.ts';
import { appliedWrite, writeSubject } from './write-facts.ts';
import type { OpenWrite } from './write-log.ts';

export interface Incoming {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  /** As it came; empty without a body. */
  readonly text: string;
  /** Path and query, not decoded. */
  readonly url: string;
  readonly nowMs: number;
  /** The pod that handles it. */
  readonly pod: string;
}

export interface Outcome {
  readonly answer: ApiAnswer;
  readonly headers: Readonly<Record<string, string>>;
  /** What goes wrong with the answer. */
  readonly fault: RequestFault | null;
  /** The write, for as long as its caller waits; null for a read, and for what goes on without its caller. */
  readonly write: OpenWrite | null;
}

/** Answers a request with a known key. */
export function answerRequest(org: Org, incoming: Incoming): Outcome {
  const { route, url, nowMs, query, text } = incoming;
  const path = url.split('?')[0] as string;
  org.settle(nowMs);
  const refused = org.limits.take(nowMs, route.isSearch === true);
  const fault = refused === null ? org.requestFaults.next(route.method, path) : null;
  const body = json(text);
  const effect = refused === null ? effectOf(fault) : 'never';
  const runs = effect === 'now';
  const subject = writeSubject(org, route, incoming.params, body);
  const write = subject === null ? null : org.writes.arrive(subject, nowMs);
  const computed = refused !== null ? tooMany().toAnswer() : runs ? handle(org, incoming, body, path) : null;
  if (write !== null && computed !== null)
    recordWrite(org, { write, answer: computed, body, nowMs, fault, late: false });
  if (effect === 'later' && fault !== null) {
    org.later(nowMs + fault.laterMs, (thenMs) => {
      const answer = handle(org, { ...incoming, nowMs: thenMs }, body, path);
      if (write !== null) recordWrite(org, { write, answer, body, nowMs: thenMs, fault, late: true });
      write?.end();
    });
  }
  const answer = fault?.kind === 'status' || computed === null ? faultAnswer(fault) : computed;
  org.requests.add({
    atMs: nowMs,
    method: route.method,
    path,
    query,
    ...bodyFacts(text, body),
    status: computed?.status ?? null,
    answeredId: idOf(computed?.body),
    fault: fault?.kind ?? null,
    tookEffect: runs && (computed?.status ?? 500) < 400,
  });
  // What comes slowly does arrive, and an answer of a status is an answer.
  const arrived = fault === null || fault.kind === 'slow' || fault.kind === 'status';
  org.answered({ atMs: nowMs, method: route.method, path, query, status: answer.status, body: answer.body, arrived });
  const headers = org.limits.headers(nowMs, answer.status);
  const retryAfterS = fault?.kind === 'status' ? fault.retryAfterS : null;
  return {
    answer,
    headers: retryAfterS === null ? headers : { ...headers, 'retry-after': String(retryAfterS) },
    fault,
    write: effect === 'later' ? null : write,
  };
}

interface Written {
  readonly write: OpenWrite;
  readonly answer: ApiAnswer;
  readonly body: unknown;
  readonly nowMs: number;
  readonly fault: RequestFault | null;
  readonly late: boolean;
}

/** What was refused is no write. */
function recordWrite(org: Org, { write, answer, body, nowMs, fault, late }: Written): void {
  if (answer.status >= 400) return;
  const facts = appliedWrite(answer, body);
  org.writes.add({ atMs: nowMs, ...write.subject, ...facts, late, fault: fault?.kind ?? null });
}

/** Why a key is refused; null when it is not. */
export function keyRefusal(org: Org, pod: string, nowMs: number): ApiError | null {
  const { access } = org;
  if (access.pod !== pod) {
    const text = `Auth token associated with pod ${access.pod} but request is being handled by ${pod}`;
    return new ApiError(401, 'unauthorized', text);
  }
  if (access.expiresAtMs !== null && nowMs >= access.expiresAtMs) {
    return new ApiError(401, 'unauthorized', 'Expired token');
  }
  return null;
}

const NOT_JSON = Symbol('not JSON');

function json(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return NOT_JSON;
  }
}

function handle(org: Org, incoming: Incoming, body: unknown, path: string): ApiAnswer {
  const { route, params, query, url, nowMs } = incoming;
  try {
    if (!mayCall(org.access.roles, rolesOf(route, params))) {
      const status = org.behaviour.missingRoleStatus;
      throw new ApiError(status, status === 403 ? 'forbidden' : 'unauthorized', 'Missing required role');
    }
    if (body === NOT_JSON) throw badParameter('Body is not valid JSON', 'body');
    checkCustom(org, body);
    const writes = route.method === 'PUT' || route.method === 'PATCH';
    if (writes && !org.limits.takeWrite(path, nowMs)) throw tooMany();
    return route.handle({ org, params, query, body, url, nowMs });
  } catch (error) {
    if (error instanceof ApiError) return error.toAnswer();
    throw error;
  }
}

/** Custom attributes must be defined before they can be written. */
function checkCustom(org: Org, body: unknown): void {
  const { definedCustom } = org.behaviour;
  const custom = (body as { custom?: unknown } | null | undefined)?.custom;
  if (definedCustom === null || typeof custom !== 'object' || custom === null) return;
  const unknown = Object.keys(custom).find((name) => !definedCustom.includes(name));
  if (unknown !== undefined) throw badParameter('Additional properties not allowed', `custom.${unknown}`);
}

function faultAnswer(fault: RequestFault | null): ApiAnswer {
  const status = fault?.kind === 'status' ? fault.status : 504;
  if (status === 429) return tooMany().toAnswer();
  return new ApiError(status, status < 500 ? 'bad_request' : 'internal', TITLES[status] ?? 'Error').toAnswer();
}

const TITLES: Readonly<Record<number, string>> = {
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

function idOf(body: unknown): string | null {
  const id = (body as { data?: { id?: unknown } } | undefined)?.data?.id;
  return typeof id === 'string' ? id : null;
}
