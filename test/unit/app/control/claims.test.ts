/** One at a time over all processes. Numbers X… are those of src/app/control/claims.ts. */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CLAIM_MS, type Claim } from '../../../../src/app/control/claims.ts';
import { createKeyring } from '../../../../src/app/control/seal.ts';
import { type ConnectionStore, openConnectionStore } from '../../../../src/app/control/store.ts';
import { createLogger } from '../../../../src/app/telemetry.ts';
import { realClock } from '../../../../src/base/clock.ts';
import { createMemoryLog, type MemoryLog } from '../../../../src/kafka/memory/index.ts';
import { waitFor } from '../../../support/wait-for.ts';

const TOPIC = 'fibric.control';
const key = randomBytes(32);

let log: MemoryLog;
let aheadMs: number;
let opened: ConnectionStore[];

beforeEach(async () => {
  aheadMs = 0;
  opened = [];
  log = createMemoryLog({ clock: { ...realClock, nowMs: () => Date.now() + aheadMs } });
  await log.admin.createTopics([{ name: TOPIC, partitions: 1, config: { 'cleanup.policy': 'compact' } }]);
});

afterEach(async () => {
  for (const store of opened) await store.close();
  await log.close();
});

async function open(process: MemoryLog = log.connect()): Promise<ConnectionStore> {
  const keyring = createKeyring([key]);
  const store = await openConnectionStore({
    ...{ log: process, topics: { control: TOPIC }, keyring, logger: createLogger('silent'), timeoutMs: 5_000 },
  });
  opened.push(store);
  return store;
}

/** Work that stands still until it is let go. */
function standing() {
  const over = Promise.withResolvers<void>();
  let claim: Claim | undefined;
  return {
    work: async (given: Claim) => {
      claim = given;
      await over.promise;
    },
    begun: () => waitFor(() => claim, { message: 'the work has begun' }),
    end: () => over.resolve(),
  };
}

const claimed = async () => (await readKeys()).filter((name) => name.startsWith('claim/'));

async function readKeys(): Promise<readonly string[]> {
  log.compact(TOPIC);
  const reader = await log.reader({ clientId: 'raw', topics: [TOPIC] });
  const { high } = await log.admin.watermarks({ topic: TOPIC, partition: 0 });
  const names: string[] = [];
  const done = Promise.withResolvers<void>();
  reader.follow({
    ...{ topic: TOPIC, partition: 0, fromOffset: 0, failed: done.reject },
    records: ({ records }) => void names.push(...records.map((record) => String(record.key))),
    passed: (nextOffset) => nextOffset >= high && done.resolve(),
  });
  await done.promise;
  await reader.close();
  return names;
}

describe('X1: of several', () => {
  it('one works at a time, in whatever processes they are, and each has its turn (property)', async () => {
    const stores = await Promise.all([open(), open(), open()]);
    const asking = fc.array(fc.record({ process: fc.nat(2), tenant: fc.constantFrom('t_a', 't_b') }), {
      minLength: 2,
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(asking, async (all) => {
        const working = new Map<string, number>();
        let most = 0;
        let done = 0;
        await Promise.all(
          all.map(({ process, tenant }) =>
            stores[process]?.exclusively(tenant, async ({ renew }) => {
              working.set(tenant, (working.get(tenant) ?? 0) + 1);
              most = Math.max(most, working.get(tenant) ?? 0);
              await renew();
              working.set(tenant, (working.get(tenant) ?? 0) - 1);
              done += 1;
            }),
          ),
        );
        expect([most, done]).toEqual([1, all.length]);
        expect(await claimed()).toEqual([]);
      }),
      { numRuns: 15 },
    );
  });

  it('who waits too long is told so, and when it is over at the latest; another tenant waits for nobody', async () => {
    const [one, other] = await Promise.all([open(), open()]);
    const first = standing();
    const working = one.exclusively('t_a', first.work);
    await first.begun();
    const never = async () => expect.unreachable('two at once');
    await expect(other.exclusively('t_a', never, { waitMs: 0 })).rejects.toMatchObject({
      code: 'connection_busy',
      message: expect.stringMatching(/20\d\d-.*at the latest/),
    });
    expect(await other.exclusively('t_b', async () => 'done', { waitMs: 0 })).toBe('done');
    first.end();
    await working;
    expect(await other.exclusively('t_a', async () => 'done', { waitMs: 0 })).toBe('done');
  });

  it('whose asker is gone does not wait on', async () => {
    const [one, other] = await Promise.all([open(), open()]);
    const first = standing();
    const working = one.exclusively('t_a', first.work);
    await first.begun();
    const gone = new AbortController();
    const waiting = other.exclusively('t_a', async () => expect.unreachable(), { signal: gone.signal });
    gone.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'shutting_down' });
    first.end();
    await working;
  });

  it('the failure of one is its own, and ends its claim', async () => {
    const [one, other] = await Promise.all([open(), open()]);
    const failing = one.exclusively('t_a', async () => {
      throw new Error('of the work');
    });
    await expect(failing).rejects.toThrow('of the work');
    expect(await other.exclusively('t_a', async () => 'done', { waitMs: 0 })).toBe('done');
  });
});

