/**
 * A partition session: exclusive, recoverable ownership of one shard's input partitions and their twin partitions in a
 * compacted state topic.
 *
 *   open: fence → barrier → restore to the barrier → read committed offsets      commit: appends + state + offsets
 *
 * S1 fence before everything: the earlier owner's transaction is complete (either way) before we read an offset or state
 * S2 the barrier is the last record of the state as we found it: reading up to it is reading all of it (restore.ts)
 * S3 memory changes only after the commit of the transaction that carries the same changes
 * S4 a session that has failed once never commits again; recovery is a new session (same steps, one path)
 * S5 one writer per state partition: the holder of the shard's transactional.id
 * S6 a committed offset is held against the log: above its end nothing would ever be read, so the open fails for good; below
 *    its start records are lost, which is told and stepped over
 */
import { CodedError } from '../base/errors.ts';
import type { Append, CommitOffset, Log, PartitionReader, TransactionalProducer, Watermarks } from './port.ts';
import { barrierRecord, type RestoreStats, restoreToBarrier } from './restore.ts';
import { transactionalId } from './shards.ts';
import type { StateOverlay } from './state-overlay.ts';
import { StateTable } from './state-table.ts';

export interface SessionOptions {
  readonly log: Log;
  /** Null with `stateTopic`. */
  readonly reader: PartitionReader | null;
  readonly groupId: string;
  readonly topic: string;
  /** Null = the task keeps no state: there is nothing to restore, and S2 and S5 are void. */
  readonly stateTopic: string | null;
  readonly shard: number;
  readonly partitions: readonly number[];
  /** A value no other open of this shard has used. */
  readonly barrierId: string;
  readonly transactionTimeoutMs: number;
  /** Longest time without a restored record before the restore counts as stuck. */
  readonly restoreStallMs: number;
  readonly stateMaxBytes: number;
  readonly signal: AbortSignal;
}

/** Offsets of an input partition that retention took before they were processed: `from` up to, not with, `to`. */
export interface LostRange {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

export class PartitionSession {
  readonly table: StateTable;
  readonly restored: RestoreStats;
  /** S6. Told again by the next open unless something was committed since. */
  readonly lost: readonly LostRange[];
  /** Next offset to process, per input partition: what is committed, as only this session can commit it. */
  readonly positions: Map<number, number>;
  readonly #options: SessionOptions;
  readonly #producer: TransactionalProducer;
  #spent = false;

  private constructor(
    options: SessionOptions,
    producer: TransactionalProducer,
    table: StateTable,
    restored: RestoreStats,
    { positions, lost }: Start,
  ) {
    this.#options = options;
    this.#producer = producer;
    this.table = table;
    this.restored = restored;
    this.positions = positions;
    this.lost = lost;
  }

  /** Rejects with a CodedError; nothing is left open then. */
  static async open(options: SessionOptions): Promise<PartitionSession> {
    const { log, groupId, topic, shard } = options;
    const producer = await log.transactional({
      transactionalId: transactionalId(groupId, topic, shard),
      transactionTimeoutMs: options.transactionTimeoutMs,
    });
    try {
      const table = new StateTable({ maxBytes: options.stateMaxBytes });
      const restored = await restoreState(options, producer, table);
      return new PartitionSession(options, producer, table, restored, await startOf(options));
    } catch (error) {
      await producer.close().catch(() => undefined); // the cause matters, a close error of a failed open does not
      throw error;
    }
  }

