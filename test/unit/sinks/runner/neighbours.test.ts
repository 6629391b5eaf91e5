/**
 * N10 of lanes.ts, carried out: a tenant whose Kustomer takes its commands slowly has far more of them in a partition than there
 * is room for, and another tenant's command comes behind them.
 */
import { expect, it } from 'vitest';
import type { KustomerClient } from '../../../../src/kustomer/client/client.ts';
import { LANE_LIMITS } from '../../../../src/sinks/lanes.ts';
import { TENANT } from '../../../support/sinks/house.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { memoryHouse } from '../memory-house.ts';

const QUIET = 't_quiet';
const NOISY_COMMANDS = 400;
const CALL_MS = 8;

/** One call at a time, and each takes its time: as an organisation's rate limit would have it. */
function slowly(client: KustomerClient): KustomerClient {
  let last = Promise.resolve();
  const call = (async (...args: Parameters<KustomerClient['call']>) => {
    const turn = last.then(() => new Promise<void>((resolve) => setTimeout(resolve, CALL_MS)));
    last = turn;
    await turn;
    return client.call(...args);
  }) as KustomerClient['call'];
  return { ...client, call };
}

async function setUp() {
  const passedOver: string[] = [];
  /** Of each process's client. */
  const slow = new Map<KustomerClient, KustomerClient>();
  const { house, org } = await memoryHouse({
    org: { conversations: 60, limits: { orgPerMinute: 1_000_000 } },
    partitions: 1,
    neighbour: QUIET,
    between: (tenantId, client) => {
      if (tenantId === QUIET) return client;
      const made = slow.get(client) ?? slowly(client);
      slow.set(client, made);
      return made;
    },
    sink: { lanes: { ...LANE_LIMITS, maxQueued: 45, maxLanes: 45, maxActive: 90 } },
    observer: { passedOver: (_partition, tenantId) => passedOver.push(tenantId) },
  });
  const conversations = [...org.organisation.conversations.values()].map(({ id }) => id);
  const note = (tenantId: string, conversation: number, body: string) =>
    house.command({
      tenantId,
      capability: 'conversation.note.write',
      args: { conversation_id: conversations[conversation], body },
    });
  const noise = Array.from({ length: NOISY_COMMANDS }, (_, index) => note(TENANT, index % 50, `Noise ${index}`));
  const receiptsOf = (tenantId: string) => house.receipts.filter(({ tenant_id }) => tenant_id === tenantId).length;
  const written = () => org.writes.list().map(({ body }) => (body as { body: string }).body);
  /** Every command was written once, and those of a conversation in their order. */
  const check = (quiet: number) => {
    expect(house.outcomes()).toEqual({ 'ALLOW applied': NOISY_COMMANDS + quiet });
    expect(new Set(written()).size).toBe(NOISY_COMMANDS + quiet);
    expect(written()).toHaveLength(NOISY_COMMANDS + quiet);
    const last = new Map<number, number>();
    for (const body of written().filter((text) => text.startsWith('Noise'))) {
      const index = Number(body.split(' ')[1]);
      expect(index).toBeGreaterThan(last.get(index % 50) ?? -1);
      last.set(index % 50, index);
    }
  };
  return { house, note, noise, receiptsOf, passedOver, check };
}

it('the other command does not wait until the slow ones are done; those come later, once and in order', async () => {
  const { house, note, noise, receiptsOf, passedOver, check } = await setUp();
  await house.start();
  await house.send(...noise, note(QUIET, 55, 'Quiet'));
  await waitFor(() => receiptsOf(QUIET) === 1, { message: "the quiet tenant's receipt", everyMs: 5 });
  expect(receiptsOf(TENANT)).toBeLessThan(NOISY_COMMANDS / 2);
  expect(passedOver).toEqual([TENANT]);
  await house.send(note(QUIET, 56, 'Quiet again'));
  await waitFor(() => receiptsOf(QUIET) === 2, { message: 'the second one', everyMs: 5 });
  expect(receiptsOf(TENANT), 'nobody waits for the patience again').toBeLessThan(NOISY_COMMANDS / 2);
  await waitFor(() => house.receipts.length === NOISY_COMMANDS + 2, { message: 'all receipts', deadlineMs: 30_000 });
  check(2);
}, 60_000);

it('what was passed over is the next owner’s, once and in order', async () => {
  const { house, note, noise, receiptsOf, check } = await setUp();
  const first = await house.start();
  await house.send(...noise, note(QUIET, 55, 'Quiet'));
  await waitFor(() => receiptsOf(QUIET) === 1, { message: "the quiet tenant's receipt", everyMs: 5 });
  expect(first.sink.counts.passed).toBeGreaterThan(0);
  await house.stop(first);
  expect(receiptsOf(TENANT)).toBeLessThan(NOISY_COMMANDS);
  await house.start();
  await waitFor(() => house.receipts.length === NOISY_COMMANDS + 1, { message: 'all receipts', deadlineMs: 30_000 });
  check(1);
}, 60_000);

it('a tenant whose burst is over in a moment is not passed over', async () => {
  const { house, noise, passedOver } = await setUp();
  const { sink } = await house.start();
  await house.send(...noise.slice(0, 60));
  await waitFor(() => house.receipts.length === 60, { message: 'all receipts', deadlineMs: 30_000 });
  expect([passedOver, sink.counts.passed]).toEqual([[], 0]);
}, 60_000);
