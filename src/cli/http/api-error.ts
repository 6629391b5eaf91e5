/** The API's error envelope as a CliError: which exit code, and what to do next. Pure. */
import { CliError, type Problem } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit.ts';

/** By code first, by status otherwise: codes may be new, statuses are not. */
export function exitCodeOf(status: number, code: string): ExitCode {
  if (code === 'auth_failed') return EXIT.failed;
  if (status === 401 || status === 403) return EXIT.forbidden;
  if (status === 404) return EXIT.notFound;
  if (status === 400 || status === 413 || status === 415 || status === 422) return EXIT.usage;
  if (status === 429 || status === 502 || status === 503 || status === 504) return EXIT.unavailable;
  return EXIT.failed;
}

const HINTS: Readonly<Record<string, string>> = {
  key_missing: 'log in with `fibric auth login`, or set FIBRIC_TOKEN',
  key_invalid: 'log in again with `fibric auth login`; a token is shown once, when it is made',
  key_revoked: 'ask for a new token, then `fibric auth login`',
  key_expired: 'ask for a new token, then `fibric auth login`',
  insufficient_scope: 'use a token with that scope; `fibric auth whoami` shows those of this one',
  grant_missing: 'grant it with `fibric capabilities grant`, or name another operator with --operator',
  capability_not_exposed: 'give the connection an API key: re-run `fibric connectors add`',
  invalid_cursor: 'begin again without --cursor',
  rate_limited: 'wait a moment, then do it again',
  idempotency_conflict: 'use another --key: this one stands for another action or other arguments',
  auth_failed:
    'create a fresh key in Kustomer under Settings → Security → API Keys and re-run `fibric connectors add` to replace the stored secret',
  credential_in_config: 'leave it out of --config: `fibric connectors add` asks for the API key on its own',
  config_invalid: '--config takes subdomain (required), poll_interval and backfill_since',
  connector_upstream_error: 'Kustomer does not answer as it should; try again, nothing was changed',
  state_conflict: 'look at it again: somebody may have changed it meanwhile',
  unavailable: 'try again in a moment',
  internal: 'try again; if it stays, tell the people who run the service the request id',
};

interface EnvelopeFields {
  readonly code?: unknown;
  readonly message?: unknown;
  readonly request_id?: unknown;
  readonly doc_url?: unknown;
  readonly problems?: unknown;
}

/** Where to look for what is there, by the first part of the path. */
const LISTS: Readonly<Record<string, string>> = {
  listings: 'fibric connectors search',
  connectors: 'fibric connectors list',
  policies: 'fibric policy ls',
  events: 'fibric events ls',
  receipts: 'fibric receipts ls',
  approvals: 'fibric approvals ls',
  tenants: 'fibric tenants ls',
  tokens: 'fibric tokens ls',
};

function missingHint(path: string): string | null {
  const list = LISTS[path.split('/')[1] ?? ''];
  return list === undefined ? null : `\`${list}\` shows what there is`;
}

export interface FailedAnswer {
  readonly status: number;
  /** The parsed body, or undefined where it was no JSON. */
  readonly body: unknown;
  /** Header X-Request-Id. */
  readonly requestId: string | null;
  readonly endpoint: string;
  /** Below /v1. */
  readonly path: string;
}

export function apiError({ status, body, requestId, endpoint, path }: FailedAnswer): CliError {
  const envelope = envelopeOf(body);
  if (envelope === null) return foreignAnswer(status, requestId, endpoint);
  const code = textOr(envelope.code, `http_${status}`);
  return new CliError(code, textOr(envelope.message, `the API answered ${status}`), {
    exitCode: exitCodeOf(status, code),
    status,
    hint: HINTS[code] ?? (code === 'not_found' ? missingHint(path) : null),
    requestId: textOr(envelope.request_id, requestId ?? '') || null,
    docUrl: textOr(envelope.doc_url, '') || null,
    problems: problemsOf(envelope.problems),
  });
}

/** A proxy, a page for people, another service: whoever answered, it was not the API. */
export function foreignAnswer(status: number, requestId: string | null, endpoint: string): CliError {
  if (status >= 500) {
    return new CliError('unavailable', `${endpoint} answered ${status}`, {
      exitCode: EXIT.unavailable,
      status,
      requestId,
      hint: 'the service, or something before it, may be starting or stopping: try again in a moment',
    });
  }
  return new CliError('not_the_api', `${endpoint} answered ${status} with what the Fibric API does not say`, {
    exitCode: status === 401 || status === 403 ? EXIT.forbidden : EXIT.failed,
    status,
    requestId,
    hint: 'check the endpoint (`fibric auth whoami`, FIBRIC_ENDPOINT, --endpoint); it is the address without /v1',
  });
}

function envelopeOf(body: unknown): EnvelopeFields | null {
  if (typeof body !== 'object' || body === null || !('error' in body)) return null;
  const { error } = body;
  return typeof error === 'object' && error !== null ? error : null;
}

function problemsOf(value: unknown): readonly Problem[] {
  if (!Array.isArray(value)) return [];
  return value.filter((one): one is Problem => typeof one === 'object' && one !== null);
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}
