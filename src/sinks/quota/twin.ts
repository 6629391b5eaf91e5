/**
 * The book of one partition as records of the compacted twin: the rules, and where the reader stands. Reading the twin and
 * then the quota topic from there on is as good as reading the quota topic from its beginning.
 *
 * T2 A rule may be ahead of the position, never behind it: what is read again then changes nothing (Q5 of quota.ts).
 * T3 The head of a rule comes after its pieces, and they count from then on: half a change that is cut off is no change.
 */
import { z } from 'zod';
import { CodedError } from '../../base/errors.ts';
import { NEW_QUOTA, type QuotaState } from '../../fibric/policy/quota.ts';
import { quotaTwinChanges, restoreQuota } from '../../fibric/policy/quota-records.ts';
import { type BookPosition, PartitionBook } from './partition-book.ts';

/** No rule is called so: ids of rules are hex. */
const POSITION_KEY = '~position';
const RULE_ID_LENGTH = 32;
const HEAD = '';

const positionSchema = z.object({ version: z.literal(1), next_offset: z.int().min(0), time_ms: z.number() });

export type TwinChange = readonly [key: string, value: Buffer | null];

/** From what the twin holds of a rule to what it is to hold, the head last (T3); undefined = nothing. */
export function ruleChanges(
  ruleId: string,
  held: QuotaState | undefined,
  wanted: QuotaState | undefined,
): TwinChange[] {
  const changes = new Map(quotaTwinChanges(held ?? NEW_QUOTA, wanted ?? NEW_QUOTA));
  const head = wanted === undefined ? null : changes.get(HEAD);
  changes.delete(HEAD);
  const keyed: TwinChange[] = [...changes].map(([suffix, value]) => [`${ruleId}${suffix}`, value]);
  if (head !== undefined) keyed.push([ruleId, head]);
  return keyed;
}

export function positionChange({ nextOffset, timeMs }: BookPosition): TwinChange {
  const plain: z.input<typeof positionSchema> = { version: 1, next_offset: nextOffset, time_ms: timeMs };
  return [POSITION_KEY, Buffer.from(JSON.stringify(plain))];
}

/** Takes the records of a twin partition in their order. Keys of others (the barrier's) are left alone. */
export class TwinReading {
  readonly #rules = new Map<string, Map<string, Buffer>>();
  readonly #pieces = new Map<string, Map<string, Buffer | null>>();
  #position: BookPosition = { nextOffset: 0, timeMs: 0 };

  read(key: string, value: Buffer | null): void {
    if (key === POSITION_KEY) {
      if (value !== null) this.#position = readPosition(value);
      return;
    }
    const ruleId = key.slice(0, RULE_ID_LENGTH);
    const suffix = key.slice(RULE_ID_LENGTH);
    if (!/^[0-9a-f]{32}$/.test(ruleId)) return;
    if (suffix !== HEAD) {
      const pieces = this.#pieces.get(ruleId) ?? new Map<string, Buffer | null>();
      this.#pieces.set(ruleId, pieces.set(suffix, value));
    } else this.#headed(ruleId, value);
  }

  /** Throws `policy_state_unreadable`. */
  finish(): PartitionBook {
    const rules = [...this.#rules].map(([ruleId, records]) => [ruleId, restoreQuota(records)] as const);
    return new PartitionBook(this.#position, rules);
  }

  /** T3 */
  #headed(ruleId: string, head: Buffer | null): void {
    const records = this.#rules.get(ruleId) ?? new Map<string, Buffer>();
    for (const [suffix, value] of this.#pieces.get(ruleId) ?? []) {
      if (value === null) records.delete(suffix);
      else records.set(suffix, value);
    }
    this.#pieces.delete(ruleId);
    if (head === null) this.#rules.delete(ruleId);
    else this.#rules.set(ruleId, records.set(HEAD, head));
  }
}

/** The owner's own view of it: complete, and in no order. */
export function bookOfState(entries: Iterable<readonly [string, Buffer]>): PartitionBook {
  const all = [...entries];
  const reading = new TwinReading();
  for (const [key, value] of all) if (key.length !== RULE_ID_LENGTH) reading.read(key, value);
  for (const [key, value] of all) if (key.length === RULE_ID_LENGTH) reading.read(key, value);
  return reading.finish();
}

function readPosition(value: Buffer): BookPosition {
  try {
    const { next_offset: nextOffset, time_ms: timeMs } = positionSchema.parse(JSON.parse(value.toString('utf8')));
    return { nextOffset, timeMs };
  } catch (cause) {
    throw new CodedError('policy_state_unreadable', 'The position of a quota twin cannot be read', {}, { cause });
  }
}
