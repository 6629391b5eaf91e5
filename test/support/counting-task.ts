/**
 * A task whose output shows every way exactly-once can break: for each record it counts its key in the state and
 * appends `<value>#<count>`. A record lost, doubled or decided on wrong state gives a gap, a repeat or a wrong count.
 */
import type { Append, LogRecord } from '../../src/kafka/port.ts';
import type { StateView, StreamTask } from '../../src/kafka/task.ts';

export const countingTask = (output: string): StreamTask => ({
  prepare: () => undefined,
  decide: (records: readonly LogRecord[], state: StateView): readonly Append[] =>
    records.map((record) => {
      const key = String(record.key);
      const count = Number(state.get(key) ?? 0) + 1;
      state.set(record.partition, key, Buffer.from(String(count)));
      return {
        topic: output,
        partition: record.partition,
        key: record.key,
        value: Buffer.from(`${record.value}#${count}`),
      };
    }),
});

/** What the counting task must have written for these inputs (per key, in order), as a sorted list. */
export function expectedCounts(inputs: readonly { key: string; value: string }[]): readonly string[] {
  const counts = new Map<string, number>();
  return inputs
    .map(({ key, value }) => {
      const count = (counts.get(key) ?? 0) + 1;
      counts.set(key, count);
      return `${key}=${value}#${count}`;
    })
    .sort();
}