  /**
   * One transaction: these appends, the overlay's state changes, these next offsets. Rejects with the producer's
   * CodedError; the session is then spent (S4).
   */
  async commit(appends: readonly Append[], overlay: StateOverlay, offsets: ReadonlyMap<number, number>): Promise<void> {
    if (this.#spent) throw new CodedError('fenced', 'This session has ended; its shard must be opened again');
    const { topic, stateTopic, groupId, log } = this.#options;
    const all: Append[] = [...appends];
    for (const change of overlay.changes()) {
      if (stateTopic === null) throw new Error(`The task of group ${groupId} keeps no state, but wrote some`);
      all.push({ topic: stateTopic, partition: change.partition, key: Buffer.from(change.key), value: change.value });
    }
    const next: CommitOffset[] = [...offsets].map(([partition, offset]) => ({ topic, partition, offset }));
    try {
      await this.#producer.commit({ appends: all, offsets: { groupId, offsets: next } });
      overlay.apply(log.clock.nowMs()); // may find the table full: then memory is behind the log, and S4 holds all the more
    } catch (error) {
      this.#spent = true;
      throw error;
    }
    for (const [partition, offset] of offsets) this.positions.set(partition, offset);
  }

  async close(): Promise<void> {
    this.#spent = true;
    this.table.clear();
    await this.#producer.close();
  }
}

export interface Start {
  readonly positions: Map<number, number>;
  readonly lost: readonly LostRange[];
}

/** S6. The log is asked after the offsets, so that it cannot seem to end before them. */
export async function startOf({
  log,
  groupId,
  topic,
  partitions,
}: Pick<SessionOptions, 'log' | 'groupId' | 'topic' | 'partitions'>): Promise<Start> {
  const inputs = partitions.map((partition) => ({ topic, partition }));
  const committed = await log.admin.committed(groupId, inputs);
  const watermarks = await Promise.all(inputs.map((input) => log.admin.watermarks(input)));
  const positions = new Map<number, number>();
  const lost: LostRange[] = [];
  for (const [index, { partition }] of inputs.entries()) {
    const { low, high } = watermarks[index] as Watermarks;
    const offset = committed[index] ?? low;
    if (offset > high) throw beyondEnd(topic, partition, offset, high, groupId);
    if (offset < low) lost.push({ partition, from: offset, to: low });
    positions.set(partition, Math.max(offset, low));
  }
  return { positions, lost };
}

function beyondEnd(topic: string, partition: number, committed: number, end: number, groupId: string): CodedError {
  const cure = `move group ${groupId} to the earliest offset of the partition, then restart`;
  return new CodedError(
    'offset_beyond_end',
    `The next offset to process is ${committed}, but partition ${partition} of ${topic} ends at ${end}: its log was cut or restored; ${cure}`,
    { topic, partition, committed, end },
  );
}

async function restoreState(
  options: SessionOptions,
  producer: TransactionalProducer,
  table: StateTable,
): Promise<RestoreStats> {
  const { log, reader, stateTopic, partitions, barrierId } = options;
  if (stateTopic === null || reader === null) return { records: 0, durationMs: 0 };
  const appends = partitions.map((partition) => barrierRecord({ topic: stateTopic, partition }, barrierId));
  await producer.commit({ appends });
  const startedAtMs = log.clock.nowMs();
  const counts = await restoreAll({ ...options, reader, stateTopic }, table);
  return { records: counts.reduce((sum, count) => sum + count, 0), durationMs: log.clock.nowMs() - startedAtMs };
}

type StatefulOptions = SessionOptions & { readonly reader: PartitionReader; readonly stateTopic: string };

/**
 * All partitions at once. One that fails ends the others, and none is followed any more when this settles: the next open
 * follows them again, and a reader follows a partition once.
 */
async function restoreAll(options: StatefulOptions, table: StateTable): Promise<readonly number[]> {
  const { reader, log, stateTopic, barrierId, restoreStallMs } = options;
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const restores = options.partitions.map((partition) =>
    restoreToBarrier({
      reader,
      clock: log.clock,
      topic: stateTopic,
      partition,
      barrierId,
      stallMs: restoreStallMs,
      signal,
      restored: (key, value, timestampMs) => table.restore(key, value, timestampMs),
    }).then(
      ({ records }) => records,
      (error) => {
        failed.abort();
        throw error;
      },
    ),
  );
  const settled = Promise.allSettled(restores);
  try {
    return await Promise.all(restores);
  } finally {
    await settled;
  }
}
