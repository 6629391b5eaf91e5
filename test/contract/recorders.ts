/** Ears: what a follow or a group member was told, in order. */
import type {
  Follow,
  GroupListener,
  GroupMember,
  Log,
  LogRecord,
  PartitionReader,
  RecordBatch,
  TopicPartition,
} from '../../src/kafka/port.ts';

export function text(bytes: Buffer | null): string | null {
  return bytes === null ? null : bytes.toString();
}

export function values(records: readonly LogRecord[]): (string | null)[] {
  return records.map((record) => text(record.value));
}

/** A follow and everything it delivered. */
export class FollowRecorder {
  readonly records: LogRecord[] = [];
  readonly failures: unknown[] = [];
  readonly follow: Follow;

  constructor(reader: PartitionReader, from: TopicPartition, fromOffset = 0) {
    this.follow = reader.follow({
      ...from,
      fromOffset,
      records: (batch) => this.#hear(batch),
      failed: (error) => this.failures.push(error),
    });
  }

  get values(): (string | null)[] {
    return values(this.records);
  }

  #hear(batch: RecordBatch): void {
    for (const record of batch.records) this.records.push(record);
  }
}

export type GroupEvent =
  | { readonly kind: 'assigned'; readonly epoch: number; readonly partitions: readonly TopicPartition[] }
  | { readonly kind: 'rebalancing'; readonly epoch: number }
  | { readonly kind: 'heartbeat'; readonly epoch: number; readonly atMs: number }
  | { readonly kind: 'records'; readonly batch: RecordBatch }
  | { readonly kind: 'crashed'; readonly error: unknown };

/** A listener that writes everything down; `onAssigned` runs inside the callback. */
export class GroupRecorder implements GroupListener {
  readonly events: GroupEvent[] = [];
  member: GroupMember | null = null;
  onAssigned: (partitions: readonly TopicPartition[]) => void = () => undefined;
  onRecords: (batch: RecordBatch) => void = () => undefined;

  assigned(partitions: readonly TopicPartition[], epoch: number): void {
    this.events.push({ kind: 'assigned', epoch, partitions });
    this.onAssigned(partitions);
  }

  rebalancing(epoch: number): void {
    this.events.push({ kind: 'rebalancing', epoch });
  }

  heartbeat(epoch: number, atMs: number): void {
    this.events.push({ kind: 'heartbeat', epoch, atMs });
  }

  records(batch: RecordBatch): void {
    this.events.push({ kind: 'records', batch });
    this.onRecords(batch);
  }

  crashed(error: unknown): void {
    this.events.push({ kind: 'crashed', error });
  }

  /** The latest assignment, sorted; null while there is none or a rebalance is under way. */
  get assignment(): readonly string[] | null {
    const last = this.events.findLast((event) => event.kind === 'assigned' || event.kind === 'rebalancing');
    if (last?.kind !== 'assigned') return null;
    return last.partitions.map(({ topic, partition }) => `${topic}/${partition}`).sort();
  }

  get epoch(): number {
    return this.events.findLast((event) => event.kind === 'assigned')?.epoch ?? 0;
  }

  get heartbeats(): readonly { readonly epoch: number; readonly atMs: number }[] {
    return this.events.filter((event) => event.kind === 'heartbeat');
  }

  get crashes(): readonly unknown[] {
    return this.events.flatMap((event) => (event.kind === 'crashed' ? [event.error] : []));
  }

  recordsOf({ topic, partition }: TopicPartition): readonly LogRecord[] {
    return this.events.flatMap((event) =>
      event.kind === 'records' && event.batch.topic === topic && event.batch.partition === partition
        ? event.batch.records
        : [],
    );
  }

  get allRecords(): readonly LogRecord[] {
    return this.events.flatMap((event) => (event.kind === 'records' ? event.batch.records : []));
  }
}

/** Writes plain records, one request each call. */
export async function appendTo(log: Log, partition: TopicPartition, texts: readonly string[]): Promise<void> {
  const producer = await log.producer({ clientId: 'contract' });
  await producer.append(
    texts.map((value) => ({ ...partition, key: Buffer.from(`key of ${value}`), value: Buffer.from(value) })),
  );
  await producer.close();
}
