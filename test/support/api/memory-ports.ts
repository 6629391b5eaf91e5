/** Connectors, policies and grants in memory, for tests of the API's own conventions. */
import type {
  ActionRequest,
  ActionResult,
  Check,
  CorePorts,
  GrantEntry,
  Installed,
  InstallRequest,
} from '../../../src/api/ports.ts';
import { CodedError } from '../../../src/base/errors.ts';
import { CONNECTION_SETTINGS, type Connection } from '../../../src/fibric/connection.ts';
import { CAPABILITIES } from '../../../src/fibric/policy/capabilities.ts';
import { compilePolicies } from '../../../src/fibric/policy/compile.ts';
import {
  changePolicies,
  NO_POLICIES,
  type PolicyCommand,
  type PolicySet,
} from '../../../src/fibric/policy/versions.ts';
import { parseBackfillSince, parsePollInterval } from '../../../src/fibric/poll-settings.ts';

export interface MemoryPorts extends Pick<CorePorts, 'connectors' | 'policies' | 'grants' | 'actions'> {
  /** Everything that was asked to be sent. */
  readonly sent: ActionRequest[];
  answer: (request: ActionRequest) => Promise<ActionResult>;
  checks: readonly Check[];
  /** A connection that is there already. */
  addConnection(tenantId: string, name: string): Connection;
}

const EXPOSED = new Set(CAPABILITIES.map(({ name }) => name));