describe('X2: a claim whose holder is gone', () => {
  it('ends after its time, and not before', async () => {
    const killed = log.connect();
    const [one, other] = await Promise.all([open(killed), open()]);
    const first = standing();
    void one.exclusively('t_a', first.work).catch(() => undefined);
    await first.begun();
    killed.kill();
    opened = opened.filter((store) => store !== one);
    const askedAfter = async (ms: number) => {
      aheadMs = ms;
      return other.exclusively('t_a', async () => 'done', { waitMs: 0 }).catch(({ code }) => code);
    };
    expect(await askedAfter(CLAIM_MS - 10_000)).toBe('connection_busy');
    expect(await askedAfter(CLAIM_MS + 1_000)).toBe('done');
  });

  it.each(['not json', '{"version":2,"holder":"x","until_ms":0}', ''])(
    'and one that cannot be read ends too: %s',
    async (text) => {
      const store = await open();
      const producer = await log.producer({ clientId: 'test' });
      await producer.append([{ topic: TOPIC, partition: 0, key: Buffer.from('claim/t_a'), value: Buffer.from(text) }]);
      await producer.close();
      const { high } = await log.admin.watermarks({ topic: TOPIC, partition: 0 });
      await waitFor(() => store.readTo() >= high, { message: 'it was read' });
      const asked = () => store.exclusively('t_a', async () => 'done', { waitMs: 0 }).catch(({ code }) => code);
      expect(await asked()).toBe('connection_busy');
      aheadMs = CLAIM_MS + 1_000;
      expect(await asked()).toBe('done');
    },
  );
});

it('X3, X4: who has lost its claim stops before the next step, and does not end that of another', async () => {
  const [slow, next, third] = await Promise.all([open(), open(), open()]);
  const [first, second] = [standing(), standing()];
  const slowly = slow.exclusively('t_a', first.work);
  const claim = await first.begun();
  await claim.renew();
  aheadMs = CLAIM_MS + 1_000;
  const working = next.exclusively('t_a', second.work);
  await second.begun();
  await expect(claim.renew()).rejects.toMatchObject({ code: 'connection_busy' });
  first.end();
  await slowly;
  const asked = third.exclusively('t_a', async () => 'done', { waitMs: 0 });
  await expect(asked).rejects.toMatchObject({ code: 'connection_busy' });
  second.end();
  await working;
  expect(await claimed()).toEqual([]);
});

it('a claim that is renewed does not end', async () => {
  const [one, other] = await Promise.all([open(), open()]);
  const first = standing();
  const working = one.exclusively('t_a', first.work);
  const claim = await first.begun();
  aheadMs = CLAIM_MS - 1_000;
  await claim.renew();
  aheadMs = CLAIM_MS + 1_000;
  await expect(other.exclusively('t_a', async () => undefined, { waitMs: 0 })).rejects.toMatchObject({
    code: 'connection_busy',
  });
  first.end();
  await working;
});
