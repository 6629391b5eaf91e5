/** A service of its own for a run: topics, schemas, the connection, a policy that allows and grants; and its sinks as processes. */
import { onTestFinished } from 'vitest';
import { openDocuments } from '../../../src/app/control/documents.ts';
import { openGrantStore } from '../../../src/app/control/grant-store.ts';
import { openPolicyStore } from '../../../src/app/control/policy-store.ts';
import { lookUpSchemaIds, openRegistry } from '../../../src/app/schemas.ts';
import { createLogger } from '../../../src/app/telemetry.ts';
import { Secret } from '../../../src/base/secret.ts';
import { CAPABILITIES, WRITE_CAPABILITIES } from '../../../src/fibric/policy/capabilities.ts';
import { parsePolicy } from '../../../src/fibric/policy/parse.ts';
import type { Org } from '../../../src/simulator/org.ts';
import { Installation } from '../installation.ts';
import { openTestLog } from '../log-fixtures.ts';
import type { TestProcess } from '../process.ts';
import { ALLOW_ALL, SinkHouse, TENANT } from '../sinks/house.ts';

const PARTITIONS = 6;
const SESSION_TIMEOUT_MS = 6000;
const START_DEADLINE_MS = 60_000;
const OPERATOR = 'op-support';

export interface ChaosSite {
  /** Composes and sends commands, and reads the receipts. */
  readonly house: SinkHouse;
  /** Resolves when it serves; it may own nothing yet. */
  startSink(): Promise<TestProcess>;
  owns(sink: TestProcess): Promise<void>;
}

export async function openSite(org: Org, apiUrl: string): Promise<ChaosSite> {
  const env = {
    COMMAND_PARTITIONS: String(PARTITIONS),
    GROUP_SESSION_TIMEOUT_MS: String(SESSION_TIMEOUT_MS),
    // What a customer may take is another test.
    CREATES_PER_CUSTOMER_MINUTE: '1000000',
  };
  const site = await Installation.open({ tenants: 1, env });
  const logger = createLogger('silent');
  const ids = await lookUpSchemaIds(['command'], {
    registry: openRegistry(site.settings),
    clock: site.log.clock,
    logger,
    deadlineMs: START_DEADLINE_MS,
    signal: new AbortController().signal,
  });
  const house = await SinkHouse.build({
    connect: () => openTestLog().log,
    prefix: site.prefix,
    apiUrl,
    apiKey: org.apiKey,
    machineUserId: org.machineUserId,
    partitions: PARTITIONS,
    commandSchemaId: ids.command as number,
  });
  onTestFinished(() => house.close());
  const { connection } = house;
  await site.store.add({ connection, token: new Secret('token'), apiKey: new Secret(org.apiKey), dropOld: false });
  const documents = await openDocuments({ log: site.log, topic: site.names.control, logger });
  onTestFinished(() => documents.close());
  const parsed = parsePolicy(ALLOW_ALL, CAPABILITIES);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  await openPolicyStore(documents, site.log.clock).apply(TENANT, parsed.document, 'test');
  const grants = openGrantStore(documents, site.log.clock);
  for (const { name: capability } of WRITE_CAPABILITIES) {
    const to = { tenantId: TENANT, connectionId: connection.connectionId, operator: OPERATOR };
    await grants.grant({ ...to, capability, by: 'test' });
  }
  return {
    house,
    startSink: async () => {
      const script = 'test/support/sinks/quick-service.ts';
      const sink = site.launch(['serve', '--roles', 'sink'], { script, endWith: 'SIGKILL' });
      await sink.waitForOutput(/listening on http/, START_DEADLINE_MS);
      return sink;
    },
    owns: async (sink) => {
      await sink.waitForOutput(/"event":"sink\.assigned"[^\n]*"partitions":\[\d/, START_DEADLINE_MS);
    },
  };
}
