/** `fibric auth …`: which API this machine talks to, and as whom. */
import type { Command } from 'commander';
import type { Identity } from '../api-types.ts';
import { type Call, type Cli, group, leaf, option } from '../command.ts';
import { credentialsPath, removeCredentials, saveCredentials } from '../credentials.ts';
import { CliError } from '../errors.ts';
import { EXIT } from '../exit.ts';
import { DEFAULT_ENDPOINT, isReadableOnTheWay, parseEndpoint } from '../http/endpoint.ts';
import { ask, isInteractive, secretFrom } from '../prompt.ts';
import type { Cell } from '../terminal/table.ts';
import { relative, showTime } from '../times.ts';

export function addAuth(program: Command, cli: Cli): void {
  const auth = group(program, 'auth', 'log in, log out, and see as whom.');
  leaf(cli, auth, {
    usage: 'login',
    about: 'check a token with the API and keep it; asked for without echo, or read from stdin or FIBRIC_TOKEN.',
    options: [option('--no-browser', 'accepted and without effect: no browser is ever opened')],
    examples: [
      'fibric auth login',
      'fibric auth login --endpoint http://127.0.0.1:8080 < token.txt',
      'FIBRIC_TOKEN=… fibric auth login --no-browser',
    ],
    run: login,
  });
  leaf(cli, auth, {
    usage: 'logout',
    about: 'forget the token of this machine; the token itself stays valid until it is revoked.',
    examples: ['fibric auth logout'],
    run: logout,
  });
  addWhoami(auth, cli);
  // The name that older texts know it by.
  addWhoami(program, cli);
}

function addWhoami(parent: Command, cli: Cli): void {
  const path = parent.name() === 'auth' ? 'fibric auth whoami' : 'fibric whoami';
  leaf(cli, parent, {
    usage: 'whoami',
    about: 'the workspace, tenant and token in use.',
    examples: [path, `${path} --json`],
    run: async ({ api, out, context }) => {
      const client = await api();
      const identity = await client.get<Identity>('/whoami');
      const document = { workspace: identity.workspace_id, ...identity, endpoint: client.endpoint };
      out.result(document, () => out.fields(identityFields(identity, client.endpoint, context.clock.nowMs())));
    },
  });
}

async function login({ context, session, out }: Call): Promise<void> {
  const endpoint =
    session.namedEndpoint ??
    parseEndpoint(await ask(context, 'Endpoint', (await keptEndpoint(session)) ?? DEFAULT_ENDPOINT));
  if (isReadableOnTheWay(endpoint)) {
    out.note(`warning: ${endpoint} is not encrypted; everybody between here and there can read the token`);
  }
  if (!isInteractive(context) && !context.env['FIBRIC_TOKEN']) out.note('reading the token from stdin');
  const token = await secretFrom(context, 'FIBRIC_TOKEN', 'Token');
  const identity = await session.clientFor(endpoint, token).get<Identity>('/whoami');
  const path = await saveCredentials(session.home, { endpoint, token });
  out.result({ workspace: identity.workspace_id, ...identity, endpoint }, () => {
    out.line(`Logged in to ${endpoint}.`);
    out.fields(identityFields(identity, endpoint, context.clock.nowMs()));
  });
  out.note(`the token is kept in ${path}, readable for you alone`);
  if (context.env['FIBRIC_TOKEN']) out.note('note: while FIBRIC_TOKEN is set it comes before the kept token');
}

/** A broken file is no reason not to log in anew. */
async function keptEndpoint(session: Call['session']): Promise<string | null> {
  return session.credentials().then(
    (kept) => kept?.endpoint ?? null,
    () => null,
  );
}

async function logout({ context, session, out }: Call): Promise<void> {
  const removed = await removeCredentials(session.home).catch((error: unknown) => {
    throw new CliError('credentials_unwritable', `${credentialsPath(session.home)} cannot be removed`, {
      exitCode: EXIT.failed,
      cause: error,
    });
  });
  out.result({ logged_out: removed }, () => out.line(removed ? 'Logged out.' : 'Nobody was logged in.'));
  if (context.env['FIBRIC_TOKEN']) out.note('note: FIBRIC_TOKEN is still set, and is still used');
}

function identityFields(identity: Identity, endpoint: string, nowMs: number): readonly (readonly [string, Cell])[] {
  const { tenant_name, tenant_id, expires_at } = identity;
  return [
    ['workspace', identity.workspace_id ?? '(none)'],
    ['tenant', tenant_name ? `${tenant_name} (${tenant_id})` : tenant_id],
    ['reseller', identity.reseller_id ?? '(none — Fibric direct)'],
    ['token', identity.key_name ? `${identity.key_name} (${identity.key_id})` : identity.key_id],
    ['token expires', expires_at == null ? 'never' : `${relative(expires_at, nowMs)} (${showTime(expires_at)})`],
    ['scopes', identity.scopes?.join(' ') || '(none)'],
    ['endpoint', endpoint],
  ];
}
