/**
 * How a route is declared. A declaration is data: the Fastify route, the OpenAPI document and the reference page are made
 * from it, so none of them can say what another does not.
 */
import type { Readable } from 'node:stream';
import type { z } from 'zod';
import type { AdminCaller, Scope, TenantCaller } from './caller.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** Routes of one class share a tenant's rate. */
export const RATE_CLASSES = ['read', 'write', 'stream'] as const;
export type RateClass = (typeof RATE_CLASSES)[number];

type Fields = z.ZodObject;
type Shape<T> = T extends z.ZodType ? z.output<T> : Record<never, never>;

/** What a handler gets: everything checked. `caller` is the only source of tenancy. */
export interface RouteRequest<C, P, Q, B> {
  readonly caller: C;
  readonly params: Shape<P>;
  readonly query: Shape<Q>;
  readonly body: Shape<B>;
  /** `req_…` */
  readonly requestId: string;
  readonly nowMs: number;
  /** Aborts when the client has gone, the route's time is over, or the service stops. */
  readonly signal: AbortSignal;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

export interface JsonAnswer<T> {
  /** Default 200; must be one of the route's `response`. */
  readonly status?: number;
  readonly body: T;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Server-sent events and the like: what the stream gives goes out as it is. The server destroys it when the client goes. */
export interface StreamAnswer {
  readonly stream: Readable;
  readonly contentType: string;
}

type Responses = Readonly<Record<number, z.ZodType>>;
type BodyOf<R extends Responses> = z.input<R[keyof R]>;

interface RouteCommon<P, Q, B, R> {
  /** `operationId` of the OpenAPI document: camelCase, unique. */
  readonly id: string;
  readonly method: Method;
  /** With `:name` for what `params` describes. */
  readonly url: string;
  readonly summary: string;
  /** The section it stands in. */
  readonly tag: string;
  /** What does not fit is answered 404, as a missing thing is. */
  readonly params?: P;
  /** Strict: an unknown parameter is refused. Values arrive as text; see `query.ts`. */
  readonly query?: Q;
  /** Strict: an unknown field is refused by name. A route without one takes no body. */
  readonly body?: B;
  /** By status. */
  readonly response: R;
  /** Default: `read` for GET, else `write`. */
  readonly rateClass?: RateClass;
  /**
   * For a POST that changes something: a repeated Idempotency-Key gets the stored answer. Fields of the answer named in
   * `secretFields` are not stored; a repetition has null there.
   */
  readonly idempotent?: { readonly secretFields?: readonly string[] };
  /** Longest time for an answer; a stream has none. Default 30 s. */
  readonly timeoutMs?: number;
  /** Media type where the answer is a stream. */
  readonly streams?: string;
}

type Handler<C, P, Q, B, R extends Responses> = (
  request: RouteRequest<C, P, Q, B>,
) => Promise<JsonAnswer<BodyOf<R>> | StreamAnswer>;

export interface TenantRoute<P, Q, B, R extends Responses> extends RouteCommon<P, Q, B, R> {
  /** What the token must have; `any` = any token of a tenant. */
  readonly scope: Scope | 'any';
  readonly handler: Handler<TenantCaller, P, Q, B, R>;
}

export interface AdminRoute<P, Q, B, R extends Responses> extends RouteCommon<P, Q, B, R> {
  /** The platform's admin token; with a scope, also a tenant's token that has it. */
  readonly scope: 'admin' | `admin or ${Scope}`;
  readonly handler: Handler<AdminCaller | TenantCaller, P, Q, B, R>;
}

export interface PublicRoute<P, Q, B, R extends Responses> extends RouteCommon<P, Q, B, R> {
  readonly scope: 'public';
  readonly handler: Handler<null, P, Q, B, R>;
}

/** A route as everything that treats all of them alike sees it. */
export interface Route extends RouteCommon<Fields, Fields, z.ZodType, Responses> {
  readonly scope: Scope | 'any' | 'admin' | `admin or ${Scope}` | 'public';
  readonly handler: (request: RouteRequest<never, never, never, never>) => Promise<JsonAnswer<unknown> | StreamAnswer>;
}

export function defineRoute<P extends Fields, Q extends Fields, B extends z.ZodType, const R extends Responses>(
  route: TenantRoute<P, Q, B, R>,
): Route {
  return route as unknown as Route;
}

export function defineAdminRoute<P extends Fields, Q extends Fields, B extends z.ZodType, const R extends Responses>(
  route: AdminRoute<P, Q, B, R>,
): Route {
  return route as unknown as Route;
}

export function definePublicRoute<P extends Fields, Q extends Fields, B extends z.ZodType, const R extends Responses>(
  route: PublicRoute<P, Q, B, R>,
): Route {
  return route as unknown as Route;
}
