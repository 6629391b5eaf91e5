/** Assigners and shorthand for tests about groups. */
import type { Assigner, TopicPartition } from '../../src/kafka/port.ts';

/** Not lower than a broker's default `group.min.session.timeout.ms`. */
export const SESSION_TIMEOUT_MS = 10_000;

export function own(topic: string, partition: number): TopicPartition {
  return { topic, partition };
}

/** Everything to the first member, by id. */
export const everything: Assigner = (memberIds, topics) => {
  const [first] = [...memberIds].sort();
  return new Map(memberIds.map((id) => [id, id === first ? partitionsOf(topics) : []]));
};

/** The partition of number n to the member of rank n modulo their count, by id. */
export const modulo: Assigner = (memberIds, topics) => {
  const ranked = [...memberIds].sort();
  return new Map(
    ranked.map((id, rank) => [id, partitionsOf(topics).filter(({ partition }) => partition % ranked.length === rank)]),
  );
};

function partitionsOf(topics: ReadonlyMap<string, number>): TopicPartition[] {
  return [...topics].flatMap(([topic, count]) =>
    Array.from({ length: count }, (_, partition) => own(topic, partition)),
  );
}
