/** One owned partition while it is served: what the parts of its sink share, what they leave for the log, and how it ends. */
import { CodedError } from '../../base/errors.ts';
import type { WireReceipt } from '../../fibric/commands/receipt-fields.ts';
import { HEADER } from '../../kafka/headers.ts';
import type { OwnedPartition } from '../../kafka/owner-worker.ts';
import type { LogRecord } from '../../kafka/port.ts';
import type { AnswerWork } from '../answers/admit-answer.ts';
import type { Progress } from '../lanes/offsets.ts';
import type { Lanes, Ticket } from '../lanes.ts';
import type { LedgerChange } from '../ledger/entry.ts';
import type { CustomerPace } from '../pace/customer-pace.ts';
import type { Admission, CommandWork } from './admit.ts';
import { LaneOrder } from './lane-order.ts';
import { LedgerView } from './ledger-view.ts';
import { Outbox } from './outbox.ts';
import type { SinkDeps } from './ports.ts';
import { Wakeup } from './wakeup.ts';

const MAX_ERROR_MESSAGE_CHARS = 500;
/** By which a producer's clock may be ahead of ours. */
const MAX_AHEAD_MS = 60_000;

/** What has its turn in a lane. */
export type LaneWork = CommandWork | AnswerWork;

/** What the partitions of one process share. */
export interface Shared extends SinkDeps {
  readonly lanes: Lanes<LaneWork>;
  readonly pace: CustomerPace;
  /** Gives turns to whoever can start. */
  readonly pump: () => void;
}

export class Partition {
  readonly shared: Shared;
  readonly owned: OwnedPartition;
  readonly ledger: LedgerView;
  readonly outbox: Outbox;
  readonly order = new LaneOrder();
  /** Something came to its end, or came in. */
  readonly changed = new Wakeup();
  /** Aborts when this partition is to end, for whatever reason. */
  readonly ending: AbortSignal;
  /** D3: nothing is called any more. */
  isStopping = false;
  readonly #end = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  /** Of all records of the partition, as far as is known. */
  #latestMs: number | undefined;

  /** `noted` is told of every change of the ledger, when it is staged. */
  constructor(shared: Shared, owned: OwnedPartition, noted: (change: LedgerChange) => void) {
    this.shared = shared;
    this.owned = owned;
    this.ending = AbortSignal.any([owned.signal, this.#end.signal]);
    const { callPaceMs, paceMs, maxPaceMs, retentionMs } = shared.settings;
    this.ledger = new LedgerView(owned, retentionMs, noted);
    this.outbox = new Outbox({
      owned,
      ledger: this.ledger,
      clock: shared.clock,
      paceMs: (isUrgent) => {
        const least = isUrgent ? callPaceMs : paceMs;
        return least + (maxPaceMs - least) * shared.lanes.load;
      },
      progress: () => this.#progress,
      idle: () => this.changed.wake(),
      failed: (error) => this.fail(error),
    });
  }

  get nowMs(): number {
    return this.shared.clock.nowMs();
  }

  /** A record of this time was there. One that lies in the future says nothing, or it would hide a log that was made anew. */
  saw(timestampMs: number | undefined): void {
    if (timestampMs === undefined || timestampMs < 0 || timestampMs > this.nowMs + MAX_AHEAD_MS) return;
    this.#latestMs = Math.max(this.#latestMs ?? 0, timestampMs);
  }

  /** What ended it before it was let go. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#end.abort();
    this.changed.wake(); // whoever drains waits for that alone
  }

  track(doing: Promise<void>): void {
    const tracked = doing
      .catch((error) => this.fail(error))
      .finally(() => {
        this.#underWay.delete(tracked);
        this.changed.wake();
      });
    this.#underWay.add(tracked);
  }

  /** Everything that is tracked has come to its end. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  stageReceipt(receipt: WireReceipt, change: LedgerChange | null): void {
    const { topics, encodeReceipt, observer } = this.shared;
    const { tenant_id: tenantId, connection_id: connectionId, command_id: commandId, entity_key: entityKey } = receipt;
    const append = {
      topic: topics.receipts(tenantId),
      key: Buffer.from(entityKey ?? commandId),
      value: encodeReceipt(receipt),
      headers: {
        [HEADER.tenant]: tenantId,
        [HEADER.commandId]: commandId,
        ...(connectionId === null ? {} : { [HEADER.connection]: connectionId }),
      },
    };
    this.outbox.stage({ change, append, afterwards: () => observer.disposed(receipt) });
  }

  bury(record: LogRecord, { code, message }: Omit<Extract<Admission, { kind: 'dead' }>, 'kind'>): void {
    const { topics, observer } = this.shared;
    const { topic, partition, offset } = record;
    const headers = {
      ...record.headers,
      [HEADER.errorCode]: code,
      [HEADER.errorMessage]: message.slice(0, MAX_ERROR_MESSAGE_CHARS),
      [HEADER.sourceTopic]: topic,
      [HEADER.sourcePartition]: String(partition),
      [HEADER.sourceOffset]: String(offset),
      ...(record.key === null ? {} : { [HEADER.sourceKey]: record.key }),
    };
    // Not under its own key, which may be any bytes at all.
    const append = { topic: topics.dead, key: Buffer.from(`${topic}/${partition}`), value: record.value, headers };
    this.outbox.stage({ append, afterwards: () => observer.buried(code) });
  }

  /** What comes of the record is staged. `lane`: the next call there waits until that is durable (D7). */
  settle(ticket: Ticket, lane: string | null): void {
    const { lanes, pump } = this.shared;
    if (lane !== null) this.outbox.stage({ afterwards: this.order.ended(lane), isUrgent: true });
    lanes.settle(ticket);
    this.changed.wake();
    pump();
  }

  backOff(ticket: Ticket, untilMs: number): void {
    const { lanes, pump } = this.shared;
    lanes.backOff(ticket, untilMs);
    pump();
  }

  /** A CodedError that passes: whoever waits asks again, unless we are ending. Throws all others. */
  async pauseAfter(error: unknown, ms: number): Promise<void> {
    const passes = error instanceof CodedError && (error.disposition === 'retry' || error.disposition === 'wait');
    if (!passes) throw error;
    await this.shared.clock.sleep(ms, this.ending);
  }

  /** With what tells its log from another one (resume.ts). */
  get #progress(): Progress | undefined {
    const progress = this.shared.lanes.progress(this.owned.partition);
    const latestMs = this.#latestMs;
    return progress === undefined || latestMs === undefined ? progress : { ...progress, latestMs };
  }
}
