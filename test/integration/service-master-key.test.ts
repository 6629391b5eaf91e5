/** A processor whose master key opens no connection: it needs the settings, and these are no secret. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { HEADER } from '../../src/kafka/headers.ts';
import { Installation } from '../support/installation.ts';
import { eventBody } from '../support/webhooks.ts';

test('regression: a processor with another master key dropped the extended events of every connection', async () => {
  const site = await Installation.open({ tenants: 1 });
  const { orgId, tenantId, connectionId } = site.target(0, '');
  const extending = site.launch(['connection', 'add', '--tenant', tenantId, '--id', connectionId, '--extended-events']);
  extending.input('');
  expect(await extending.waitForExit()).toEqual({ code: 0, signal: null });
  const producer = await site.log.producer({ clientId: 'raw' });
  const headers = { [HEADER.tenant]: tenantId, [HEADER.connection]: connectionId, [HEADER.channel]: 'webhook' };
  const value = eventBody('kustomer.tag.create', { org: orgId });
  await producer.append([{ topic: site.names.raw, partition: 0, key: null, value, headers }]);
  await producer.close();

  const CN_MASTER_KEY = randomBytes(32).toString('hex');
  const processor = await site.serve({ roles: 'process', env: { CN_MASTER_KEY } });
  await site.caughtUp();
  expect(processor.lines('control.connection_problem')).toMatchObject([{ connectionId, code: 'secret_unreadable' }]);
  expect((await site.visibleEnvelopes()).records).toHaveLength(1);
  await processor.stop();
});
