/**
 * Cites the invariants of partition-book.ts (K1 to K3) and of twin.ts (T2, T3): who began with the twin, wherever it was cut
 * off, cleaned or taken over by another keeper, decides like somebody who has read every record since the first.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { QuotaState } from '../../../../src/fibric/policy/quota.ts';
import { encodeQuotaRecord } from '../../../../src/fibric/policy/quota-records.ts';
import { KeptPartition } from '../../../../src/sinks/quota/kept-partition.ts';
import { LONGEST_WINDOW_MS, PartitionBook } from '../../../../src/sinks/quota/partition-book.ts';
import { ruleIdOf } from '../../../../src/sinks/quota/rule-id.ts';
import { bookOfState, type TwinChange, TwinReading } from '../../../../src/sinks/quota/twin.ts';

type Read = Parameters<PartitionBook['apply']>[0];

const RULES = ['a', 'b', 'c', 'd'].map((key) => ruleIdOf({ key }));
const HOUR_MS = 3_600_000;

const record = fc.record({
  rule: fc.constantFrom(...RULES, 'not a rule'),
  id: fc.nat(40).map((n) => `rc_${n}`),
  op: fc.constantFrom('reserve', 'reserve', 'reserve', 'reserve', 'reserve', 'release', 'nonsense'),
  max: fc.constantFrom(1, 3, 300),
  windowMs: fc.constantFrom(60_000, HOUR_MS, LONGEST_WINDOW_MS),
  freshMs: fc.constantFrom(0, 2000),
  /** Clocks go back, and nights pass. */
  passMs: fc.oneof(
    { weight: 20, arbitrary: fc.integer({ min: -500, max: 5000 }) },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: 2 * HOUR_MS }) },
    { weight: 1, arbitrary: fc.integer({ min: LONGEST_WINDOW_MS - 10, max: LONGEST_WINDOW_MS + 10 }) },
  ),
  /** Transactions of others, and aborted ones. */
  gap: fc.constantFrom(0, 0, 0, 1, 7),
});
type Given = typeof record extends fc.Arbitrary<infer T> ? T : never;

function logOf(all: readonly Given[]): readonly Read[] {
  let [offset, timestampMs] = [0, 1_700_000_000_000];
  return all.map(({ rule, id, op, max, windowMs, freshMs, passMs, gap }) => {
    offset += 1 + gap;
    timestampMs += passMs;
    const reserve = { op: 'reserve', id, max, windowMs, freshMs } as const;
    const value =
      op === 'nonsense' ? Buffer.from('?') : encodeQuotaRecord(op === 'reserve' ? reserve : { op: 'release', id });
    return { offset, timestampMs, key: Buffer.from(rule), value };
  });
}

const outcomesOf = (book: PartitionBook, log: readonly Read[]) => log.map((read) => book.apply(read)?.outcome ?? null);

/** What is over counts as nothing, whether it is still held or not (K3). */
function plain(book: PartitionBook): unknown {
  const { position } = book;
  const isOver = ({ lastMs }: QuotaState) => position.timeMs - lastMs > LONGEST_WINDOW_MS;
  const rules = [...book.entries()].filter(([, state]) => !isOver(state)).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    position,
    rules: rules.map(([rule, { nextOffset, lastMs, granted, released }]) => [
      rule,
      { nextOffset, lastMs, granted: granted.chunks, released: released.chunks },
    ]),
  };
}

function clean(records: readonly TwinChange[], upTo: number, keepTombstones: boolean): TwinChange[] {
  const last = new Map(records.slice(0, upTo).map(([key], at) => [key, at]));
  return records.filter(
    ([key, value], at) => at >= upTo || (last.get(key) === at && (value !== null || keepTombstones)),
  );
}

function restored(records: readonly TwinChange[]): PartitionBook {
  const reading = new TwinReading();
  for (const [key, value] of records) reading.read(key, value);
  return reading.finish();
}

/** As the owned state is: the last of each key, in the order of their first. */
function stateOf(records: readonly TwinChange[]): Map<string, Buffer> {
  const state = new Map<string, Buffer>();
  for (const [key, value] of records) {
    if (value === null) state.delete(key);
    else state.set(key, value);
  }
  return state;
}

interface Keeping {
  /** Records until it writes. */
  readonly batch: number;
  readonly maxBytes: number;
  /** Dies after so many of the transactions of this writing; what another then reads is what they left. */
  readonly crashAfter: number | null;
}

