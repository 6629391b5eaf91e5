/** One partition of the quota log as the keeper of its twin sees it: what has changed since the twin was last written. Pure. */
import type { QuotaState } from '../../fibric/policy/quota.ts';
import type { LogRecord } from '../../kafka/port.ts';
import type { PartitionBook } from './partition-book.ts';
import { positionChange, ruleChanges, type TwinChange } from './twin.ts';

/** At the age of the rules, with each writing. */
const FEWEST_LOOKS = 100;

export class KeptPartition {
  readonly #book: PartitionBook;
  /** Rules that changed, as the twin still has them. */
  #held = new Map<string, QuotaState | undefined>();
  #records = 0;

  constructor(book: PartitionBook) {
    this.#book = book;
  }

  /** Records read since the last writing, whether they changed anything or not. */
  get records(): number {
    return this.#records;
  }

  get nextOffset(): number {
    return this.#book.position.nextOffset;
  }

  apply(records: readonly LogRecord[]): void {
    for (const record of records) {
      const applied = this.#book.apply(record);
      if (applied !== null && !this.#held.has(applied.ruleId)) this.#held.set(applied.ruleId, applied.before);
    }
    this.#records += records.length;
  }

  /**
   * What to write, in as many transactions as it has parts of about `maxBytes`, in this order: the position comes last, so that
   * a twin that was left half written is ahead of it (T2). A rule is never divided.
   */
  write(maxBytes: number): readonly ReadonlyMap<string, Buffer | null>[] {
    for (const [ruleId, state] of this.#book.forget(FEWEST_LOOKS + 2 * this.#held.size)) {
      if (!this.#held.has(ruleId)) this.#held.set(ruleId, state);
    }
    const parts: Map<string, Buffer | null>[] = [new Map()];
    let bytes = 0;
    for (const [ruleId, held] of this.#held) {
      if (bytes >= maxBytes) {
        parts.push(new Map());
        bytes = 0;
      }
      for (const [key, value] of ruleChanges(ruleId, held, this.#book.get(ruleId))) {
        parts.at(-1)?.set(key, value);
        bytes += sizeOf([key, value]);
      }
    }
    parts.at(-1)?.set(...positionChange(this.#book.position));
    this.#held = new Map();
    this.#records = 0;
    return parts;
  }
}

function sizeOf([key, value]: TwinChange): number {
  return key.length + (value?.length ?? 0);
}
