/**
 * The one table of what the API says when it cannot do what was asked. A code never changes its meaning; clients branch on
 * it and never on the message. `docs/reference/api.md` is generated from this table.
 */

export type ApiErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'not_found_error'
  | 'conflict_error'
  | 'validation_error'
  | 'rate_limit_error'
  | 'api_error';

interface ApiErrorRow {
  readonly status: number;
  readonly type: ApiErrorType;
  readonly meaning: string;
}

export const API_ERRORS = {
  invalid_parameter: {
    status: 400,
    type: 'invalid_request_error',
    meaning: 'A parameter or field is missing, unknown or out of its range; the message and `problems` name it.',
  },
  invalid_cursor: {
    status: 400,
    type: 'invalid_request_error',
    meaning: 'The cursor is none of ours, or of a list with other filters. Begin again without a cursor.',
  },
  invalid_json: { status: 400, type: 'invalid_request_error', meaning: 'The body is not well-formed JSON.' },
  request_malformed: { status: 400, type: 'invalid_request_error', meaning: 'This is not a well-formed HTTP request.' },
  key_missing: {
    status: 401,
    type: 'authentication_error',
    meaning: 'There is no `Authorization: Bearer sk_live_…` header.',
  },
  key_invalid: { status: 401, type: 'authentication_error', meaning: 'No such token exists.' },
  key_revoked: { status: 401, type: 'authentication_error', meaning: 'The token was revoked.' },
  key_expired: { status: 401, type: 'authentication_error', meaning: 'The token has expired.' },
  insufficient_scope: {
    status: 403,
    type: 'permission_error',
    meaning: 'The token lacks the scope the message names.',
  },
  grant_missing: {
    status: 403,
    type: 'permission_error',
    meaning: 'The operator was not granted the capability on that connection.',
  },
  capability_not_exposed: {
    status: 403,
    type: 'permission_error',
    meaning: 'The connection does not expose the capability: it has no API key.',
  },
  tenant_mismatch: {
    status: 403,
    type: 'permission_error',
    meaning: 'The request names another tenant, reseller or workspace than the token is of. Leave it out.',
  },
  not_found: {
    status: 404,
    type: 'not_found_error',
    meaning: 'There is no such thing, or it is not yours; which of the two is not told.',
  },
  method_not_allowed: {
    status: 405,
    type: 'invalid_request_error',
    meaning: 'The path does not take this method; see the header Allow.',
  },
  not_acceptable: {
    status: 406,
    type: 'invalid_request_error',
    meaning: 'The path answers in another form than Accept asks for.',
  },
  request_timeout: { status: 408, type: 'invalid_request_error', meaning: 'The request took too long to arrive.' },
  state_conflict: {
    status: 409,
    type: 'conflict_error',
    meaning: 'It is in a state that does not allow this, or was changed by somebody else meanwhile. Read it again.',
  },
  entity_locked: {
    status: 409,
    type: 'conflict_error',
    meaning: 'Something else is under way for the same thing; try again after Retry-After.',
  },
  idempotency_conflict: {
    status: 409,
    type: 'conflict_error',
    meaning: 'The Idempotency-Key was used for another request. Use a new one.',
  },
  idempotency_in_progress: {
    status: 409,
    type: 'conflict_error',
    meaning: 'The first request with this Idempotency-Key is still being worked on; try again after Retry-After.',
  },
  body_too_large: { status: 413, type: 'invalid_request_error', meaning: 'The body exceeds the limit.' },
  media_type_unsupported: {
    status: 415,
    type: 'invalid_request_error',
    meaning: 'Bodies are JSON: send Content-Type: application/json.',
  },
  validation_failed: {
    status: 422,
    type: 'validation_error',
    meaning: 'The form is right and a value is not; `problems` names each.',
  },
  policy_invalid: {
    status: 422,
    type: 'validation_error',
    meaning: 'The policy does not compile; `problems` has every fault with line and column.',
  },
  config_invalid: {
    status: 422,
    type: 'validation_error',
    meaning: 'The configuration of the connector is not taken; `problems` names each parameter.',
  },
  credential_in_config: {
    status: 422,
    type: 'validation_error',
    meaning: 'The configuration holds what looks like a credential. It is never kept there: give the key on its own.',
  },
  auth_failed: {
    status: 422,
    type: 'validation_error',
    meaning: 'Kustomer refuses the API key of the connection.',
  },
  rate_limited: {
    status: 429,
    type: 'rate_limit_error',
    meaning:
      'Too many requests: of the tenant for this class of routes, or from this address without a valid token. Try again after Retry-After.',
  },
  header_too_large: { status: 431, type: 'invalid_request_error', meaning: 'The headers exceed the limit.' },
  internal: { status: 500, type: 'api_error', meaning: 'A fault of ours. Tell us the request id.' },
  connector_upstream_error: {
    status: 502,
    type: 'api_error',
    meaning: 'Kustomer does not answer, or not as it should; nothing was changed.',
  },
  unavailable: {
    status: 503,
    type: 'api_error',
    meaning: 'Something the answer needs is not there at the moment; try again after Retry-After.',
  },
  deadline_exceeded: {
    status: 504,
    type: 'api_error',
    meaning: 'It was not done in time. It may still be done: send it again with the same Idempotency-Key.',
  },
} as const satisfies Record<string, ApiErrorRow>;

export type ApiErrorCode = keyof typeof API_ERRORS;

/** One of several things wrong with a request. */
export interface ApiProblem {
  /** Where: `config.poll_interval`, `args.body`, …; null for the whole. */
  readonly field: string | null;
  readonly code: string;
  readonly message: string;
  /** What to do about it, where that can be said. */
  readonly remedy?: string;
  /** Of a document, both from 1. */
  readonly line?: number;
  readonly column?: number;
}

export interface ApiErrorOptions extends ErrorOptions {
  readonly problems?: readonly ApiProblem[];
  /** Becomes the header Retry-After. */
  readonly retryAfterS?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a handler throws to refuse. The message is for people and goes out as it is: no secret, nothing of the inside. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: ApiErrorCode;
  readonly problems: readonly ApiProblem[];
  readonly retryAfterS: number | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ApiErrorCode, message: string, options: ApiErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.problems = options.problems ?? [];
    this.retryAfterS = options.retryAfterS ?? null;
    this.headers = options.headers ?? {};
  }

  get status(): number {
    return API_ERRORS[this.code].status;
  }
}

/** The same words for what is missing and for what is another tenant's: only the kind of thing is named. */
export function notFound(what: string): ApiError {
  return new ApiError('not_found', `no such ${what}`);
}

/** The envelope of every failure. */
export interface ErrorEnvelope {
  readonly error: {
    readonly type: ApiErrorType;
    readonly code: string;
    readonly message: string;
    readonly doc_url: string;
    readonly request_id: string;
    readonly problems?: readonly ApiProblem[];
  };
}

const DOC_URL = 'https://docs.fibric.io/errors';

export function errorEnvelope(error: ApiError, requestId: string): ErrorEnvelope {
  const { code, message, problems } = error;
  return {
    error: {
      type: API_ERRORS[code].type,
      code,
      message,
      doc_url: `${DOC_URL}#${code}`,
      request_id: requestId,
      ...(problems.length > 0 && { problems }),
    },
  };
}
