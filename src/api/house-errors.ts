/** What the errors of the rest of the house (src/base/errors.ts) are to a client of the API. */
import { CodedError, type ErrorCode, hasCode } from '../base/errors.ts';
import { API_ERRORS, ApiError, type ApiErrorCode } from './errors.ts';

/** Those not named here are faults of ours. */
const FROM_HOUSE: Partial<Record<ErrorCode, ApiErrorCode>> = {
  config_invalid: 'config_invalid',
  connection_conflict: 'state_conflict',
  connection_busy: 'entity_locked',
  document_conflict: 'unavailable',
  connection_unknown: 'not_found',
  org_mismatch: 'state_conflict',
  kustomer_permission: 'auth_failed',
  kustomer_unauthorized: 'auth_failed',
  kustomer_refused: 'connector_upstream_error',
  kustomer_misconfigured: 'connector_upstream_error',
  kustomer_unanswered: 'connector_upstream_error',
  kustomer_not_sent: 'connector_upstream_error',
  kustomer_ambiguous: 'connector_upstream_error',
  kustomer_conflict: 'state_conflict',
  kustomer_rate_limited: 'entity_locked',
  budget_exhausted: 'entity_locked',
  target_not_found: 'not_found',
  log_unavailable: 'unavailable',
  registry_unavailable: 'unavailable',
  queue_full: 'unavailable',
  share_full: 'unavailable',
  shutting_down: 'unavailable',
  restore_timeout: 'unavailable',
  commit_unknown: 'unavailable',
};

/** Codes whose message was written for whoever asked; of the others it may speak of our inside. */
const OWN_WORDS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'config_invalid',
  'connection_conflict',
  'connection_busy',
  'org_mismatch',
  'kustomer_permission',
  'kustomer_unauthorized',
  'kustomer_refused',
  'kustomer_misconfigured',
  'kustomer_unanswered',
  'kustomer_not_sent',
  'kustomer_ambiguous',
  'kustomer_conflict',
  'kustomer_rate_limited',
  'budget_exhausted',
]);

const RETRY_AFTER_S = 5;

/** Whatever was thrown, as a client may see it. Total. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const code = error instanceof CodedError ? FROM_HOUSE[error.code] : undefined;
  if (!(error instanceof CodedError) || code === undefined) {
    return new ApiError('internal', 'something went wrong here', { cause: error });
  }
  const message = hasCode(error, ...OWN_WORDS) ? error.message : API_ERRORS[code].meaning;
  const waits = code === 'unavailable' || code === 'entity_locked';
  return new ApiError(code, message, { cause: error, ...(waits && { retryAfterS: RETRY_AFTER_S }) });
}
