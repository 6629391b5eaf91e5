/**
 * Installs a connector: asks Kustomer about the key, stores it sealed, and makes the webhook where that can be done.
 *
 * I1  A key that Kustomer refuses never takes the place of one that is there. A first one is kept as it is, for the
 *     connection to be mended by running the same again.
 * I2  A key is never sent to a host the tenant made up: only to Kustomer's own, or to the one the settings name.
 * I3  What was stored and could not be finished (the webhook, say) is told as a check, never as a failure of the whole.
 */
import type { Check, InstallRequest } from '../../api/ports.ts';
import { CodedError, hasCode } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import type { ConnectionWithTokens } from '../../fibric/connection.ts';
import { baseOf } from '../../kustomer/client/base-url.ts';
import type { Claim } from '../control/claims.ts';
import { addConnection } from '../control/connection-commands.ts';
import { checkKey, type KeyReport } from '../control/key-check.ts';
import { withClient } from '../control/kustomer-client.ts';
import type { ConnectionStore } from '../control/store.ts';
import { createWebhook } from '../control/webhook-commands.ts';
import { checkOfFailure, checksOfKey, isUnauthorized } from './probe.ts';

export interface InstallOptions {
  readonly store: ConnectionStore;
  readonly publicUrl: string | undefined;
  /** Where Kustomer is asked unless the configuration says otherwise; the simulator, say. */
  readonly defaultBaseUrl: string | undefined;
  readonly nowMs: () => number;
  /** Of the tenant, held for the whole install. */
  readonly claim: Claim;
}

export interface Installation {
  readonly connection: ConnectionWithTokens;
  readonly created: boolean;
  readonly keyStored: boolean;
  readonly checks: readonly Check[];
  /** What the key came to; null where none was checked. */
  readonly keyState: 'works' | 'refused' | null;
}

export async function install(options: InstallOptions, request: InstallRequest): Promise<Installation> {
  const { store } = options;
  const { tenantId, name, apiKey, webhookToken } = request;
  const existing = store.list().find((one) => one.tenantId === tenantId && one.name === name);
  if (existing === undefined && store.described().some((one) => one.tenantId === tenantId && one.name === name)) {
    throw new CodedError('secret_unreadable', 'the connection of this name cannot be opened here');
  }
  if (existing === undefined && apiKey === undefined && webhookToken === undefined) {
    throw new CodedError('config_invalid', 'api_key is missing: a new connection needs one, or a webhook_token');
  }
  const probe: { checks: readonly Check[]; state: Installation['keyState'] } = { checks: [], state: null };
  const checked = apiKey ?? existing?.apiKey ?? null;
  try {
    const { connection, created } = await addConnection({
      store,
      options: typed(options, request, existing),
      readToken: async () => webhookToken as Secret,
      ...(apiKey !== undefined && { readApiKey: async () => apiKey }),
      ownWebhook: webhookToken === undefined && checked !== null,
      nowMs: options.nowMs(),
      checkKey: async (candidate) => {
        const asked = await ask(() => withClient(candidate, (client) => checkKey(client, candidate)));
        probe.checks = asked.checks;
        probe.state = asked.report === null ? (asked.refused ? 'refused' : null) : 'works';
        if (asked.refused && existing?.apiKey != null && apiKey !== undefined) throw new KeyRefused();
        // The key could not be checked: it is stored, and nothing is learned from it.
        return asked.report as KeyReport;
      },
    });
    const webhook =
      probe.state === 'works' && webhookToken === undefined ? await ownWebhook(options, connection) : null;
    return {
      connection: store.get(connection.connectionId) ?? connection,
      created,
      keyStored: apiKey !== undefined,
      checks: webhook === null ? probe.checks : [...probe.checks, webhook],
      keyState: probe.state,
    };
  } catch (error) {
    if (!(error instanceof KeyRefused) || existing === undefined) throw told(error);
    return { connection: existing, created: false, keyStored: false, checks: probe.checks, keyState: null };
  }
}

/** I1. Only ever thrown and caught here. */
class KeyRefused extends Error {}

interface Asked {
  readonly report: KeyReport | null;
  readonly refused: boolean;
  readonly checks: readonly Check[];
}

