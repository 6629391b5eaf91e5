/** An installation of the service for one run: topics, schemas, a connection to the stub, a policy with a limit, a grant. */

import { openDocuments } from '../../src/app/control/documents.ts';
import { openGrantStore } from '../../src/app/control/grant-store.ts';
import { openControl } from '../../src/app/control/open.ts';
import { openPolicyStore } from '../../src/app/control/policy-store.ts';
import { openRegistry, registerSchemas } from '../../src/app/schemas.ts';
import { loadSettings, type Settings } from '../../src/app/settings.ts';
import { createLogger } from '../../src/app/telemetry.ts';
import { reconcileTopics, topicSettings } from '../../src/app/topic-settings.ts';
import { Secret } from '../../src/base/secret.ts';
import { CONNECTION_SETTINGS } from '../../src/fibric/connection.ts';
import { CAPABILITIES } from '../../src/fibric/policy/capabilities.ts';
import { parsePolicy } from '../../src/fibric/policy/parse.ts';
import { receiptsTopic, topicNames } from '../../src/kafka/topics.ts';
import type { BenchContext } from '../lib/bench.ts';
import { type ServiceUnderTest, serviceUnderTest } from '../lib/service.ts';
import { CONNECTION, OPERATOR, TENANT } from './workload.ts';

const CONNECTION_ID = 'cn_bench';
const CAPABILITY = 'conversation.note.write';
/** More than any run needs: each command takes its place in it. */
const POLICY = `policy: bench
rules:
  - allow: ${CAPABILITY}
    limit: { per: hour, max: 100000 }
default: deny
`;

export interface Site {
  readonly service: ServiceUnderTest;
  readonly commands: string;
  readonly receipts: { readonly name: string; readonly partitions: number };
  /** What commands are encoded with. */
  readonly commandSchemaId: number;
}

export async function buildSite(
  { log, ...context }: BenchContext,
  prefix: string,
  { stubUrl, env }: { readonly stubUrl: string; readonly env: Readonly<Record<string, string>> },
): Promise<Site> {
  const service = serviceUnderTest({ log, ...context }, prefix, env);
  const settings = loadSettings(service.command('settings', []).env ?? {});
  const topics = topicSettings(settings);
  const receipts = receiptsTopic(topics, TENANT);
  await reconcileTopics(log, topics, [TENANT]);
  await log.admin.createTopics([receipts]);
  const ids = await registerSchemas(openRegistry(settings), topicNames(prefix), [TENANT]);
  await control(log, settings, stubUrl);
  return { service, commands: topicNames(prefix).commands, receipts, commandSchemaId: ids.command };
}

async function control(log: BenchContext['log'], settings: Settings, stubUrl: string): Promise<void> {
  const logger = createLogger('silent');
  const store = await openControl({ log, settings, logger });
  const documents = await openDocuments({ log, topic: topicNames(settings.topicPrefix).control, logger });
  try {
    const connection = {
      ...{ connectionId: CONNECTION_ID, tenantId: TENANT, resellerId: null, workspaceId: null, name: CONNECTION },
      ...{ subdomain: 'acme', orgId: null, apiBaseUrl: stubUrl, hasApiKey: true, startedAtMs: Date.now() },
      ...{ webhookId: null, previousWebhookId: null, settings: CONNECTION_SETTINGS },
    };
    await store.add({ connection, token: new Secret('token'), apiKey: new Secret('bench-key'), dropOld: false });
    const parsed = parsePolicy(POLICY, CAPABILITIES);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    await openPolicyStore(documents, log.clock).apply(TENANT, parsed.document, 'bench');
    const grant = { tenantId: TENANT, connectionId: CONNECTION_ID, operator: OPERATOR, capability: CAPABILITY };
    await openGrantStore(documents, log.clock).grant({ ...grant, by: 'bench' });
  } finally {
    await documents.close();
    await store.close();
  }
}
