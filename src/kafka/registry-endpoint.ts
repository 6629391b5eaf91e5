/** Where the schema registry is and how to sign in: credentials are taken out of the URL before anything can print it. */
import { CodedError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';

export interface RegistrySettings {
  /** Such as http://127.0.0.1:8081 (Confluent) or …/apis/ccompat/v7 (Apicurio); may carry `user:password@`. */
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: Secret | undefined;
  /** Bound on each request. */
  readonly requestTimeoutMs?: number;
}

export interface RegistryEndpoint {
  /** Without credentials and without a slash at the end: fit for logs. */
  readonly baseUrl: string;
  readonly auth: { readonly username: string; readonly password: Secret } | null;
  readonly requestTimeoutMs: number;
}

const DEFAULT_REQUEST_TIMEOUT_MS = 10_000;

/** Settings win over credentials in the URL. Throws `config_invalid`, which does not repeat the URL. */
export function registryEndpoint(settings: RegistrySettings): RegistryEndpoint {
  if (!URL.canParse(settings.url) || !/^https?:$/.test(new URL(settings.url).protocol)) {
    throw new CodedError('config_invalid', 'SCHEMA_REGISTRY_URL is not an http or https URL');
  }
  const url = new URL(settings.url);
  let credentials: [string, string];
  try {
    credentials = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  } catch {
    throw new CodedError('config_invalid', 'The credentials in SCHEMA_REGISTRY_URL are not percent-encoded');
  }
  const username = settings.username ?? credentials[0];
  const password = settings.password ?? new Secret(credentials[1]);
  return {
    baseUrl: `${url.origin}${url.pathname.replace(/\/+$/, '')}`,
    auth: username === '' ? null : { username, password },
    requestTimeoutMs: settings.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS,
  };
}
