/** What a registry's refusal means for us. */
import { CodedError } from '../base/errors.ts';

/** Deepest message of a chain of causes; network errors say what happened there. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0]);
  return error.cause instanceof Error ? messageOf(error.cause) : error.message || error.name;
}

/** `status` 0 stands for "no answer". */
export function registryError(status: number, reason: string, detail: CodedError['detail']): CodedError {
  const facts = { ...detail, status };
  if (status === 404) return new CodedError('schema_unknown', `The schema registry does not know it: ${reason}`, facts);
  if (status === 409 || status === 422) {
    return new CodedError('schema_incompatible', `The schema registry refused the schema: ${reason}`, facts);
  }
  if (status === 401 || status === 403) {
    return new CodedError('config_invalid', 'The schema registry does not accept our credentials', facts);
  }
  const message = status === 0 ? 'The schema registry does not answer' : `The schema registry answered ${status}`;
  return new CodedError('registry_unavailable', `${message}: ${reason}`, facts);
}

/** For anything thrown while talking to the registry; what is coded already stays as it is. */
export function asRegistryError(error: unknown, detail: CodedError['detail']): CodedError {
  if (error instanceof CodedError) return error;
  return registryError(statusOf(error), messageOf(error), detail);
}

function statusOf(error: unknown): number {
  if (!(error instanceof Error)) return 0;
  if ('status' in error && typeof error.status === 'number') return error.status;
  // The client's lookup by schema replaces a 404, and nothing else, by this error, and drops the status.
  return error.name === 'ConfluentSchemaRegistryError' ? 404 : 0;
}
