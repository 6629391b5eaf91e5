/** `cn-kustomer dead` on a real broker: what was set aside is found wherever it stands, and lands once its cause is gone. */
import { expect, test } from 'vitest';
import { openLogBriefly } from '../../src/app/log.ts';
import { createLogger } from '../../src/app/telemetry.ts';
import { HEADER } from '../../src/kafka/headers.ts';
import type { Append } from '../../src/kafka/port.ts';
import { runCommand } from '../support/cli.ts';
import { Installation } from '../support/installation.ts';
import { eventBody, newId } from '../support/webhooks.ts';

async function append(site: Installation, records: readonly Append[]): Promise<void> {
  const producer = await site.log.producer({ clientId: 'test' });
  await producer.append(records);
  await producer.close();
}

const dead = (site: Installation, words: string) =>
  runCommand(['dead', ...words.split(' ')], {
    env: site.env,
    openLog: () => openLogBriefly(site.settings, createLogger('silent')),
  });

const placesOf = (lines: readonly string[]) => lines.map((line) => (JSON.parse(line) as { place: string }).place);

test('a replay of what is still broken is dead again, and of what is mended is published once', async () => {
  const site = await Installation.open({ env: { RAW_PARTITIONS: '2', PROCESS_SHARDS: '2' }, tenants: 1 });
  const { tenantId, connectionId, orgId } = site.target(0, '');
  const origin = { [HEADER.tenant]: tenantId, [HEADER.connection]: connectionId, [HEADER.channel]: 'webhook' };
  const poison = { topic: site.names.raw, partition: 1, key: Buffer.from('poisoned'), headers: origin };
  await append(site, [{ ...poison, value: Buffer.from('{"hello":"world"}') }]);
  // Set aside by an earlier version that could not do it.
  const id = newId();
  await append(site, [
    {
      topic: site.names.dead,
      partition: 0,
      key: Buffer.from(id),
      value: eventBody('kustomer.conversation.create', { org: orgId, id }),
      headers: {
        ...origin,
        [HEADER.errorCode]: 'envelope_unencodable',
        [HEADER.errorMessage]: 'of an earlier version',
        [HEADER.sourceTopic]: site.names.raw,
        [HEADER.sourcePartition]: '0',
        [HEADER.sourceOffset]: '0',
      },
    },
  ]);
  const processor = await site.serve({ roles: 'process' });
  await site.caughtUp();
  expect(placesOf((await dead(site, 'list --json')).out).toSorted()).toEqual(['0@0', '1@0']);

  expect((await dead(site, 'replay 1@0')).out).toEqual([expect.stringMatching(/^replayed 1@0 /)]);
  await site.caughtUp();
  const again = await dead(site, 'list --code event_invalid --json');
  expect(placesOf(again.out)).toEqual(['1@2', '1@0']);
  expect((await site.visibleEnvelopes()).records).toEqual([]);

  for (let time = 0; time < 2; time += 1) {
    expect((await dead(site, 'replay --code envelope_unencodable --since 1h')).out).toEqual([
      expect.stringMatching(/^replayed 0@0 /),
    ]);
  }
  await site.caughtUp();
  expect((await site.visibleEnvelopes()).records.map(({ key }) => key?.toString())).toEqual([`conversation:${id}`]);
  expect((await dead(site, 'list --json')).out).toHaveLength(3);
  expect(processor.lines('process.failed')).toEqual([]);
  await processor.stop();
});

test('the oldest letter behind many is found, window by window, and so are bodies far apart', async () => {
  const site = await Installation.open({ env: { RAW_PARTITIONS: '1', PROCESS_SHARDS: '1' }, tenants: 1 });
  const LETTERS = 3_000;
  const letters = Array.from({ length: LETTERS }, (_, offset) => ({
    topic: site.names.dead,
    partition: 0,
    key: Buffer.from(`key-${offset}`),
    value: Buffer.from(`body-${offset}`),
    headers: {
      [HEADER.tenant]: offset % 1_499 === 0 ? 't_rare' : 't_many',
      [HEADER.connection]: 'cn_x',
      [HEADER.errorCode]: 'event_invalid',
      [HEADER.sourceTopic]: site.names.raw,
      [HEADER.sourcePartition]: '0',
      [HEADER.sourceOffset]: String(offset),
    },
  }));
  await append(site, letters);
  const rare = ['0@2998', '0@1499', '0@0'];
  expect(placesOf((await dead(site, 'list --tenant t_rare --json')).out)).toEqual(rare);
  expect(placesOf((await dead(site, 'list --limit 2 --json')).out)).toEqual(['0@2999', '0@2998']);
  const { code, bytes } = await dead(site, 'show 0@1499 --body');
  expect({ code, body: bytes.toString() }).toEqual({ code: 0, body: 'body-1499' });
  expect((await dead(site, 'replay --code event_invalid --tenant t_rare')).out).toHaveLength(rare.length);
  const { records } = await site.read([site.names.raw]);
  expect(records.map(({ value }) => value?.toString())).toEqual(['body-0', 'body-1499', 'body-2998']);
});
