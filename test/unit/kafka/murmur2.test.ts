import { describe, expect, it } from 'vitest';
import { choosePartition, murmur2, partitionOfKey } from '../../../src/kafka/murmur2.ts';

describe('murmur2', () => {
  // The vectors of org.apache.kafka.common.utils.UtilsTest#testMurmur2.
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('hashes %s as Java does', (text, hash) => {
    expect(murmur2(Buffer.from(text))).toBe(hash);
  });

  it('gives a partition in range for negative hashes too', () => {
    expect(partitionOfKey(Buffer.from('21'), 4)).toBe((-973932308 & 0x7fffffff) % 4);
    for (let index = 0; index < 1000; index += 1) {
      const partition = partitionOfKey(Buffer.from(`key-${index}`), 7);
      expect(partition).toBeGreaterThanOrEqual(0);
      expect(partition).toBeLessThan(7);
    }
  });

  it("deals records without a key round robin, by the caller's counter", () => {
    expect([0, 1, 2, 3].map((turn) => choosePartition(null, 3, turn))).toEqual([0, 1, 2, 0]);
    expect(choosePartition(Buffer.from('21'), 4, 99)).toBe(partitionOfKey(Buffer.from('21'), 4));
  });
});