export function memoryPorts(nowMs: () => number): MemoryPorts {
  const connections = new Map<string, Connection>();
  const sets = new Map<string, PolicySet>();
  const granted = new Map<string, GrantEntry & { readonly tenantId: string }>();
  const sent: ActionRequest[] = [];
  let made = 0;

  const installedOf = (connection: Connection): Installed => ({
    connection,
    authHint: connection.hasApiKey ? '1a2b3c4d' : null,
    role: 'support',
    status: 'connected',
    statusDetail: null,
    webhookUrl: null,
    lastSenseAtMs: null,
  });
  const of = (tenantId: string): Connection[] =>
    [...connections.values()].filter((connection) => connection.tenantId === tenantId);
  const find = (tenantId: string, ref: string): Connection | undefined =>
    of(tenantId).find(({ connectionId, name }) => connectionId === ref || name === ref);
  const existing = (tenantId: string, connectionId: string): Connection => {
    const found = find(tenantId, connectionId);
    if (found === undefined) throw new CodedError('connection_unknown', 'no connection has this id');
    return found;
  };

  function add(request: Pick<InstallRequest, 'tenantId' | 'name' | 'config'>, hasApiKey: boolean): Connection {
    const { tenantId, name, config } = request;
    const problems: string[] = [];
    const parsed = <T>(text: unknown, parse: (text: string) => { value: T } | { problem: string }, none: T): T => {
      if (typeof text !== 'string') return none;
      const result = parse(text);
      if ('value' in result) return result.value;
      problems.push(result.problem);
      return none;
    };
    const settings = {
      ...CONNECTION_SETTINGS,
      pollIntervalMs: parsed(config['poll_interval'], parsePollInterval, 60_000),
      backfillSinceMs: parsed<number | null>(
        config['backfill_since'],
        (text) => parseBackfillSince(text, nowMs()),
        null,
      ),
    };
    if (typeof config['subdomain'] !== 'string') problems.push('config.subdomain is missing');
    if (problems.length > 0) throw new CodedError('config_invalid', problems.join('; '));
    const before = find(tenantId, name);
    made += 1;
    const connection: Connection = {
      connectionId: before?.connectionId ?? `cn_${String(made).padStart(6, '0')}`,
      tenantId,
      resellerId: null,
      workspaceId: null,
      name,
      subdomain: String(config['subdomain']),
      orgId: null,
      apiBaseUrl: null,
      hasApiKey: hasApiKey || before?.hasApiKey === true,
      startedAtMs: before?.startedAtMs ?? nowMs(),
      webhookId: null,
      previousWebhookId: null,
      settings,
    };
    connections.set(connection.connectionId, connection);
    return connection;
  }

  function change(tenantId: string, command: PolicyCommand) {
    const changed = changePolicies(sets.get(tenantId) ?? NO_POLICIES, command);
    sets.set(tenantId, changed.set);
    return changed;
  }

  const ports: MemoryPorts = {
    sent,
    answer: async () => ({ kind: 'pending', commandId: 'cmd_1' }),
    checks: [{ name: 'authentication', ok: true, code: 'ok', message: 'Kustomer knows the key', nextStep: null }],
    addConnection: (tenantId, name) => add({ tenantId, name, config: { subdomain: 'acme' } }, true),
    actions: {
      async send(request) {
        sent.push(request);
        return ports.answer(request);
      },
    },
    policies: {
      of: (tenantId) => compilePolicies(tenantId, sets.get(tenantId) ?? NO_POLICIES),
      set: (tenantId) => sets.get(tenantId) ?? NO_POLICIES,
      unreadable: () => [],
      apply: async (tenantId, document, by) => change(tenantId, { do: 'apply', document, by, nowMs: nowMs() }),
      disable: async (tenantId, name) => change(tenantId, { do: 'disable', name, nowMs: nowMs() }),
      delete: async (tenantId, name) => change(tenantId, { do: 'delete', name, nowMs: nowMs() }),
      discard: async () => false,
      used: () => 0,
    },
    grants: {
      of: ({ tenantId, connectionId, hasApiKey }) => ({
        exposed: hasApiKey ? EXPOSED : new Set(),
        granted: new Map(
          [...granted.values()]
            .filter((one) => one.tenantId === tenantId && one.connectionId === connectionId)
            .map((one) => [one.operator, new Set(one.capabilities)]),
        ),
      }),
      list: (tenantId) => [...granted.values()].filter((one) => one.tenantId === tenantId),
      async grant({ tenantId, connectionId, operator, capability, by }) {
        const key = `${tenantId}/${connectionId}/${operator}`;
        const capabilities = [...new Set([...(granted.get(key)?.capabilities ?? []), capability])].sort();
        granted.set(key, { tenantId, connectionId, operator, capabilities, updatedAtMs: nowMs(), by });
      },
      async revoke({ tenantId, connectionId, operator, capability }) {
        const key = `${tenantId}/${connectionId}/${operator}`;
        const now = granted.get(key);
        if (now === undefined) return;
        const capabilities = now.capabilities.filter((one) => one !== capability);
        if (capabilities.length === 0) granted.delete(key);
        else granted.set(key, { ...now, capabilities });
      },
    },
    connectors: {
      list: (tenantId) => of(tenantId).map(installedOf),
      find: (tenantId, ref) => {
        const found = find(tenantId, ref);
        return found === undefined ? undefined : installedOf(found);
      },
      async install(request) {
        const created = find(request.tenantId, request.name) === undefined;
        const installed = installedOf(add(request, request.apiKey !== undefined));
        return { installed, created, keyStored: request.apiKey !== undefined, checks: ports.checks };
      },
      async remove(tenantId, connectionId) {
        connections.delete(existing(tenantId, connectionId).connectionId);
      },
      async webhook(tenantId, connectionId) {
        existing(tenantId, connectionId);
        return { url: null, tokens: 0, state: 'connected', reason: null, message: 'as it should be', webhooks: [] };
      },
      async contract(tenantId, connectionId) {
        existing(tenantId, connectionId);
        return ports.checks;
      },
      async backfills(tenantId, connectionId) {
        const { settings } = existing(tenantId, connectionId);
        if (settings.backfillSinceMs === null) return [];
        const since = new Date(settings.backfillSinceMs).toISOString();
        const nothing = { coveredFrom: null, readUpTo: null, rowsDone: 0, rowsLeft: null, updatedAt: null };
        return [{ stream: 'conversations', status: 'waiting', since, ...nothing }];
      },
      async startBackfill(tenantId, connectionId, since) {
        const { name } = existing(tenantId, connectionId);
        add({ tenantId, name, config: { subdomain: 'acme', backfill_since: since } }, true);
      },
    },
  };
  return ports;
}
