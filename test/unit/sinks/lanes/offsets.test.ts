/** Cites the invariants of offsets.ts (F). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasCode } from '../../../../src/base/errors.ts';
import { Offsets, type Progress } from '../../../../src/sinks/lanes/offsets.ts';
import { decodeProgress, encodeProgress } from '../../../../src/sinks/lanes/progress-codec.ts';
import { holds, same } from '../same.ts';

type Command =
  | { readonly kind: 'see'; readonly gap: number }
  | { readonly kind: 'finish'; readonly which: number }
  | { readonly kind: 'crash' };

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('see' as const), gap: fc.constantFrom(0, 0, 0, 1, 3) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('finish' as const), which: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const) }) },
);

/** A partition whose records are at `log`; whoever reads it begins at what is committed and sees every record in turn. */
class Model {
  readonly log: number[] = [];
  readonly finished = new Set<number>();
  readonly inHand = new Set<number>();
  offsets = new Offsets(0, null);
  position = 0;
  committed: Progress = { commitOffset: 0, nextOffset: 0, unfinished: [] };
  groupOffset = 0;
  crashes = 0;

  see(gap: number): void {
    if (this.position === this.log.length) this.log.push((this.log.at(-1) ?? -1) + 1 + gap);
    const offset = this.log[this.position++] as number;
    const expected = this.finished.has(offset) ? 'known' : 'new';
    same(this.offsets.look(offset), expected, `F2 F3: offset ${offset}`);
    this.offsets.see(offset);
    same(this.offsets.look(offset), 'known', 'F2: in hand');
    if (expected === 'new') this.inHand.add(offset);
  }

  finish(which: number): void {
    const offset = [...this.inHand][which % Math.max(1, this.inHand.size)];
    if (offset === undefined) return;
    this.offsets.finish(offset);
    this.inHand.delete(offset);
    this.finished.add(offset);
  }

  crash(): void {
    const { progress } = this.offsets;
    // F4: the group is where it was left, has followed, or was set back after that.
    const follows = this.crashes % 3 === 0;
    this.groupOffset = follows ? progress.commitOffset : this.groupOffset;
    this.committed = decodeProgress(encodeProgress({ ...progress, groupOffset: this.groupOffset }));
    if (this.crashes++ % 4 === 2) this.groupOffset = 0;
    this.offsets = new Offsets(this.groupOffset, this.committed);
    this.inHand.clear();
    this.position = this.log.findIndex((offset) => offset >= this.groupOffset);
    if (this.position === -1) this.position = this.log.length;
  }

  check(): void {
    const unfinished = this.log.filter((offset) => !this.finished.has(offset));
    const { commitOffset, progress } = this.offsets;
    for (const offset of unfinished) holds(offset >= commitOffset, `F1: ${commitOffset} passes ${offset}`);
    same(progress.commitOffset, commitOffset, 'F4');
    same(`${progress.unfinished}`, `${unfinished.filter((offset) => offset < progress.nextOffset)}`, 'F2');
    holds(this.offsets.span >= 0, 'the span');
    const [first] = unfinished;
    same(commitOffset, Math.min(first ?? Infinity, progress.nextOffset), 'F1');
  }
}

