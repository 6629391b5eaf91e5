/** `fibric tenants …` and `fibric tokens …`: who there is, and the tokens they log in with. */
import type { Command } from 'commander';
import { type Call, type Cli, group, leaf, option, required } from '../command.ts';
import { usageError } from '../errors.ts';
import { fetchList, noteMore, type PageOptions, pageOptions } from '../pages.ts';
import { confirm } from '../prompt.ts';
import { styleOf } from '../terminal/style.ts';
import { durationMs, parseSince, showTime } from '../times.ts';

interface Tenant {
  readonly id: string;
  readonly name?: string;
  readonly reseller_id?: string | null;
  readonly created_at?: string;
}

interface ApiKey {
  readonly id: string;
  readonly tenant_id?: string;
  readonly name?: string;
  readonly scopes?: readonly string[];
  readonly hint?: string;
  readonly status?: string;
  readonly expires_at?: string | null;
  readonly last_used_at?: string | null;
  /** In the answer that made it, and never again. */
  readonly token?: string | null;
}

interface TokenOptions {
  readonly tenant?: string;
  readonly scopes: string;
  readonly expires?: string;
}

const AS_ADMIN = 'FIBRIC_TOKEN=$CN_ADMIN_TOKEN';

export function addTenants(program: Command, cli: Cli): void {
  const tenants = group(program, 'tenants', 'make and list tenants; for the admin token.');
  leaf<{ id?: string; reseller?: string }>(cli, tenants, {
    usage: 'create <name>',
    about: 'make a tenant; everything else stands behind its wall.',
    options: [
      option('--id <id>', 'its id, which never changes (default: one is made)'),
      option('--reseller <id>', 'the reseller it belongs to (default: none)'),
    ],
    examples: [`${AS_ADMIN} fibric tenants create Acme --id t_acme`],
    run: async ({ api, out }, { id, reseller }, name) => {
      const body = { name, ...(id !== undefined && { id }), ...(reseller !== undefined && { reseller_id: reseller }) };
      const made = await (await api()).call<Tenant>('POST', '/tenants', { body });
      out.result(made, () => out.line(`${made.id}: tenant ${made.name ?? name}`));
      out.note(`next: fibric tokens create <name> --tenant ${made.id} --scopes admin > token.txt`);
    },
  });
  leaf<PageOptions>(cli, tenants, {
    usage: 'ls',
    about: 'every tenant, the newest first.',
    options: [...pageOptions()],
    examples: [`${AS_ADMIN} fibric tenants ls`],
    run: async ({ api, out }, page) => {
      const all = await fetchList<Tenant>(await api(), '/tenants', {}, page);
      out.result(all, () => {
        if (all.data.length === 0) return out.line('No tenants. `fibric tenants create` makes one.');
        out.table(
          [{ title: 'TENANT' }, { title: 'NAME', shrinks: true }, { title: 'RESELLER' }, { title: 'CREATED' }],
          all.data.map((one) => [one.id, one.name ?? '-', one.reseller_id ?? '-', showTime(one.created_at)]),
        );
        noteMore(all, out);
      });
    },
  });
}

const tenantOption = () => option('--tenant <id>', 'with the admin token: of this tenant (default: the own one)');

export function addTokens(program: Command, cli: Cli): void {
  const tokens = group(program, 'tokens', 'make, list and revoke tokens of the API.');
  leaf<TokenOptions>(cli, tokens, {
    usage: 'create <name>',
    about: 'make a token; it goes to stdout alone and is never shown again.',
    options: [
      required('--scopes <list>', 'what it may do: scopes, or read_only, operate or admin, divided by commas'),
      tenantOption(),
      option('--expires <time>', 'after so long (30d), or at a date or instant (default: never)'),
    ],
    examples: [
      `${AS_ADMIN} fibric tokens create laptop --tenant t_acme --scopes admin > token.txt`,
      'fibric tokens create dashboard --scopes read_only --expires 90d > token.txt',
    ],
    run: create,
  });
  leaf<PageOptions & { tenant?: string }>(cli, tokens, {
    usage: 'ls',
    about: 'the tokens there are, with what they may do; never their text.',
    options: [tenantOption(), ...pageOptions()],
    examples: ['fibric tokens ls', `${AS_ADMIN} fibric tokens ls --tenant t_acme`],
    run: async ({ api, out }, { tenant, ...page }) => {
      const all = await fetchList<ApiKey>(await api(), pathOf(tenant), {}, page);
      out.result(all, () => {
        if (all.data.length === 0) return out.line('No tokens.');
        out.table(
          [
            { title: 'TOKEN' },
            { title: 'NAME' },
            { title: 'ENDS IN' },
            { title: 'STATUS' },
            { title: 'EXPIRES' },
            { title: 'LAST USED' },
            { title: 'SCOPES', shrinks: true },
          ],
          all.data.map((one) => [
            one.id,
            one.name ?? '-',
            one.hint ?? '-',
            { text: one.status ?? '-', style: styleOf(one.status) },
            one.expires_at == null ? 'never' : showTime(one.expires_at),
            showTime(one.last_used_at),
            one.scopes?.join(' ') ?? '-',
          ]),
        );
        noteMore(all, out);
      });
    },
  });
  leaf<{ yes?: boolean }>(cli, tokens, {
    usage: 'revoke <id>',
    about: 'end a token: whoever still uses it is refused at once.',
    options: [option('--yes', 'do not ask')],
    examples: ['fibric tokens revoke key_5f0c2a --yes'],
    run: async ({ api, out, context }, { yes }, id) => {
      const client = await api();
      await confirm(context, `Revoke ${id}? Whoever uses it is refused from then on.`, yes === true);
      const gone = await client.call<ApiKey>('DELETE', `/tokens/${encodeURIComponent(id as string)}`);
      out.result(gone, () => out.line(`${gone.id}: ${gone.status ?? 'revoked'}`));
    },
  });
}

async function create({ api, out, context }: Call, options: TokenOptions, name?: string): Promise<void> {
  const { tenant, scopes, expires } = options;
  const body = {
    name,
    scopes: scopesOf(scopes),
    ...(expires !== undefined && { expires_at: expiryOf(expires, context.clock.nowMs()) }),
  };
  const made = await (await api()).call<ApiKey>('POST', pathOf(tenant), { body });
  out.result(made, () => {
    if (typeof made.token === 'string') out.line(made.token);
  });
  const until = made.expires_at == null ? '' : ` until ${showTime(made.expires_at)}`;
  out.note(`${made.id} (${made.name ?? name}) may ${made.scopes?.join(' ') ?? scopes}${until}`);
  if (typeof made.token === 'string') {
    return out.note('this is the only time it is shown; log in with it: fibric auth login < token.txt');
  }
  out.note('the API did not repeat its text: revoke it and make another');
}

function pathOf(tenant: string | undefined): string {
  return tenant === undefined ? '/tokens' : `/tenants/${encodeURIComponent(tenant)}/tokens`;
}

function scopesOf(text: string): readonly string[] {
  const scopes = text.split(/[\s,]+/).filter((scope) => scope !== '');
  if (scopes.length === 0) throw usageError('--scopes names what the token may do, such as read_only or events:read');
  return scopes;
}

function expiryOf(text: string, nowMs: number): string {
  const ms = durationMs(text);
  return ms === null ? parseSince('--expires', text, nowMs) : new Date(nowMs + ms).toISOString();
}
