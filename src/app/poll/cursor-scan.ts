/**
 * The latest value of each key of a compacted topic, for those who only look: read to what was the end when it began, or
 * until nothing has come for a while although the broker answers (the last offsets are seldom records: a transaction's
 * marker, or what compaction took).
 */
import type { Log, PartitionReader } from '../../kafka/port.ts';

const LOOK_EVERY_MS = 25;
const QUIET_MS = 2_000;
/** Only one offset is missing, and that is nearly always the marker of the last transaction. */
const TAIL_QUIET_MS = 300;

export interface ScanOptions {
  readonly log: Log;
  readonly topic: string;
  /** Values of other keys are not kept. */
  readonly wanted: (key: string) => boolean;
}

/** Empty when the topic does not exist. */
export async function scanLatest({ log, topic, wanted }: ScanOptions): Promise<ReadonlyMap<string, Buffer>> {
  const latest = new Map<string, Buffer>();
  const [described] = await log.admin.describeTopics([topic]);
  if (described === undefined) return latest;
  const reader = await log.reader({ clientId: 'scan', topics: [topic] });
  try {
    const partitions = Array.from({ length: described.partitions }, (_, partition) => partition);
    await Promise.all(partitions.map((partition) => scanPartition({ log, topic, wanted, reader, partition, latest })));
  } finally {
    await reader.close();
  }
  return latest;
}

interface PartitionScan extends ScanOptions {
  readonly reader: PartitionReader;
  readonly partition: number;
  readonly latest: Map<string, Buffer>;
}

async function scanPartition({ log, topic, wanted, reader, partition, latest }: PartitionScan): Promise<void> {
  const { clock, admin } = log;
  const { low, high } = await admin.watermarks({ topic, partition });
  if (low >= high) return;
  const progress = { position: low, atMs: clock.nowMs() };
  const ended = new AbortController();
  const end = Promise.withResolvers<void>();
  const follow = reader.follow({
    topic,
    partition,
    fromOffset: low,
    failed: end.reject,
    records: ({ records }) => {
      for (const { key, value, offset } of records) {
        progress.position = offset + 1;
        const name = key?.toString() ?? '';
        if (!wanted(name)) continue;
        if (value === null) latest.delete(name);
        else latest.set(name, value);
      }
      progress.atMs = clock.nowMs();
      if (progress.position >= high) end.resolve();
    },
  });
  const quiet = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      await clock.sleep(LOOK_EVERY_MS, ended.signal);
      const quietMs = progress.position === high - 1 ? TAIL_QUIET_MS : QUIET_MS;
      if (clock.nowMs() - progress.atMs < quietMs) continue;
      await admin.watermarks({ topic, partition }); // throws when the silence is the broker's
      return;
    }
  };
  try {
    await Promise.race([end.promise, quiet()]);
  } finally {
    ended.abort();
    await follow.stop();
  }
}
