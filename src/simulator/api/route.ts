/**
 * What a resource file declares: routes as data, handlers as functions from a request to an answer. The server turns
 * them into HTTP; a new resource is a file here and a line in `routes.ts`.
 */
import type { z } from 'zod';
import type { Actor } from '../model/conversation.ts';
import type { Resource } from '../model/resource.ts';
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
