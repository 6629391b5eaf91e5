/** The judge of the chaos run, tried with what it is there to find. */
import { describe, expect, it } from 'vitest';
import { type Evidence, judge, type Told } from '../../support/commands-chaos/judge.ts';

const asked = (number: number, lane = 'a', token: string | null = `note ${number}`) => ({
  commandId: `${lane}${number}`,
  lane,
  token,
});
const told = (commandId: string, more: Partial<Told> = {}): Told => ({
  commandId,
  receiptId: `rc_${commandId}`,
  outcome: 'applied',
  code: null,
  unchanged: false,
  ...more,
});
const wrote = (token: string, lane = 'a') => ({ lane, token });

/** Two conversations, three commands in the first, of which the last is a copy of the second. */
const SOUND: Evidence = {
  commands: [asked(1), asked(2), asked(3, 'a', null), asked(1, 'b')],
  receipts: [told('b1'), told('a1'), told('a2'), told('a3', { outcome: 'deduplicated' })],
  writes: [wrote('note 1'), wrote('note 1', 'b'), wrote('note 2')],
  overlaps: [],
};
const kinds = (more: Partial<Evidence>) => judge({ ...SOUND, ...more }).map(({ kind, where }) => `${kind} ${where}`);
const parked = told('a1', { outcome: 'failed', code: 'outcome_unknown' });

describe('the judge', () => {
  it('finds nothing in a sound run', () => {
    expect(judge(SOUND)).toEqual([]);
  });

  it('J1: finds a missing receipt, two of one command, and one nobody asked for', () => {
    const [first, ...others] = SOUND.receipts as [Told, ...Told[]];
    expect(kinds({ receipts: others, writes: [wrote('note 1'), wrote('note 2')] })).toEqual(['receipt_missing b']);
    expect(kinds({ receipts: [first, ...SOUND.receipts] })).toEqual(['receipt_twice b']);
    expect(kinds({ receipts: [...SOUND.receipts, told('c9')] })).toEqual(['receipt_unasked c9']);
  });

  it('J2: finds a write that happened twice, one that is lost, one nobody asked for, and a swap', () => {
    const [first, other, second] = SOUND.writes as [Evidence['writes'][number], ...Evidence['writes'][number][]];
    expect(kinds({ writes: [...SOUND.writes, wrote('note 2')] })).toEqual(['write_twice a']);
    expect(kinds({ writes: [first, other] as never })).toEqual(['write_lost a']);
    expect(kinds({ writes: [...SOUND.writes, wrote('note 9')] })).toEqual(['write_unasked a']);
    expect(kinds({ writes: [...SOUND.writes, wrote('note 9', 'z')] })).toEqual(['write_unasked z']);
    expect(kinds({ writes: [second, other, first] as never })).toEqual(['order a']);
  });

  it('J2: what was called done without a write is lost, and what was so already writes nothing', () => {
    const unchanged = SOUND.receipts.map((receipt) => ({ ...receipt, unchanged: receipt.commandId === 'a1' }));
    expect(kinds({ receipts: unchanged })).toEqual(['write_unasked a']);
    expect(kinds({ receipts: unchanged, writes: SOUND.writes.slice(1) })).toEqual([]);
  });

  it('J2: what is unknown may have happened, once and in its place', () => {
    const receipts = [parked, ...SOUND.receipts.filter(({ commandId }) => commandId !== 'a1')];
    const [first, other, second] = SOUND.writes as [Evidence['writes'][number], ...Evidence['writes'][number][]];
    expect(kinds({ receipts })).toEqual([]);
    expect(kinds({ receipts, writes: [other, second] as never })).toEqual([]);
    expect(kinds({ receipts, writes: [first, first, other, second] as never })).toEqual(['write_twice a']);
    expect(kinds({ receipts, writes: [other, second, first] as never })).toEqual(['order a']);
  });

  it('J3: finds two at once', () => {
    expect(kinds({ overlaps: ['b'] })).toEqual(['overlap b']);
  });

  it('J4: finds a command that failed, and a copy that was applied', () => {
    const [b1, a1, a2, a3] = SOUND.receipts as [Told, Told, Told, Told];
    const failed = { ...a1, outcome: 'failed', code: 'attempts_exhausted' };
    expect(kinds({ receipts: [b1, failed, a2, a3], writes: SOUND.writes.slice(1) })).toEqual(['outcome a']);
    expect(kinds({ receipts: [b1, a1, a2, told('a3')] })).toEqual(['outcome a']);
  });
});
