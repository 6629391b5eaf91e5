import { afterEach, beforeEach, expect, test } from 'vitest';
import { type SinkLagOptions, watchSinkLag } from '../../../../src/app/sink/lag.ts';
import { createMetrics } from '../../../../src/app/telemetry.ts';
import { createMemoryLog, type MemoryLog, VirtualClock } from '../../../../src/kafka/memory/index.ts';

const TOPIC = 'fibric.commands';
const GROUP = 'cn-kustomer.sink';
const ASKED_EVERY_MS = 15_000;

let clock: VirtualClock;
let log: MemoryLog;
let stop: (() => void) | undefined;

beforeEach(async () => {
  clock = new VirtualClock();
  log = createMemoryLog({ clock });
  await clock.run(log.admin.createTopics([{ name: TOPIC, partitions: 3, config: {} }]));
});

afterEach(async () => {
  stop?.();
  expect(clock.pendingTimers).toBe(0);
  await clock.run(log.close());
});

async function append(partition: number, count: number): Promise<void> {
  const producer = await clock.run(log.producer({ clientId: 'test' }));
  const records = Array.from({ length: count }, () => ({
    topic: TOPIC,
    partition,
    key: null,
    value: Buffer.from('x'),
  }));
  await clock.run(producer.append(records));
  await clock.run(producer.close());
}

function watch(progress: SinkLagOptions['progress'], partitions: () => readonly number[] = () => [0, 1]) {
  const metrics = createMetrics({ ofProcess: false });
  const watched = watchSinkLag({ partitions, progress, log, groupId: GROUP, topic: TOPIC, metrics });
  stop = watched.stop;
  const shown = async () =>
    (await metrics.text()).split('\n').filter((line) => line.startsWith('cnk_sink_lag_records{'));
  return { ...watched, shown };
}

test('tells what is not finished, of each partition of its own: in hand, and behind it in the log', async () => {
  await append(0, 10);
  await append(1, 5);
  const at = new Map([
    [0, { unfinished: 2, nextOffset: 4 }],
    [1, { unfinished: 0, nextOffset: 5 }],
  ]);
  const { health, shown } = watch((partition) => at.get(partition));
  expect(health()).toEqual({ records: null, askedAtMs: null, lastError: null });
  await clock.advance(1_000);
  expect(health()).toEqual({ records: { 0: 8, 1: 0 }, askedAtMs: clock.nowMs(), lastError: null });
  expect(await shown()).toEqual(['cnk_sink_lag_records{partition="0"} 8', 'cnk_sink_lag_records{partition="1"} 0']);
  // One offset behind may be the marker of a transaction; what is in hand is a command.
  at.set(0, { unfinished: 1, nextOffset: 9 });
  await clock.advance(ASKED_EVERY_MS);
  expect(health().records).toEqual({ 0: 1, 1: 0 });
});

test('of a partition that has stopped it counts from what the group has committed, or where the log begins', async () => {
  await append(0, 10);
  await append(1, 10);
  log.deleteRecordsBefore({ topic: TOPIC, partition: 1 }, 4);
  await clock.run(log.admin.commit(GROUP, [{ topic: TOPIC, partition: 0, offset: 7 }]));
  const { health } = watch(() => undefined);
  await clock.advance(1_000);
  expect(health().records).toEqual({ 0: 3, 1: 6 });
});

test('a partition that went elsewhere is not told of here any more', async () => {
  await append(0, 10);
  let mine = [0, 1];
  const { health, shown } = watch(
    () => ({ unfinished: 0, nextOffset: 0 }),
    () => mine,
  );
  await clock.advance(1_000);
  mine = [1];
  await clock.advance(ASKED_EVERY_MS);
  expect(health().records).toEqual({ 1: 0 });
  expect(await shown()).toEqual(['cnk_sink_lag_records{partition="0"} 0', 'cnk_sink_lag_records{partition="1"} 0']);
});

test('a broker that does not answer leaves what was known, and says so until it does', async () => {
  await append(0, 10);
  const { health } = watch(() => ({ unfinished: 3, nextOffset: 10 }));
  await clock.advance(1_000);
  const known = health();
  log.faults.unavailable('admin');
  await clock.advance(ASKED_EVERY_MS);
  expect(health()).toEqual({ ...known, lastError: expect.any(String) });
  await clock.advance(ASKED_EVERY_MS);
  expect(health()).toEqual({ records: { 0: 3, 1: 3 }, askedAtMs: clock.nowMs(), lastError: null });
});
