/** When a member leaves its group at the end of its worker: closing.ts, and owner workers under a virtual clock. */
import { describe, expect, it } from 'vitest';
import { closeWorker } from '../../../src/kafka/closing.ts';
import type { MemoryLog } from '../../../src/kafka/memory/index.ts';
import { OwnerHouse, SETTINGS, untilAborted } from '../../support/owner-house.ts';

const SETTLE_MS = 3_000;

/** What ended, in its order and at what time. */
async function setUp() {
  const house = await OwnerHouse.build();
  const { clock, log: shared } = house;
  const ended: { readonly what: string; readonly atMs: number }[] = [];
  const note = (what: string) => void ended.push({ what, atMs: clock.nowMs() });
  const connect = shared.connect.bind(shared);
  shared.connect = (): MemoryLog => {
    const log = connect();
    const group = log.group.bind(log);
    log.group = async (options) => {
      const member = await group(options);
      const close = member.close.bind(member);
      member.close = () => {
        note('member');
        return close();
      };
      return member;
    };
    return log;
  };
  const join = (name: string) =>
    house.join(name, async ({ partition, signal }) => {
      await untilAborted(signal);
      await clock.sleep(SETTLE_MS);
      note(`serve ${partition}`);
    });
  return { house, clock, ended, note, join };
}

describe('an owner worker that is closed', () => {
  it('leaves its group only when all it served has settled', async () => {
    const { house, clock, ended, join } = await setUp();
    const joined = await join('first');
    await house.ready(joined);
    await clock.run(joined.worker.close());
    expect(ended.map(({ what }) => what)).toEqual(['serve 0', 'serve 1', 'serve 2', 'serve 3', 'member']);
  });

  it('regression: one that the group had missed, stopped and continued, joined it anew before it left', async () => {
    const { house, clock, ended, join } = await setUp();
    const joined = await join('first');
    await house.ready(joined);
    joined.log.freeze();
    await clock.advance(SETTINGS.sessionTimeoutMs + 1_000);
    joined.log.thaw();
    const beganAtMs = clock.nowMs();
    await clock.run(joined.worker.close());
    expect(ended[0]).toEqual({ what: 'member', atMs: beganAtMs });
    // All the same it ends only when its work has.
    expect(ended).toHaveLength(5);
    expect(clock.nowMs() - beganAtMs).toBeGreaterThanOrEqual(SETTLE_MS);
    expect(house.crashes).toEqual([]);
  });
});

describe('closeWorker', () => {
  const order: string[] = [];
  const closing = (name: string, error?: Error) => ({
    close: async () => {
      order.push(name);
      await Promise.resolve();
      if (error !== undefined) throw error;
    },
  });
  const close = (heartbeatAgeMs: number | null, error?: Error) => {
    order.length = 0;
    const [runners, member, reader] = [closing('runners'), closing('member', error), closing('reader')];
    return closeWorker({ runners, member, reader, heartbeatAgeMs, sessionTimeoutMs: 10_000 });
  };

  it('tells a member that is missed from one that is not, or has just joined', async () => {
    for (const ageMs of [null, -5, 0, 9_999]) {
      await close(ageMs);
      expect(order).toEqual(['runners', 'member', 'reader']);
    }
    await close(10_000);
    expect(order).toEqual(['member', 'runners', 'reader']);
  });

  it('closes the rest though the member cannot leave, and tells of it', async () => {
    for (const ageMs of [0, 10_000]) {
      await expect(close(ageMs, new Error('no answer'))).rejects.toThrow('no answer');
      expect(order.toSorted()).toEqual(['member', 'reader', 'runners']);
    }
  });

  it('of what has not joined closes what there is', async () => {
    order.length = 0;
    const parts = { runners: closing('runners'), member: undefined, reader: null };
    await closeWorker({ ...parts, heartbeatAgeMs: null, sessionTimeoutMs: 10_000 });
    expect(order).toEqual(['runners']);
  });
});
