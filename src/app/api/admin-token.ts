/** The platform's admin token: from the settings, or made and told once at the very first start. */
import { ADMIN_KEY } from '../../api/auth/authenticate.ts';
import type { TokenRecord } from '../../api/auth/records.ts';
import { hashToken, newToken, tokenHint } from '../../api/auth/token-text.ts';
import type { Table } from '../../api/ports.ts';
import { CodedError } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';

export interface AdminTokenOptions {
  /** Of the settings. */
  readonly given: string | undefined;
  readonly tokens: Table<TokenRecord>;
  readonly random: (bytes: number) => Buffer;
  readonly nowMs: number;
  /** The one moment in which a made token can be read. */
  readonly announce: (text: string) => void;
}

/** Shorter could be guessed. */
const MIN_LENGTH = 24;

/** The token of the settings, or null where one that was made counts. */
export async function settleAdminToken(options: AdminTokenOptions): Promise<Secret | null> {
  const { given, tokens, random, nowMs, announce } = options;
  if (given !== undefined) {
    if (/^[\x21-\x7e]+$/.test(given) && given.length >= MIN_LENGTH) return new Secret(given);
    throw new CodedError(
      'config_invalid',
      `CN_ADMIN_TOKEN: at least ${MIN_LENGTH} printable characters without spaces, such as the output of \`openssl rand -hex 24\``,
    );
  }
  if (tokens.get(ADMIN_KEY) !== undefined) return null;
  const made = newToken(random);
  const record: TokenRecord = {
    version: 1,
    key_id: ADMIN_KEY,
    tenant_id: null,
    workspace_id: null,
    name: 'platform admin',
    scopes: [],
    hash: hashToken(made),
    hint: tokenHint(made),
    created_at_ms: nowMs,
    created_by: 'first start',
    expires_at_ms: null,
    revoked_at_ms: null,
    last_used_at_ms: null,
  };
  // Of several processes that start at once, the one whose record stands tells its token.
  const stands = await tokens.update(ADMIN_KEY, (now) => now ?? record);
  if (stands?.hash === record.hash) {
    announce(`cn-kustomer: admin token, shown this once: ${made.reveal()}`);
    announce(
      'cn-kustomer: it makes tenants and their tokens (fibric tenants create, fibric tokens create); keep it, or set CN_ADMIN_TOKEN',
    );
  }
  return null;
}
