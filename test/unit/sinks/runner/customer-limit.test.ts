/**
 * Three hundred notes for one customer within a minute, of which Kustomer takes 120: in a world whose minute is three seconds.
 * Twice: where Kustomer would take them all, so that only our own pace holds them back; and where two processes know nothing
 * of each other, so that its refusals must.
 */
import { afterEach, expect, it } from 'vitest';
import type { Clock } from '../../../../src/base/clock.ts';
import { createMemoryLog } from '../../../../src/kafka/memory/index.ts';
import { type HouseOptions, QUICK, SinkHouse } from '../../../support/sinks/house.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { KEY, simulated } from '../../simulator/simulated.ts';

const MINUTE_MS = 60_000;
const LIMIT = 120;
const NOTES = 300;
/** Of the notes, those for which no minute but the last has room. */
const LAST_MINUTE = NOTES - 2 * LIMIT;
const FASTER = 20;

/** Twenty minutes in one. */
function fastClock(): Clock {
  const startMs = Date.now();
  const sinceMs = performance.now();
  const nowMs = () => startMs + Math.floor((performance.now() - sinceMs) * FASTER);
  return {
    nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const done = () => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', done);
          resolve();
        };
        const timer = setTimeout(done, Math.max(0, ms) / FASTER);
        signal?.addEventListener('abort', done, { once: true });
      }),
  };
}

/** Each of these takes twenty times as long here. */
const slow = (config: typeof QUICK): typeof QUICK =>
  Object.fromEntries(
    Object.entries(config).map(([key, value]) => {
      if (!key.endsWith('Ms')) return [key, value];
      return [key, Array.isArray(value) ? value.map((ms) => ms * FASTER) : (value as number) * FASTER];
    }),
  ) as never;

const houses: SinkHouse[] = [];
afterEach(async () => {
  for (const house of houses.splice(0)) {
    await house.close();
    expect(house.crashes).toEqual([]);
  }
});

it('one process: no minute has more than 120, none is lost or doubled, and other customers do not wait', async () => {
  const world = await setUp({ createsPerCustomerMinute: 1_000_000 }, 1);
  const { refused, mostInAMinute, behindOthers } = await world.run();
  expect(refused).toBe(0);
  expect(mostInAMinute).toBeLessThanOrEqual(LIMIT);
  expect(mostInAMinute).toBeGreaterThan(LIMIT - 30);
  expect(behindOthers).toBeGreaterThanOrEqual(LAST_MINUTE);
}, 60_000);

it('two processes: what Kustomer refuses waits with its lane, and nobody else does', async () => {
  const world = await setUp({ createsPerCustomerMinute: LIMIT }, 2);
  const { refused, behindOthers } = await world.run();
  expect(refused).toBeGreaterThan(0);
  expect(behindOthers).toBeGreaterThanOrEqual(LAST_MINUTE);
}, 60_000);

it('a command does not wait past its deadline, and a copy does not wait at all', async () => {
  const { org, url } = await simulated({}, { nowMs: Date.now });
  const log = createMemoryLog();
  const house = await SinkHouse.build({
    connect: () => log.connect(),
    apiUrl: url,
    apiKey: KEY,
    machineUserId: org.machineUserId,
    sink: { pace: { creates: 1, windowMs: MINUTE_MS, maxCustomers: 10 } },
  });
  houses.push(house);
  await house.start();
  const [conversation] = [...org.organisation.conversations.values()];
  const note = { capability: 'conversation.note.write', args: { conversation_id: conversation?.id, body: 'Late.' } };
  const first = { ...note, idempotencyKey: 'first' };
  await house.send(house.command(first), house.command(first));
  await house.send(house.command({ ...note, deadlineMs: Date.now() + 500 }));
  await waitFor(() => house.receipts.length === 3, { message: 'three receipts' });
  expect(house.receipts.map(({ outcome, error }) => `${outcome} ${error?.code ?? '-'}`)).toEqual([
    'applied -',
    'deduplicated -',
    'refused deadline_passed',
  ]);
  expect(org.writes.count).toBe(1);
});

async function setUp(limits: { readonly createsPerCustomerMinute: number }, processes: number) {
  const clock = fastClock();
  const there = await simulated(
    { conversations: 12, limits: { orgPerMinute: 1_000_000, ...limits } },
    { nowMs: clock.nowMs },
  );
  const { org } = there;
  const broker = createMemoryLog({ clock });
  const options: HouseOptions = {
    connect: () => broker.connect(),
    apiUrl: there.url,
    apiKey: KEY,
    machineUserId: org.machineUserId,
    sessionTimeoutMs: 1000 * FASTER,
    lifecycle: slow(QUICK),
  };
  const house = await SinkHouse.build(options);
  houses.push(house);
  for (let count = 0; count < processes; count++) await house.start();
  const conversations = [...org.organisation.conversations.values()];
  const customerOf = (index: number) => conversations[index]?.relationships['customer']?.data?.id as string;
  // Ten conversations of one customer, and the last ones of others.
  const theirs = customerOf(0);
  for (const { id } of conversations.slice(1, 10)) {
    org.perform(clock.nowMs(), (organisation) => organisation.moveConversation(clock.nowMs(), id, theirs));
  }
  const note = (conversation: number, body: string) =>
    house.command({
      capability: 'conversation.note.write',
      args: { conversation_id: conversations[conversation]?.id, body },
    });
  const others = conversations.flatMap(({ id }, index) =>
    org.organisation.conversations.get(id)?.relationships['customer']?.data?.id === theirs ? [] : [index],
  );
  const elsewhere = () => org.writes.list().filter(({ body }) => (body as { body: string }).body.startsWith('For'));
  const run = async () => {
    const refusals = { count: 0 };
    org.observeAnswers(({ status }) => {
      if (status === 429) refusals.count += 1;
    });
    // A burst over the end of Kustomer's minute would be two, and both allowed.
    await clock.sleep(MINUTE_MS - (clock.nowMs() % MINUTE_MS));
    const crowd = Array.from({ length: NOTES }, (_, index) => note(index % 10, `Note ${index}.`));
    await house.send(...crowd);
    await waitFor(() => org.writes.count >= LIMIT, { message: `${LIMIT} notes`, everyMs: 5 });
    await house.send(...others.map((index) => note(index, 'For somebody else.')));
    await waitFor(() => elsewhere().length === others.length, { message: 'the notes of the others', everyMs: 5 });
    expect(house.receipts.length, 'all this while the crowd waits').toBeLessThan(NOTES);
    const total = NOTES + others.length;
    await waitFor(() => house.receipts.length >= total, { message: `${total} receipts`, deadlineMs: 45_000 });
    expect(house.outcomes()).toEqual({ 'ALLOW applied': total });
    const bodies = org.writes.list().map(({ body }) => (body as { body: string }).body);
    expect(bodies).toHaveLength(total);
    expect(new Set(bodies.filter((body) => body.startsWith('Note')))).toHaveProperty('size', NOTES);
    const writes = org.writes.list().filter(({ body }) => (body as { body: string }).body.startsWith('Note'));
    const mostInAMinute = Math.max(
      ...writes.map(({ atMs }) => writes.filter((other) => other.atMs >= atMs && other.atMs < atMs + MINUTE_MS).length),
    );
    const lastOther = bodies.findLastIndex((body) => body.startsWith('For'));
    return { refused: refusals.count, mostInAMinute, behindOthers: bodies.length - 1 - lastOther };
  };
  return { run };
}
