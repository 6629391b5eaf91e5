/** What comes in: each record in the order of the log to its lane, its refusal or its grave (D2), as far as there is room. */
import { CodedError } from '../../base/errors.ts';
import type { OwnedInput } from '../../kafka/input-feed.ts';
import type { LogRecord } from '../../kafka/port.ts';
import type { AnswerAdmission } from '../answers/admit-answer.ts';
import type { OfferResult } from '../lanes.ts';
import { hasRoom } from '../ledger/retention.ts';
import type { Admission } from './admit.ts';
import type { FullLedger } from './full-ledger.ts';
import type { Partition } from './partition.ts';
import { admitted, ensureReceipts, tenantOf } from './reading.ts';
import { refusalReceipt } from './receipts.ts';

/** Records decoded and offered before anybody else has a turn. */
const INTAKE_RECORDS = 200;
/** How long the reading may be held up by tenants without a share, before what is theirs is passed over: most bursts are over by then. */
const PATIENCE_MS = 1000;
/** What was passed over is read again no more often. */
const GO_BACK_EVERY_MS = 250;

export interface IntakeOptions {
  readonly partition: Partition;
  readonly input: OwnedInput;
  readonly full: FullLedger;
  /** Commands taken from their lanes and not settled. */
  readonly atWork: () => number;
}

export class Intake {
  readonly #partition: Partition;
  readonly #input: OwnedInput;
  readonly #full: FullLedger;
  readonly #atWork: () => number;
  #mayGoBackAtMs = 0;
  #wakesAtMs: number | null = null;
  /** Since when there has been no room for what came, and the end of the log has not been reached. */
  #heldUpSinceMs: number | null = null;
  /** Whose commands are known to be passed over. */
  #behind: readonly string[] = [];

  constructor({ partition, input, full, atWork }: IntakeOptions) {
    this.#partition = partition;
    this.#input = input;
    this.#full = full;
    this.#atWork = atWork;
  }

  /** Until the partition is ending. */
  async run(): Promise<void> {
    const { shared, ending, changed } = this.#partition;
    const { lanes, pump, heard } = shared;
    this.#input.listen(() => changed.wake());
    while (!ending.aborted) {
      this.#goBack();
      const records = this.#input.take(INTAKE_RECORDS);
      if (records.length === 0) this.#heldUpSinceMs = null;
      for (const record of records) {
        this.#partition.saw(record.timestampMs);
        if (lanes.isKnown(record.partition, record.offset)) continue;
        await heard?.(record);
        const admission = await admitted(this.#partition, record);
        const tenantId = tenantOf(admission);
        if (tenantId !== undefined) await ensureReceipts(this.#partition, tenantId);
        if (!(await this.#takeIn(record, admission))) break;
      }
      pump();
      if (records.length === 0) await changed.wait(ending);
    }
  }

  /** When there is room for it. False when we are ending, or the reading goes on elsewhere and what follows it comes once more. */
  async #takeIn(record: LogRecord, admission: Admission | AnswerAdmission): Promise<boolean> {
    const { shared, ending, changed } = this.#partition;
    const { lanes, pump } = shared;
    while (!ending.aborted) {
      const heldUpMs = this.#heldUpSinceMs === null ? 0 : this.#partition.nowMs - this.#heldUpSinceMs;
      if (this.#place(record, admission, heldUpMs >= PATIENCE_MS)) {
        const next = lanes.skipTo(record.partition, record.offset);
        if (next !== null) this.#input.seek(next);
        return next === null;
      }
      pump(); // what was placed before it makes the room
      if (this.#goBack()) return false;
      this.#heldUpSinceMs ??= this.#partition.nowMs;
      this.#wakeAt(this.#heldUpSinceMs + PATIENCE_MS);
      await changed.wait(ending);
    }
    return false;
  }

  /** For tenants that have room again for what was passed over. */
  #goBack(): boolean {
    const { shared, owned, nowMs } = this.#partition;
    const { lanes, observer } = shared;
    const { partition } = owned;
    const behind = lanes.passedOver(partition);
    if (behind.length !== this.#behind.length) {
      for (const tenantId of behind) if (!this.#behind.includes(tenantId)) observer.passedOver?.(partition, tenantId);
      this.#behind = behind;
    }
    if (behind.length === 0) return false;
    if (nowMs < this.#mayGoBackAtMs) {
      this.#wakeAt(this.#mayGoBackAtMs);
      return false;
    }
    const offset = lanes.goBack(partition);
    if (offset === null) return false;
    this.#input.seek(offset);
    this.#mayGoBackAtMs = nowMs + GO_BACK_EVERY_MS;
    return true;
  }

  /** Once, if it is still to come. */
  #wakeAt(atMs: number): void {
    const { shared, ending, changed, nowMs } = this.#partition;
    const inMs = atMs - nowMs;
    if (inMs <= 0 || this.#wakesAtMs === atMs) return;
    this.#wakesAtMs = atMs;
    void shared.clock.sleep(inMs, ending).then(() => {
      // A timer may be a moment early: whoever finds that it is not time yet asks again.
      if (this.#wakesAtMs === atMs) this.#wakesAtMs = null;
      changed.wake();
    });
  }

  /** False when there is no room for it yet. */
  #place(record: LogRecord, admission: Admission | AnswerAdmission, mayPass: boolean): boolean {
    const { shared, nowMs } = this.#partition;
    const { lanes } = shared;
    const { partition, offset, key, value } = record;
    if (admission.kind === 'work' || admission.kind === 'answer') {
      const { work } = admission;
      const bytes = (key?.length ?? 0) + (value?.length ?? 0);
      if (!this.#hasRoom(bytes)) return false;
      const tenantId = tenantOf(admission) as string;
      return this.#isPlaced(lanes.offer({ partition, offset, tenantId, lane: work.lane, value: work, bytes }, mayPass));
    }
    const skipped = lanes.skip(partition, offset);
    if (skipped !== 'skipped') return this.#isPlaced(skipped);
    if (admission.kind === 'refused') this.#partition.stageReceipt(refusalReceipt(admission.refusal, nowMs), null);
    else this.#partition.bury(record, admission);
    return true;
  }

  /** In the ledger, for a record of so many bytes. */
  #hasRoom(bytes: number): boolean {
    const { shared, owned } = this.#partition;
    const { lanes, settings } = shared;
    const recordBytes = lanes.queuedBytes(owned.partition) + bytes;
    const room = {
      bytes: owned.stateBytes,
      maxBytes: settings.stateMaxBytes,
      atWork: this.#atWork(),
      recordBytes,
    };
    const isThere = hasRoom(room);
    // What is at work gives its room back by itself.
    this.#full.note(!isThere && !hasRoom({ ...room, atWork: 0, recordBytes: bytes }));
    return isThere;
  }

  #isPlaced(result: OfferResult): boolean {
    if (result === 'lost') {
      const { partition } = this.#partition.owned;
      const message = 'Commands that were passed over are not in the log any more; the partition is opened anew';
      this.#partition.fail(new CodedError('log_unavailable', message, { partition }));
    }
    return result !== 'full';
  }
}
