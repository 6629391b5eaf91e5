/**
 * The compatibility level of a subject: the two calls the registry client does not offer on its own.
 *
 * The client reads /config/<subject> before it registers, throws when another level stands there, and sets ours only
 * *after* a first registration. That leaves two holes: a crash in between leaves the subject unchecked for ever, and
 * Apicurio answers NONE instead of 404 for a subject without a rule, which the client takes for somebody's choice.
 * Setting the level first closes both, on Confluent and on Apicurio.
 */
import { request } from 'undici';
import type { RegistryEndpoint } from './registry-endpoint.ts';
import { asRegistryError, registryError } from './registry-errors.ts';

const MEDIA_TYPE = 'application/vnd.schemaregistry.v1+json';

export type Level = 'BACKWARD_TRANSITIVE' | 'FULL_TRANSITIVE';

/** Makes sure every later version is checked against all earlier ones; a stricter level stays. Returns the level in force. */
export async function ensureCompatibilityLevel(endpoint: RegistryEndpoint, subject: string): Promise<Level> {
  const path = `/config/${encodeURIComponent(subject)}`;
  const current = await call(endpoint, 'GET', path);
  if (current.status !== 404) {
    const level = String(current.body['compatibilityLevel'] ?? current.body['compatibility']).toUpperCase();
    if (level === 'BACKWARD_TRANSITIVE' || level === 'FULL_TRANSITIVE') return level;
  }
  const changed = await call(endpoint, 'PUT', path, { compatibility: 'BACKWARD_TRANSITIVE' });
  if (changed.status === 404) throw registryError(0, 'it refused to set a compatibility level', { subject });
  return 'BACKWARD_TRANSITIVE';
}

/** Resolves when the registry answers a request that it can only answer when it is up. */
export async function pingRegistry(endpoint: RegistryEndpoint): Promise<void> {
  await call(endpoint, 'GET', '/config');
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** 2xx and 404 are answers, anything else is a CodedError. */
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
    const { statusCode: status } = response;
    if (status !== 404 && (status < 200 || status > 299)) throw registryError(status, text.slice(0, 200), detail);
    return { status, body: jsonObject(text) };
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
