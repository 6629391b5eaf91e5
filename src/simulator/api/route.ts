/**
 * What a resource file declares: routes as data, handlers as functions from a request to an answer. The server turns
 * them into HTTP; a new resource is a file here and a line in `routes.ts`.
 */
import type { z } from 'zod';
import type { Actor } from '../model/conversation.ts';
import { isDeleted } from '../model/organisation.ts';
import type { Resource } from '../model/resource.ts';
import type { Store } from '../model/store.ts';
import type { Org } from '../org.ts';

export interface ApiRequest {
  readonly org: Org;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly body: unknown;
  /** Path and query, for `links.self`. */
  readonly url: string;
  readonly nowMs: number;
}

export interface ApiAnswer {
  readonly status: number;
  /** Absent for 204. */
  readonly body?: unknown;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Fastify's form, such as `/v1/conversations/:id`. */
  readonly path: string;
  readonly handle: (request: ApiRequest) => ApiAnswer;
  /** Counts against the machine users' search limit too. */
  readonly isSearch?: true;
}

/** A refusal in the vendor's form: `{errors: [{status, source, code, title, detail}]}`. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly code: string;
  readonly parameter: string | null;

  constructor(status: number, code: string, title: string, parameter: string | null = null) {
    super(title);
    this.status = status;
    this.code = code;
    this.parameter = parameter;
  }

  toAnswer(): ApiAnswer {
    const source = this.parameter === null ? {} : { source: { parameter: this.parameter } };
    return {
      status: this.status,
      body: { errors: [{ status: this.status, ...source, code: this.code, title: this.message }] },
    };
  }
}

export function notFound(parameter = 'id'): ApiError {
  return new ApiError(404, 'notfound', 'Not Found', parameter);
}

export function badParameter(title: string, parameter: string): ApiError {
  return new ApiError(400, 'badparam', title, parameter);
}

/** The revision in an update body is the one the caller last saw. */
export function checkRevision(resource: Resource, rev: number | undefined): void {
  if (rev !== undefined && rev !== resource.rev)
    throw new ApiError(409, 'conflict', 'Optimistic locking failed', 'rev');
}

/** The body, or 400 as the vendor refuses it: unknown fields too are refused. */
export function parseBody<T extends z.ZodType>(schema: T, body: unknown): z.infer<T> {
  const result = schema.safeParse(body ?? {});
  if (result.success) return result.data;
  const issue = result.error.issues[0] as z.core.$ZodIssue;
  if (issue.code === 'unrecognized_keys') {
    throw badParameter('Additional properties not allowed', [...issue.path, issue.keys[0]].join('.'));
  }
  throw badParameter(issue.message, issue.path.join('.') || 'body');
}

/** Who an API call is: the key's machine user, through the API gateway. */
export function caller(org: Org): Actor {
  return { userId: org.machineUserId, client: 'api-gw' };
}

/** The object, or 404: a deleted one is gone for every caller. */
export function liveIn(store: Store, id: string | undefined): Resource {
  const resource = store.get(id ?? '');
  if (resource === undefined || isDeleted(resource)) throw notFound();
  return resource;
}

/** The first live object with that external id, in order of creation: duplicates are possible. */
export function byExternalId(store: Store, externalId: string | undefined): Resource {
  for (const resource of store.values()) {
    if (resource.attributes['externalId'] === externalId && !isDeleted(resource)) return resource;
  }
  throw notFound('externalId');
}

/** Notes, messages, conversations and custom objects are limited per customer; what is imported is not. */
export function countCreate({ org, nowMs }: ApiRequest, customerId: string, importedAt?: string): void {
  if (importedAt !== undefined || org.limits.takeCreate(customerId, nowMs)) return;
  throw tooMany();
}

export function tooMany(): ApiError {
  return new ApiError(429, 'ratelimit', 'Too Many Requests');
}

/** What to do with an `id` the caller chose: undefined = make one; an existing object = answer that. */
export function chosenId({ org }: ApiRequest, store: Store, id: string | undefined): string | Resource | undefined {
  if (id === undefined || org.behaviour.clientIds === 'ignored') return undefined;
  const existing = store.get(id);
  if (existing === undefined) return id;
  if (org.behaviour.repeatedId === 'existing') return existing;
  throw new ApiError(409, 'conflict', 'Duplicate id', 'id');
}
