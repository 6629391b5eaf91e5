/** Who we are to the API in this run: endpoint and token, of options, environment and credentials file, in this order. */
import { homedir } from 'node:os';
import { Secret } from '../base/secret.ts';
import { type CliContext, homeOf } from './context.ts';
import { type Credentials, credentialsPath, loadCredentials } from './credentials.ts';
import { CliError } from './errors.ts';
import { EXIT } from './exit.ts';
import { type ApiClient, createClient } from './http/client.ts';
import { DEFAULT_ENDPOINT, parseEndpoint } from './http/endpoint.ts';
import { parseDuration } from './times.ts';

export interface SessionOptions {
  readonly endpoint?: string | undefined;
  readonly timeout?: string | undefined;
}

export const DEFAULT_TIMEOUT = '30s';
const TIMEOUT_BOUNDS_MS = [100, 600_000] as const;

export interface Session {
  readonly home: string;
  /** An endpoint that was named for this run, by option or environment; null = none was. */
  readonly namedEndpoint: string | null;
  readonly timeoutMs: number;
  credentials(): Promise<Credentials | null>;
  /** A client with the token of this run. Throws `not_logged_in` when there is none for the endpoint. */
  api(): Promise<ApiClient>;
  /** A client for an endpoint and token under test, or without one. */
  clientFor(endpoint: string, token: Secret | null): ApiClient;
  close(): Promise<void>;
}

export function createSession(context: CliContext, options: SessionOptions, note: (text: string) => void): Session {
  const { env } = context;
  const home = homeOf(env, homedir());
  const named = options.endpoint ?? (env['FIBRIC_ENDPOINT'] || undefined);
  const timeoutMs = parseDuration(
    '--timeout',
    options.timeout ?? env['FIBRIC_TIMEOUT'] ?? DEFAULT_TIMEOUT,
    TIMEOUT_BOUNDS_MS,
  );
  const clients: ApiClient[] = [];
  let opened: Promise<ApiClient> | null = null;

  const clientFor = (endpoint: string, token: Secret | null): ApiClient => {
    if (token !== null) context.redactor.add(token.reveal());
    const { signal, clock, random, newKey } = context;
    const client = createClient({ endpoint, token, timeoutMs, signal, clock, random, newKey, note });
    clients.push(client);
    return client;
  };

  const open = async (): Promise<ApiClient> => {
    const fromEnv = (env['FIBRIC_TOKEN'] ?? '').trim();
    const namedEndpoint = named === undefined ? null : parseEndpoint(named);
    // Without a look at the file: a CI job has none, and a broken one is no reason to fail there.
    if (fromEnv !== '' && namedEndpoint !== null) return clientFor(namedEndpoint, new Secret(fromEnv));
    const kept = await loadCredentials(home, note);
    if (fromEnv !== '') return clientFor(kept?.endpoint ?? DEFAULT_ENDPOINT, new Secret(fromEnv));
    if (kept === null) throw notLoggedIn(`nobody is logged in (${credentialsPath(home)} does not exist)`);
    if (namedEndpoint !== null && namedEndpoint !== kept.endpoint) {
      throw notLoggedIn(
        `the token is for ${kept.endpoint}, and goes to no other API than that: not to ${namedEndpoint}`,
      );
    }
    return clientFor(kept.endpoint, kept.token);
  };

  return {
    home,
    namedEndpoint: named === undefined ? null : parseEndpoint(named),
    timeoutMs,
    credentials: () => loadCredentials(home, note),
    api: () => {
      opened ??= open();
      return opened;
    },
    clientFor,
    close: async () => {
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}

function notLoggedIn(message: string): CliError {
  return new CliError('not_logged_in', message, {
    exitCode: EXIT.forbidden,
    hint: 'run `fibric auth login`, or set FIBRIC_TOKEN (and FIBRIC_ENDPOINT)',
  });
}
