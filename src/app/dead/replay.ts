/**
 * Which dead letters are replayed, and the replay.
 *
 * P1 A delivery is replayed once however many letters it has left: each vain replay leaves another, and replaying all of
 *    those would double them every time.
 * P2 In the order in which they were set aside, one acknowledged append after the other: what was said to be done, is.
 */
import type { ErrorCode } from '../../base/errors.ts';
import type { LogProducer } from '../../kafka/port.ts';
import { isTallied } from '../../processors/dead-letters.ts';
import type { DeadTopic } from './dead-topic.ts';
import { byPlace, type DeadLetter, replayOf, type SourceTopics } from './letter.ts';

export interface ReplayPlan {
  /** By partition and offset. */
  readonly letters: readonly DeadLetter[];
  /** Letters of a delivery that another letter stands for. */
  readonly repeated: readonly { readonly letter: DeadLetter; readonly of: DeadLetter }[];
}

/** P1 */
export function planReplay(found: readonly DeadLetter[]): ReplayPlan {
  const letters: DeadLetter[] = [];
  const repeated: { letter: DeadLetter; of: DeadLetter }[] = [];
  const first = new Map<string, DeadLetter>();
  for (const letter of [...found].sort(byPlace)) {
    const of = first.get(letter.delivery);
    if (of === undefined) {
      first.set(letter.delivery, letter);
      letters.push(letter);
    } else if (of.partition !== letter.partition || of.offset !== letter.offset) repeated.push({ letter, of });
  }
  return { letters, repeated };
}

/** Raw partitions that would get so many letters that, were they all to fail again, the processor would stop there. */
export function crowdedPartitions(
  all: readonly DeadLetter[],
  { maxInARow, rawTopic }: { readonly maxInARow: number; readonly rawTopic: string },
): readonly { readonly partition: number; readonly letters: number }[] {
  const counts = new Map<number, number>();
  for (const letter of all) {
    if (letter.sourceTopic !== rawTopic) continue; // commands stop nobody
    if (!isTallied(letter.code as ErrorCode | null)) continue; // can never stop a partition
    const partition = letter.source?.partition ?? letter.partition;
    counts.set(partition, (counts.get(partition) ?? 0) + 1);
  }
  return [...counts].flatMap(([partition, count]) => (count >= maxInARow ? [{ partition, letters: count }] : []));
}

export interface ReplayOptions {
  readonly dead: DeadTopic;
  readonly letters: readonly DeadLetter[];
  readonly topics: SourceTopics;
  /** Absent = everything but the append. */
  readonly producer?: LogProducer;
  readonly done: (letter: DeadLetter) => void;
  readonly signal: AbortSignal;
}

/** P2. Returns how many were done; fewer than there are letters when interrupted. */
export async function replay({ dead, letters, topics, producer, done, signal }: ReplayOptions): Promise<number> {
  const byPosition = new Map(letters.map((letter) => [`${letter.partition}@${letter.offset}`, letter]));
  let count = 0;
  for await (const record of dead.records(letters)) {
    if (signal.aborted) break;
    await producer?.append([replayOf(record, topics)]);
    count += 1;
    done(byPosition.get(`${record.partition}@${record.offset}`) as DeadLetter);
  }
  return count;
}
