/**
 * Seeded randomness and object ids. The same seed gives the same sequence on every machine, so a simulated
 * organisation or a flood can be reproduced byte for byte. Never for secrets.
 */
import { createHash } from 'node:crypto';

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** An integer in [0, bound). */
  int(bound: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
}

/** sfc32 over a SHA-256 of the seed: similar seeds give unrelated sequences. */
export function createRandom(seed: string): Random {
  const digest = createHash('sha256').update(seed).digest();
  let a = digest.readInt32LE(0);
  let b = digest.readInt32LE(4);
  let c = digest.readInt32LE(8);
  let counter = digest.readInt32LE(12);
  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return (t >>> 0) / 0x1_0000_0000;
  };
  const int = (bound: number): number => Math.floor(next() * bound);
  return {
    next,
    int,
    chance: (probability) => next() < probability,
    pick: <T>(items: readonly T[]): T => {
      if (items.length === 0) throw new RangeError('nothing to pick from');
      return items[int(items.length)] as T;
    },
  };
}

/** Makes the vendor's 24-hex object ids. */
export type IdSource = (nowMs: number) => string;

/**
 * Ids laid out as the vendor's (4 bytes of seconds, 5 of the maker, 3 of a counter). The maker comes from the seed, so
 * two sources with different seeds never give the same id, whatever their clocks say; within one source 2^24 ids fit a second.
 */
export function createIds(seed: string): IdSource {
  const digest = createHash('sha256').update(`ids:${seed}`).digest();
  const maker = digest.toString('hex', 0, 5);
  let counter = digest.readUIntBE(5, 3);
  return (nowMs) => {
    counter = (counter + 1) & 0xff_ffff;
    const seconds = Math.floor(nowMs / 1000) >>> 0;
    return seconds.toString(16).padStart(8, '0') + maker + counter.toString(16).padStart(6, '0');
  };
}