it('T2, T3, K1–K3: a reader that begins with the twin, and one that read it all, agree', () => {
  let cuts = 0;
  let compared = 0;
  const keeping: fc.Arbitrary<Keeping> = fc.record({
    batch: fc.integer({ min: 1, max: 25 }),
    maxBytes: fc.constantFrom(1, 200, 100_000),
    crashAfter: fc.constantFrom(null, null, null, 0, 1, 2),
  });
  fc.assert(
    fc.property(
      fc.array(record, { minLength: 1, maxLength: 150, size: 'max' }),
      fc.array(keeping, { minLength: 1, maxLength: 12 }),
      fc.record({ cut: fc.nat(), clean: fc.nat(), keepTombstones: fc.boolean(), forgets: fc.nat(3) }),
      (all, keepings, reader) => {
        const log = logOf(all);
        const twin: TwinChange[] = [];
        const transactionEnds = [0];
        /** How far the keeper had read when it wrote each of them. */
        const writtenAt: number[] = [];
        let kept = new KeptPartition(PartitionBook.empty());
        let at = 0;
        for (let turn = 0; at < log.length; turn++) {
          const { batch, maxBytes, crashAfter } = keepings[turn % keepings.length] as Keeping;
          kept.apply(log.slice(at, at + batch) as never);
          const { nextOffset } = kept;
          const parts = kept.write(maxBytes);
          const isCut = crashAfter !== null && crashAfter < parts.length;
          for (const part of isCut ? parts.slice(0, crashAfter) : parts) {
            twin.push(...part);
            transactionEnds.push(twin.length);
          }
          while (writtenAt.length < twin.length) writtenAt.push(nextOffset);
          at += batch;
          if (!isCut) continue;
          cuts++;
          // The next owner: from the twin, and from the offset that was committed with its position.
          const book = bookOfState(stateOf(twin));
          at = log.findIndex(({ offset }) => offset >= book.position.nextOffset);
          kept = new KeptPartition(book);
          if (turn > 3 * log.length) break; // one that crashes each time gets nowhere
        }
        const cut = reader.cut % (twin.length + 1);
        // The cleaner comes long after a transaction has ended; the reader may come in the middle of one.
        const ended = transactionEnds.findLast((end) => end <= cut) as number;
        const cleaned = clean(twin.slice(0, cut), reader.clean % (ended + 1), reader.keepTombstones);
        const late = restored(cleaned);
        const { nextOffset } = late.position;
        const early = PartitionBook.empty();
        const before = log.filter(({ offset }) => offset < nextOffset);
        const rest = log.filter(({ offset }) => offset >= nextOffset);
        outcomesOf(early, before);
        // Letting go of memory, at whatever moment, decides nothing.
        for (let times = 0; times < reader.forgets; times++) late.forget(3);
        const outcomes = rest.map((read) => {
          const outcome = late.apply(read)?.outcome ?? null;
          late.forget(reader.forgets);
          return outcome;
        });
        const straight = outcomesOf(early, rest);
        // Nobody waits for the answers to what the twin was ahead with, or had let go of already.
        const aheadTo = Math.max(0, ...writtenAt.slice(0, cut));
        const isNews = rest.map(({ offset }) => offset >= aheadTo);
        const news = <T>(list: readonly T[]) => list.filter((_, index) => isNews[index]);
        expect(news(outcomes)).toEqual(news(straight));
        if (news(outcomes).length > 0) compared++;
        expect(plain(late)).toEqual(plain(early));
      },
    ),
    { numRuns: 1200 },
  );
  expect(cuts).toBeGreaterThan(300);
  expect(compared).toBeGreaterThan(300);
}, 60_000);

it('K3: what is untouched for longer than any window is let go, and the twin with it', () => {
  const book = PartitionBook.empty();
  const kept = new KeptPartition(book);
  const many = Array.from({ length: 500 }, (_, n) => ruleIdOf({ key: `rule ${n}` }));
  const reserve = (rule: string, offset: number, timestampMs: number): Read => ({
    offset,
    timestampMs,
    key: Buffer.from(rule),
    value: encodeQuotaRecord({ op: 'reserve', id: `rc_${offset}`, max: 5, windowMs: HOUR_MS, freshMs: 0 }),
  });
  const state = new Map<string, Buffer>();
  const write = () => {
    for (const part of kept.write(1000)) {
      for (const [key, value] of part) {
        if (value === null) state.delete(key);
        else state.set(key, value);
      }
    }
  };
  kept.apply(many.map((rule, n) => reserve(rule, n, 1000)) as never);
  write();
  expect(book.size).toBe(500);
  kept.apply([reserve(RULES[0] as string, 1000, 1001 + LONGEST_WINDOW_MS)] as never);
  for (let n = 0; n < 10; n++) write();
  expect(book.size).toBe(1);
  expect(
    [...state.keys()].filter((key) => !key.startsWith('~')).every((key) => key.startsWith(RULES[0] as string)),
  ).toBe(true);
});
