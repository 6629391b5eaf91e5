/**
 * The compatibility level of a subject: the two calls the registry client does not offer on its own.
 *
 * The client reads /config/<subject> before it registers, throws when another level stands there, and sets ours only
 * *after* a first registration. That leaves two holes: a crash in between leaves the subject unchecked for ever, and
 * Apicurio answers NONE instead of 404 for a subject without a rule, which the client takes for somebody's choice.
 * Setting the level first closes both, on Confluent and on Apicurio.
 */
import { request } from 'undici';
import { CodedError } from '../base/errors.ts';
import type { RegistryEndpoint } from './registry-endpoint.ts';
import { asRegistryError, registryError } from './registry-errors.ts';

const MEDIA_TYPE = 'application/vnd.schemaregistry.v1+json';

export type Level = 'BACKWARD_TRANSITIVE' | 'FULL_TRANSITIVE';

/** Makes sure every later version is checked against all earlier ones; a stricter level stays. Returns the level in force. */
export async function ensureCompatibilityLevel(endpoint: RegistryEndpoint, subject: string): Promise<Level> {
  const path = `/config/${encodeURIComponent(subject)}`;
  const current = levelOf(await call(endpoint, 'GET', path));
  if (current !== null) return current;
  const changed = await call(endpoint, 'PUT', path, { compatibility: 'BACKWARD_TRANSITIVE' });
  if (isSuccess(changed)) return 'BACKWARD_TRANSITIVE';
  // Apicurio answers 409 to all but one of those who set the first level of a subject at the same moment.
  const now = levelOf(await call(endpoint, 'GET', path));
  if (now !== null) return now;
  throw new CodedError('registry_unavailable', 'The schema registry refused to set a compatibility level', {
    registry: endpoint.baseUrl,
    subject,
    status: changed.status,
  });
}

/** The level, where it is one that will do. */
function levelOf(answer: Answer): Level | null {
  if (!isSuccess(answer)) return null;
  const level = String(answer.body['compatibilityLevel'] ?? answer.body['compatibility']).toUpperCase();
  return level === 'BACKWARD_TRANSITIVE' || level === 'FULL_TRANSITIVE' ? level : null;
}

/** Resolves when the registry answers a request that it can only answer when it is up. */
export async function pingRegistry(endpoint: RegistryEndpoint): Promise<void> {
  const answer = await call(endpoint, 'GET', '/config');
  if (!isSuccess(answer)) {
    throw registryError(0, `no Confluent API here (${answer.status})`, { registry: endpoint.baseUrl });
  }
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

function isSuccess({ status }: Answer): boolean {
  return status >= 200 && status <= 299;
}

/** 2xx, 404 and 409 are answers, anything else is a CodedError. */
async function call(endpoint: RegistryEndpoint, method: 'GET' | 'PUT', path: string, body?: object): Promise<Answer> {
  const detail = { registry: endpoint.baseUrl, request: `${method} ${path}` };
  try {
    const response = await request(`${endpoint.baseUrl}${path}`, {
      method,
      headers: { accept: MEDIA_TYPE, 'content-type': MEDIA_TYPE, ...authorization(endpoint) },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(endpoint.requestTimeoutMs),
    });
    const text = await response.body.text();
    const answer = { status: response.statusCode, body: jsonObject(text) };
    if (isSuccess(answer) || answer.status === 404 || answer.status === 409) return answer;
    throw registryError(answer.status, text.slice(0, 200), detail);
  } catch (error) {
    throw asRegistryError(error, detail);
  }
}

function authorization({ auth }: RegistryEndpoint): Record<string, string> {
  if (auth === null) return {};
  const pair = Buffer.from(`${auth.username}:${auth.password.reveal()}`).toString('base64');
  return { authorization: `Basic ${pair}` };
}

function jsonObject(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : {};
  } catch {
    return {};
  }
}