describe('the offsets of a partition', () => {
  it('F1 F2 F3: commit below the lowest unfinished, and know what is finished, also after a crash', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60, size: 'max' }), (commands) => {
        const model = new Model();
        for (const each of commands) {
          if (each.kind === 'see') model.see(each.gap);
          else if (each.kind === 'finish') model.finish(each.which);
          else model.crash();
          model.check();
        }
      }),
      { numRuns: 10_000 },
    );
  });

  it('F4: know what is finished though the group lost its offset or was set back; follow one that was moved on', () => {
    const progress = { commitOffset: 500, nextOffset: 1000, unfinished: [500, 700] };
    const looks = (offsets: Offsets, ...at: readonly number[]) => at.map((offset) => offsets.look(offset));
    const rewound = new Offsets(0, progress);
    expect(looks(rewound, 0, 499, 500, 600, 700, 999, 1000)).toEqual([
      ...['known', 'known', 'new', 'known', 'new', 'known', 'new'],
    ]);
    expect(rewound.commitOffset).toBe(500);
    const following = new Offsets(400, { ...progress, groupOffset: 400 });
    expect(looks(following, 400, 500, 600)).toEqual(['known', 'new', 'known']);
    expect(following.commitOffset).toBe(500);
    const ours = new Offsets(500, progress);
    expect(looks(ours, 499, 500, 600, 700, 1000)).toEqual(['known', 'new', 'known', 'new', 'new']);
    // What lies before is given up: it never comes, and nothing waits for it.
    const moved = new Offsets(600, progress);
    expect(looks(moved, 600, 700, 701, 1000)).toEqual(['known', 'new', 'known', 'new']);
    expect([moved.commitOffset, moved.progress.unfinished]).toEqual([700, [700]]);
    const beyond = new Offsets(2000, progress);
    expect(looks(beyond, 1999, 2000)).toEqual(['known', 'new']);
    expect([beyond.commitOffset, beyond.progress.unfinished]).toEqual([2000, []]);
    // None that is to be believed.
    expect(looks(new Offsets(0, null), 0, 600, 999)).toEqual(['new', 'new', 'new']);
  });

  it('F1: pass by what retention took away', () => {
    const offsets = new Offsets(5, { commitOffset: 5, nextOffset: 20, unfinished: [5, 9] });
    expect(offsets.commitOffset).toBe(5);
    offsets.see(10);
    expect(offsets.commitOffset).toBe(20);
  });

  it('refuse to finish what is not in hand', () => {
    const offsets = new Offsets(5, null);
    offsets.see(5);
    expect(() => offsets.finish(6)).toThrow(RangeError);
    expect(offsets.commitOffset).toBe(5);
  });
});

describe('progress as bytes', () => {
  const progress = fc
    .record({
      commitOffset: fc.nat(2 ** 40),
      gaps: fc.array(fc.integer({ min: 1, max: 100_000 }), { maxLength: 50, size: 'max' }),
    })
    .map(({ commitOffset, gaps }): Progress => {
      let last = commitOffset;
      const unfinished = gaps.map((gap, index) => {
        if (index > 0) last += gap;
        return last;
      });
      return { commitOffset, nextOffset: last + 1, unfinished };
    });
  const following = fc
    .tuple(progress, fc.nat(), fc.option(fc.nat(2 ** 42)))
    .map(([value, behind, latestMs]): Progress => {
      const by = behind % (value.commitOffset + 1);
      return {
        ...value,
        ...(by === 0 ? {} : { groupOffset: value.commitOffset - by }),
        ...(latestMs === null ? {} : { latestMs }),
      };
    });

  it('come back as they were', () => {
    fc.assert(
      fc.property(following, (value) => {
        expect(decodeProgress(encodeProgress(value))).toEqual(value);
      }),
    );
  });

  it('of the first versions are read: there the group was never behind, and no time was known', () => {
    const value = { commitOffset: 300, nextOffset: 900, unfinished: [300, 700] };
    const bytes = encodeProgress(value).subarray(0, -1);
    expect(decodeProgress(Buffer.concat([Buffer.of(1), bytes.subarray(2)]))).toEqual(value);
    expect(decodeProgress(Buffer.concat([Buffer.of(2), bytes.subarray(1)]))).toEqual(value);
  });

  it('fit one record of state, however the unfinished ones lie in the span that is allowed', () => {
    const spread = Array.from({ length: 10_000 }, (_, index) => index * 100);
    const near = Array.from({ length: 9_999 }, (_, index) => index);
    for (const unfinished of [spread, [...near, 999_999]])
      expect(encodeProgress({ commitOffset: 0, nextOffset: 1_000_000, unfinished }).length).toBeLessThan(25_000);
  });

  it('are refused when cut or of another version', () => {
    const bytes = encodeProgress({ commitOffset: 300, nextOffset: 900, unfinished: [300, 700] });
    const code = (damaged: Buffer) => {
      try {
        return decodeProgress(damaged);
      } catch (error) {
        return hasCode(error, 'ledger_unreadable') ? 'refused' : error;
      }
    };
    for (let length = 0; length < bytes.length; length++) expect(code(bytes.subarray(0, length))).toBe('refused');
    expect(code(Buffer.concat([bytes, Buffer.of(0)]))).toBe('refused');
    expect(code(Buffer.concat([Buffer.of(4), bytes.subarray(1)]))).toBe('refused');
    // More behind than there is.
    expect(code(Buffer.concat([Buffer.of(3, 0xff, 0xff, 0x7f), bytes.subarray(2)]))).toBe('refused');
  });
});
