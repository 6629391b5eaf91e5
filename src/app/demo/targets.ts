/** Connections of floods: their own tenants, added when missing, their tokens opened with the master key. */

import { randomBytes } from 'node:crypto';
import { Secret } from '../../base/secret.ts';
import { CONNECTION_SETTINGS } from '../../fibric/connection.ts';
import type { FloodTarget } from '../../simulator/flood/options.ts';
import type { ConnectionStore } from '../control/store.ts';

/** `t_flood1`, `t_flood2`, … */
export function floodTenants(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `t_flood${i + 1}`);
}

/** The targets of these tenants, still without the receiver's address. */
export async function floodTargets(
  store: ConnectionStore,
  tenants: readonly string[],
): Promise<readonly Omit<FloodTarget, 'url'>[]> {
  const targets: Omit<FloodTarget, 'url'>[] = [];
  for (const [index, tenantId] of tenants.entries()) {
    const number = index + 1;
    const connectionId = `cn_flood${number}`;
    const orgId = number.toString(16).padStart(24, 'f100d0');
    const connection = {
      connectionId,
      tenantId,
      resellerId: null,
      workspaceId: null,
      name: 'flood',
      subdomain: `flood${number}`,
      orgId,
      apiBaseUrl: null,
      hasApiKey: false,
      startedAtMs: 0,
      webhookId: null,
      previousWebhookId: null,
      settings: CONNECTION_SETTINGS,
    };
    const live =
      store.get(connectionId) ??
      (await store.add({ connection, token: new Secret(randomBytes(24).toString('hex')), dropOld: false }));
    const token = live.webhookTokens.at(-1) as Secret;
    targets.push({ tenantId, connectionId, orgId: live.orgId ?? orgId, token: token.reveal() });
  }
  return targets;
}

export function receiverUrl(baseUrl: string, connectionId: string): string {
  return `${baseUrl}/webhooks/kustomer/${connectionId}`;
}
