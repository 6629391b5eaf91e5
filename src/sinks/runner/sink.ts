/**
 * The sink of one process: the commands of all partitions it owns, under one bound of what may be active. `serve` is what an
 * owner worker over the ledger, with the commands as its input, runs for each partition.
 */
import { APPROVAL_TTL_MS } from '../../fibric/policy/approvals.ts';
import type { OwnedPartition } from '../../kafka/owner-worker.ts';
import { LANE_LIMITS, Lanes } from '../lanes.ts';
import { LEDGER_RETENTION_MS } from '../ledger/retention.ts';
import { LIFECYCLE_DEFAULTS } from '../lifecycle/config.ts';
import { CustomerPace, PACE_LIMITS } from '../pace/customer-pace.ts';
import type { LaneWork, Shared } from './partition.ts';
import { PartitionSink } from './partition-sink.ts';
import type { SinkDeps, SinkSettings } from './ports.ts';

export const SINK_DEFAULTS: SinkSettings = {
  lanes: LANE_LIMITS,
  lifecycle: LIFECYCLE_DEFAULTS,
  callPaceMs: 15,
  paceMs: 30,
  maxPaceMs: 120,
  drainMs: 3000,
  approvalTtlMs: APPROVAL_TTL_MS,
  retentionMs: LEDGER_RETENTION_MS,
  stateMaxBytes: 2 ** 28,
  pace: PACE_LIMITS,
};

export class Sink {
  readonly #lanes: Lanes<LaneWork>;
  readonly #shared: Shared;
  readonly #partitions = new Map<number, PartitionSink>();
  #isPumping = false;
  #timer: { readonly atMs: number; readonly cancel: AbortController } | undefined;

  constructor(deps: SinkDeps) {
    this.#lanes = new Lanes(deps.settings.lanes);
    const pace = new CustomerPace(deps.settings.pace);
    this.#shared = { ...deps, lanes: this.#lanes, pace, pump: () => this.#pump() };
  }

  get counts(): Lanes<LaneWork>['counts'] {
    return this.#lanes.counts;
  }

  /** How far a partition is: commands in hand, and the first offset behind them. Undefined when it is not served here. */
  progress(partition: number): { readonly unfinished: number; readonly nextOffset: number } | undefined {
    const progress = this.#lanes.progress(partition);
    return progress && { unfinished: progress.unfinished.length, nextOffset: progress.nextOffset };
  }

  /** Until the partition is let go. Never twice at once for one partition. */
  async serve(owned: OwnedPartition): Promise<void> {
    const partition = new PartitionSink(this.#shared, owned);
    this.#partitions.set(owned.partition, partition);
    try {
      await partition.run();
    } finally {
      this.#partitions.delete(owned.partition);
      this.#pump();
    }
  }

  /** Not from within itself: whoever starts a command may ask for it. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      const { clock } = this.#shared;
      for (let turn = this.#lanes.take(clock.nowMs()); turn !== null; turn = this.#lanes.take(clock.nowMs())) {
        this.#partitions.get(turn.ticket.partition)?.turn(turn);
      }
    } finally {
      this.#isPumping = false;
    }
    this.#setTimer(this.#lanes.wakeAtMs);
  }

  #setTimer(atMs: number | null): void {
    if (this.#timer?.atMs === atMs) return;
    this.#timer?.cancel.abort();
    this.#timer = undefined;
    if (atMs === null) return;
    const { clock } = this.#shared;
    const cancel = new AbortController();
    this.#timer = { atMs, cancel };
    void clock.sleep(atMs - clock.nowMs(), cancel.signal).then(() => {
      if (cancel.signal.aborted) return;
      this.#timer = undefined;
      this.#pump();
    });
  }
}
