/** JSON given as an argument: an object, or a refusal that says where it stops being one and repeats none of it. Pure. */
import { usageError } from './errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export function parseJsonObject(option: string, text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const at = / position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1];
    throw usageError(
      `${option} is no JSON${at === undefined ? '' : `: it breaks at character ${Number(at) + 1}`}`,
      `write it in single quotes, keys and texts in double quotes: ${option} '{"name":"value"}'`,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw usageError(`${option} is a JSON object, such as '{"name":"value"}'`);
  }
  return value as JsonObject;
}

const CREDENTIAL_NAME = /(?:^|[_-])(?:api[_-]?key|apikey|key|token|secret|password|passwd|authorization|bearer|jwt)$/i;
/** Kustomer's keys are JSON web tokens; the others are forms that keys of services have. */
const CREDENTIAL_VALUE =
  /\beyJ[A-Za-z0-9_-]{8,}|\b(?:sk|fbc|pk)_(?:live|test)_|\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}/i;

/** Where in it a credential stands, as a path; null when there is none. */
export function findCredential(value: unknown, path = ''): string | null {
  if (typeof value === 'string') return CREDENTIAL_VALUE.test(value) ? path : null;
  if (typeof value !== 'object' || value === null) return null;
  for (const [name, inner] of Object.entries(value)) {
    const at = path === '' ? name : `${path}.${name}`;
    const isNamedSo = CREDENTIAL_NAME.test(name.replaceAll(/([a-z])([A-Z])/g, '$1_$2'));
    if (isNamedSo && inner !== null && inner !== '') return at;
    const found = findCredential(inner, at);
    if (found !== null) return found;
  }
  return null;
}