/** Rethrows what says that the right place was not asked: nothing is stored then. */
async function ask(check: () => Promise<KeyReport>): Promise<Asked> {
  try {
    const report = await check();
    return { report, refused: false, checks: checksOfKey(report) };
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const found = checkOfFailure(error);
    const passes = isUnauthorized(error) || hasCode(error, 'kustomer_rate_limited', 'budget_exhausted');
    if (found === null || !passes) throw error;
    return { report: null, refused: isUnauthorized(error), checks: [found] };
  }
}

/** As the options of `cn-kustomer connection add`, which are checked there. */
function typed(
  { defaultBaseUrl }: InstallOptions,
  { tenantId, resellerId, workspaceId, name, config, apiKey, webhookToken }: InstallRequest,
  existing: ConnectionWithTokens | undefined,
): Readonly<Record<string, unknown>> {
  const text = (value: unknown): unknown => (value === null ? 'none' : value);
  const baseUrl = config['api_base_url'] ?? (existing === undefined ? defaultBaseUrl : undefined);
  if (typeof baseUrl === 'string') allowBaseUrl(baseUrl, defaultBaseUrl);
  const given = {
    tenant: tenantId,
    reseller: resellerId ?? undefined,
    workspace: workspaceId ?? undefined,
    name,
    subdomain: config['subdomain'],
    pollInterval: config['poll_interval'] === null ? '60s' : config['poll_interval'],
    backfillSince: text(config['backfill_since']),
    extendedEvents: config['extended_events'] ?? (config['extended_events'] === null ? false : undefined),
    orderKlass: config['order_klass'] === null ? 'order' : config['order_klass'],
    machineUser: config['machine_user'] ?? undefined,
    apiBaseUrl: baseUrl === undefined && config['api_base_url'] === null ? 'none' : baseUrl,
    rotate: webhookToken === undefined ? undefined : existing === undefined ? undefined : true,
    apiKey: apiKey === undefined ? undefined : true,
    check: apiKey !== undefined || existing?.apiKey != null,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** I2 */
function allowBaseUrl(baseUrl: string, defaultBaseUrl: string | undefined): void {
  const { origin } = baseOf({ baseUrl });
  const { protocol, hostname } = new URL(origin);
  const own = protocol === 'https:' && (hostname === 'kustomerapp.com' || hostname.endsWith('.kustomerapp.com'));
  if (own || (defaultBaseUrl !== undefined && origin === baseOf({ baseUrl: defaultBaseUrl }).origin)) return;
  throw new CodedError('config_invalid', '--api-base-url is not a host of Kustomer (https://….kustomerapp.com)');
}

/** I3 */
async function ownWebhook(
  { store, publicUrl, claim }: InstallOptions,
  connection: ConnectionWithTokens,
): Promise<Check> {
  const name = 'webhook';
  if (publicUrl === undefined) {
    return {
      name,
      ok: null,
      code: 'optional_not_configured',
      message: 'no webhook was made: the service does not know where Kustomer reaches it; the poll carries everything',
      nextStep: 'Set PUBLIC_URL on the service and run `fibric connectors add` again.',
    };
  }
  try {
    const lines = await withClient(connection, (client) =>
      createWebhook({ store, client, connection, claim }, publicUrl),
    );
    return { name, ok: true, code: 'ok', message: lines.join('; '), nextStep: null };
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    // The one who has taken over makes it.
    if (error.code === 'connection_busy') throw error;
    const permission = hasCode(error, 'kustomer_permission');
    return {
      name,
      ok: false,
      code: permission ? 'optional_missing_permission' : 'optional_failed',
      message: `no webhook was made, so the poll carries everything: ${error.message}`,
      nextStep: permission
        ? 'Give the key org.permission.outbound_webhook (read, create, delete), or make the webhook by hand: docs/cli.md.'
        : 'Run `fibric connectors add` again.',
    };
  }
}

/** The options of the command as the parameters of the configuration. */
function told(error: unknown): unknown {
  if (!hasCode(error, 'config_invalid', 'connection_conflict')) return error;
  const message = error.message.replaceAll(/--([a-z][a-z-]*)/g, (_, option: string) => parameterOf(option));
  return new CodedError(error.code, message, error.detail);
}

function parameterOf(option: string): string {
  const name = option.replaceAll('-', '_');
  return ['name', 'api_key', 'tenant', 'workspace', 'reseller'].includes(name) ? name : `config.${name}`;
}
