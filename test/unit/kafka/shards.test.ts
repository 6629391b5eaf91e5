import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { byShard, shardAssigner, shardOf, transactionalId } from '../../../src/kafka/shards.ts';

describe('shards', () => {
  test('every partition has exactly one owner and a shard is never split', () => {
    const cases = fc.record({
      members: fc.uniqueArray(fc.uuid(), { minLength: 1, maxLength: 9 }),
      partitions: fc.integer({ min: 1, max: 64 }),
      shards: fc.integer({ min: 1, max: 64 }),
    });
    fc.assert(
      fc.property(cases, ({ members, partitions, shards }) => {
        const dealt = shardAssigner('raw', shards)(members, new Map([['raw', partitions]]));
        const all = [...dealt.values()].flat().map((owned) => owned.partition);
        expect(all.sort((a, b) => a - b)).toEqual(Array.from({ length: partitions }, (_, i) => i));
        const owners = new Map<number, Set<string>>();
        for (const [member, owned] of dealt)
          for (const { partition } of owned) {
            const shard = shardOf(partition, shards);
            owners.set(shard, (owners.get(shard) ?? new Set()).add(member));
          }
        for (const members of owners.values()) expect(members.size).toBe(1);
      }),
    );
  });

  test('the assignment does not depend on the order in which members are listed', () => {
    const topics = new Map([['raw', 8]]);
    expect(shardAssigner('raw', 4)(['b', 'a'], topics)).toEqual(shardAssigner('raw', 4)(['a', 'b'], topics));
  });

  test('shards balance: no member has two more than another', () => {
    const dealt = shardAssigner('raw', 16)(['a', 'b', 'c'], new Map([['raw', 64]]));
    const shares = [...dealt.values()].map((owned) => byShard(owned, 'raw', 16).size);
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
  });

  test('partitions of other topics are not taken for ours', () => {
    expect(byShard([{ topic: 'other', partition: 0 }], 'raw', 4).size).toBe(0);
  });

  test('the transactional id names group, topic and shard', () => {
    expect(transactionalId('g', 'raw', 3)).toBe('g-raw-3');
  });
});
