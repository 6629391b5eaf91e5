/**
 * What the records of one partition of the quota topic come to, rule by rule. Pure: whoever has read the same records, from
 * the beginning or on from a twin, has the same book.
 *
 * K1 A record below the position changes nothing: it has been applied, or lies in a twin that was ahead.
 * K2 Time is the partition's: the latest append time so far, so that it is the same for all rules and never goes back.
 * K3 A rule untouched for longer than any window begins anew with its next record, whether it is still in memory or not. So
 *    letting go of it (`forget`) is a matter of memory alone, and readers that do it at different times agree.
 */
import { WINDOW_MS } from '../../fibric/policy/document.ts';
import {
  applyQuota,
  NEW_QUOTA,
  type QuotaOutcome,
  type QuotaRecord,
  type QuotaState,
} from '../../fibric/policy/quota.ts';
import { decodeQuotaRecord } from '../../fibric/policy/quota-records.ts';
import type { LogRecord } from '../../kafka/port.ts';
import { RULE_ID } from './rule-id.ts';

export const LONGEST_WINDOW_MS = Math.max(...Object.values(WINDOW_MS));

/** Where a reader stands in a partition. */
export interface BookPosition {
  readonly nextOffset: number;
  readonly timeMs: number;
}

export interface Applied {
  readonly ruleId: string;
  readonly record: QuotaRecord;
  readonly outcome: QuotaOutcome;
  /** Of the log, when it took the record (K2). */
  readonly atMs: number;
  /** As the rule was before; undefined when nothing was held of it. */
  readonly before: QuotaState | undefined;
}

export class PartitionBook {
  readonly #rules: Map<string, QuotaState>;
  #nextOffset: number;
  #timeMs: number;
  #sweep: Iterator<[string, QuotaState]> | undefined;

  constructor({ nextOffset, timeMs }: BookPosition, rules: Iterable<readonly [ruleId: string, state: QuotaState]>) {
    this.#nextOffset = nextOffset;
    this.#timeMs = timeMs;
    this.#rules = new Map(rules);
  }

  static empty(): PartitionBook {
    return new PartitionBook({ nextOffset: 0, timeMs: 0 }, []);
  }

  get position(): BookPosition {
    return { nextOffset: this.#nextOffset, timeMs: this.#timeMs };
  }

  get size(): number {
    return this.#rules.size;
  }

  get(ruleId: string): QuotaState | undefined {
    return this.#rules.get(ruleId);
  }

  entries(): Iterable<readonly [string, QuotaState]> {
    return this.#rules;
  }

  /** Null for what is no record of a quota, and for what was applied before (K1). */
  apply({
    offset,
    timestampMs,
    key,
    value,
  }: Pick<LogRecord, 'offset' | 'timestampMs' | 'key' | 'value'>): Applied | null {
    if (offset < this.#nextOffset) return null;
    this.#nextOffset = offset + 1;
    this.#timeMs = Math.max(this.#timeMs, timestampMs);
    const ruleId = key?.toString('latin1') ?? '';
    const record = RULE_ID.test(ruleId) ? decodeQuotaRecord(value) : null;
    if (record === null) return null;
    const atMs = this.#timeMs;
    const before = this.#rules.get(ruleId);
    const from = before === undefined || this.#isOver(before) ? NEW_QUOTA : before;
    const { state, outcome } = applyQuota(from, record, { offset, atMs });
    this.#rules.set(ruleId, state);
    return { ruleId, record, outcome, atMs, before };
  }

  /** Lets go of what is over among the next so many rules, round and round; returns what was let go. */
  forget(looks: number): readonly (readonly [string, QuotaState])[] {
    const forgotten: (readonly [string, QuotaState])[] = [];
    for (let looked = 0; looked < looks; looked++) {
      this.#sweep ??= this.#rules.entries();
      const next = this.#sweep.next();
      if (next.done) {
        this.#sweep = undefined;
        break;
      }
      const [ruleId, state] = next.value;
      if (!this.#isOver(state)) continue;
      this.#rules.delete(ruleId);
      forgotten.push([ruleId, state]);
    }
    return forgotten;
  }

  #isOver({ lastMs }: QuotaState): boolean {
    return this.#timeMs - lastMs > LONGEST_WINDOW_MS;
  }
}
