/**
 * The commands of one owned partition, from their records to their receipts: it carries out what the machines decide (lanes,
 * ledger, lifecycle) and tells them what came of it.
 *
 * D1 what a decision rests on is durable before the world sees it: the call waits for the commit of its `in_flight`, and no
 *    receipt is ahead of the ledger
 * D2 a record is refused or buried in the transaction that moves past it
 * D3 after the signal nothing is taken up and nothing is called; what is under way has `drainMs` to end and be committed
 * D4 after a failed commit, and after that time, everything is given up as it is: connections are closed, nothing is told
 *    any more. What is not known then is read back by the next owner
 * D5 what a write was decided on is durable before the write, where the action says so (C14)
 * D6 what creates something for a customer has a place in that customer's pace, or waits for one with its lane and no other
 * D7 a call waits for the ends before it in its lane to be durable, all but those that Kustomer confirmed (lane-order.ts, O1)
 */
import { aborted } from '../../base/aborted.ts';
import { CodedError } from '../../base/errors.ts';
import type { WireReceipt } from '../../fibric/commands/receipt-fields.ts';
import { evaluatePolicy } from '../../fibric/policy/evaluate.ts';
import { HEADER } from '../../kafka/headers.ts';
import type { OwnedInput } from '../../kafka/input-feed.ts';
import type { OwnedPartition } from '../../kafka/owner-worker.ts';
import type { Append, LogRecord } from '../../kafka/port.ts';
import type { KustomerClient } from '../../kustomer/client/client.ts';
import { type AnswerAdmission, type AnswerWork, admitAnswer } from '../answers/admit-answer.ts';
import { isAnswer } from '../answers/answer.ts';
import { AnswerDesk } from '../answers/desk.ts';
import { decodeProgress } from '../lanes/progress-codec.ts';
import type { Lanes, OfferResult, Ticket, Turn } from '../lanes.ts';
import type { Basis } from '../ledger/entry.ts';
import { hasRoom } from '../ledger/retention.ts';
import type { LifecycleEffect, LifecycleEvent, PolicyDecision, ReceiptFacts } from '../lifecycle/events.ts';
import type { Life, Phase } from '../lifecycle/life.ts';
import type { CallOutcome } from '../lifecycle/outcome.ts';
import { newLife, step } from '../lifecycle/step.ts';
import { createdFor, customerTold } from '../pace/creates.ts';
import type { CustomerPace, Place } from '../pace/customer-pace.ts';
import { policyDecision } from '../policy-gate.ts';
import { LimitPlace, RESERVE_TIMEOUT_MS } from '../quota/limit-place.ts';
import { type Admission, admit, type CommandWork, type Decoded, refuseMisplaced } from './admit.ts';
import { refuseFalseTest } from './connector-test.ts';
import { Deadlines } from './deadlines.ts';
import { isConfirmed, LaneOrder } from './lane-order.ts';
import { LedgerView, PROGRESS_KEY } from './ledger-view.ts';
import { Outbox } from './outbox.ts';
import type { SinkDeps } from './ports.ts';
import { finishedReceipt, refusalReceipt, type SentTimes } from './receipts.ts';
import { type Asking, type Called, carryOut, lookBack } from './vendor.ts';
import { Wakeup } from './wakeup.ts';

/** Records decoded and offered before anybody else has a turn. */
const INTAKE_RECORDS = 200;
const PREPARE_RETRY_MS = 1000;
/** How long the reading may be held up by tenants without a share, before what is theirs is passed over: most bursts are over by then. */
const PATIENCE_MS = 1000;
/** What was passed over is read again no more often. */
const GO_BACK_EVERY_MS = 250;
/** A read back holds its lane, and a slot; what finds no budget in this time is tried again later. */
const READ_WAIT_MS = 10_000;
const MAX_ERROR_MESSAGE_CHARS = 500;
/** Commands prepared ahead of their turn: as long as a transaction takes, at one call after another. */
const MOST_AHEAD_IN_LANE = 16;
/** In all of a partition. */
const MOST_AHEAD = 32;
/** Of what has its turn still to come; no turn of the lanes has this number. */
const NO_TURN = 0;
/** While the ledger is full. */
const FULL_RETRY_MS = 1000;
const FULL_LOOKS = 5000;

interface AtWork {
  readonly work: CommandWork;
  life: Life;
  ticket: Ticket;
  /** Of the last write that was handed over; null = not by this owner. */
  basis: Basis | null;
  sent: SentTimes;
  readonly place: LimitPlace;
}

type Effect<K extends LifecycleEffect['kind']> = Extract<LifecycleEffect, { readonly kind: K }>;

/** What has its turn in a lane. */
export type LaneWork = CommandWork | AnswerWork;

/** What the partitions of one process share. */
export interface Shared extends SinkDeps {
  readonly lanes: Lanes<LaneWork>;
  readonly pace: CustomerPace;
  /** Gives turns to whoever can start. */
  readonly pump: () => void;
}

export class PartitionSink {
  readonly #shared: Shared;
  readonly #owned: OwnedPartition;
  readonly #ledger: LedgerView;
  readonly #outbox: Outbox;
  readonly #desk: AnswerDesk;
  readonly #works = new Map<number, AtWork>();
  /** Of them those that have not had their turn. */
  readonly #ahead = new Set<number>();
  /** Places in the pace of their customers, of those that may create something. */
  readonly #creates = new Map<number, Place>();
  readonly #order = new LaneOrder();
  readonly #underWay = new Set<Promise<void>>();
  readonly #calls: Deadlines;
  /** Something came to its end, or came in. */
  readonly #changed = new Wakeup();
  /** Aborts when this partition is to end, for whatever reason. */
  readonly #end = new AbortController();
  readonly #ending: AbortSignal;
  #failure: { readonly error: unknown } | undefined;
  #isStopping = false;
  #isFull = false;
  #isLooking = false;
  #fullLooks = 0;
  #mayGoBackAtMs = 0;
  #wakesAtMs: number | null = null;
  /** Since when there has been no room for what came, and the end of the log has not been reached. */
  #heldUpSinceMs: number | null = null;
  /** Whose commands are known to be passed over. */
  #behind: readonly string[] = [];

  constructor(shared: Shared, owned: OwnedPartition) {
    this.#shared = shared;
    this.#owned = owned;
    this.#ending = AbortSignal.any([owned.signal, this.#end.signal]);
    const { paceMs, maxPaceMs, retentionMs } = shared.settings;
    this.#calls = new Deadlines(shared.clock);
    this.#ledger = new LedgerView(owned, retentionMs, (change) => this.#desk.noted(change));
    this.#outbox = new Outbox({
      owned,
      ledger: this.#ledger,
      clock: shared.clock,
      paceMs: () => paceMs + (maxPaceMs - paceMs) * shared.lanes.load,
      progress: () => shared.lanes.progress(owned.partition),
      idle: () => this.#changed.wake(),
      failed: (error) => this.#fail(error),
    });
    this.#desk = this.#openDesk();
  }

  /** Until the partition is let go; rejects with what ended it before. */
  async run(): Promise<void> {
    const { lanes } = this.#shared;
    const { partition, epoch, input } = this.#owned;
    if (input === null) throw new TypeError('The sink needs an input');
    const bytes = this.#owned.get(PROGRESS_KEY);
    const progress = bytes === undefined ? null : decodeProgress(bytes);
    lanes.assign(partition, { epoch, commitOffset: input.position, progress });
    try {
      input.listen(() => this.#changed.wake());
      this.#track(this.#desk.expire());
      await this.#intake(input);
    } catch (error) {
      this.#fail(error);
    }
    await this.#drain();
    for (const { ticket } of lanes.revoke(partition)) lanes.settle(ticket); // their slots are free
    this.#tellFull(false); // here it stands in nobody's way any more
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** The lane lets it start, or go on. */
  turn({ ticket, value: work, resumed }: Turn<LaneWork>): void {
    if (this.#isStopping) return;
    try {
      const before = this.#works.get(ticket.offset);
      const isBegun = before !== undefined && !this.#ahead.has(ticket.offset);
      if (!('answer' in work) && this.#mustWait(work, ticket, isBegun ? before.life.phase.kind : null)) return;
      if (resumed && isBegun) this.#resume(before, ticket);
      else if ('answer' in work) this.#answer(work, ticket);
      else {
        this.#begin(work, ticket);
        this.#lookAhead(work, ticket);
      }
    } catch (error) {
      this.#fail(error); // ours; whoever asked for turns may be another partition
    }
  }

  /** D6. What calls nothing now, such as a copy or a reading back, needs no place. */
  #mustWait(work: CommandWork, ticket: Ticket, phase: Phase['kind'] | null): boolean {
    const { lanes, pace } = this.#shared;
    const { live, command, connection } = work;
    const { partition, offset } = ticket;
    const target = createdFor(command, connection.connectionId);
    if (target === null || live.mode !== 'live' || this.#creates.has(offset)) return false;
    if (phase !== null && phase !== 'deferred') return false;
    if (live.deadlineMs !== null && this.#nowMs > live.deadlineMs) return false;
    const kind = this.#ledger.get(live.identity, this.#nowMs)?.kind;
    if (kind === 'done' || kind === 'parked' || kind === 'held') return false;
    const asked = pace.take(target, `${partition}/${offset}`, this.#nowMs);
    if (asked.kind === 'place') {
      this.#creates.set(offset, asked.place);
      return false;
    }
    // At its deadline it is told that it has passed.
    lanes.backOff(ticket, Math.min(asked.untilMs, (live.deadlineMs ?? Infinity) + 1));
    return true;
  }

  #notePlace({ work, ticket }: AtWork): void {
    const place = this.#creates.get(ticket.offset);
    const target = createdFor(work.command, work.connection.connectionId);
    if (place !== undefined) place.used(this.#nowMs);
    else if (target !== null) this.#shared.pace.count(target, this.#nowMs);
  }

  /** Nothing was created, or is going to be before it asks again. */
  #leavePlace(offset: number): void {
    this.#creates.get(offset)?.unused();
    this.#creates.delete(offset);
  }

  #begin(work: CommandWork, ticket: Ticket): void {
    const before = this.#works.get(ticket.offset);
    this.#ahead.delete(ticket.offset);
    if (before !== undefined) before.ticket = ticket;
    this.#tell(before ?? this.#take(work, ticket), { kind: 'turn' });
  }

  #take(work: CommandWork, ticket: Ticket): AtWork {
    const sent = { firstSentAtMs: null, lastSentAtMs: null };
    const atWork: AtWork = {
      work,
      ticket,
      life: newLife(work.live, this.#owned.epoch),
      basis: null,
      sent,
      place: new LimitPlace(this.#shared.quota),
    };
    this.#works.set(ticket.offset, atWork);
    this.#tell(atWork, { kind: 'validated' });
    return atWork;
  }

  /**
   * Prepares what waits behind it in its lane (ahead.ts), in order, up to the first that cannot be: of two with one identity
   * the second must find what has become of the first.
   */
  #lookAhead(first: CommandWork, ticket: Ticket): void {
    const { lanes } = this.#shared;
    const { partition, epoch } = ticket;
    const identities = new Set([first.live.identity]);
    for (const { offset, value: work } of lanes.behind(ticket, MOST_AHEAD_IN_LANE)) {
      if ('answer' in work || identities.has(work.live.identity)) return;
      identities.add(work.live.identity);
      if (this.#works.has(offset)) continue;
      if (this.#ahead.size >= MOST_AHEAD) return;
      const atWork = this.#take(work, { partition, offset, epoch, turn: NO_TURN });
      this.#tell(atWork, { kind: 'ahead' });
      if (!atWork.life.isAhead) {
        this.#works.delete(offset);
        return;
      }
      this.#ahead.add(offset);
    }
  }

  #answer(work: AnswerWork, ticket: Ticket): void {
    const answering = this.#desk.turn(work, ticket);
    if (answering !== undefined) this.#track(answering);
  }

  #resume(atWork: AtWork, ticket: Ticket): void {
    atWork.ticket = ticket;
    this.#tell(atWork, { kind: 'woke', ask: atWork.life.ask });
  }

  // What comes in.

  async #intake(input: OwnedInput): Promise<void> {
    const { lanes, pump, heard } = this.#shared;
    while (!this.#ending.aborted) {
      this.#goBack(input);
      const records = input.take(INTAKE_RECORDS);
      if (records.length === 0) this.#heldUpSinceMs = null;
      for (const record of records) {
        if (lanes.isKnown(record.partition, record.offset)) continue;
        await heard?.(record);
        const admission = await this.#admitted(record);
        const tenantId = tenantOf(admission);
        if (tenantId !== undefined) await this.#ensureReceipts(tenantId);
        if (!(await this.#takeIn(record, admission, input))) break;
      }
      pump();
      if (records.length === 0) await this.#changed.wait(this.#ending);
    }
  }

  /** When there is room for it. False when we are ending, or the reading goes on elsewhere and what follows it comes once more. */
  async #takeIn(record: LogRecord, admission: Admission | AnswerAdmission, input: OwnedInput): Promise<boolean> {
    const { lanes, pump } = this.#shared;
    const { partition, offset } = record;
    while (!this.#ending.aborted) {
      const heldUpMs = this.#heldUpSinceMs === null ? 0 : this.#nowMs - this.#heldUpSinceMs;
      if (this.#place(record, admission, heldUpMs >= PATIENCE_MS)) {
        const next = lanes.skipTo(partition, offset);
        if (next !== null) input.seek(next);
        return next === null;
      }
      pump(); // what was placed before it makes the room
      if (this.#goBack(input)) return false;
      this.#heldUpSinceMs ??= this.#nowMs;
      this.#wakeAt(this.#heldUpSinceMs + PATIENCE_MS);
      await this.#changed.wait(this.#ending);
    }
    return false;
  }

  /** For tenants that have room again for what was passed over. */
  #goBack(input: OwnedInput): boolean {
    const { lanes, observer } = this.#shared;
    const { partition } = this.#owned;
    const behind = lanes.passedOver(partition);
    if (behind.length !== this.#behind.length) {
      for (const tenantId of behind) if (!this.#behind.includes(tenantId)) observer.passedOver?.(partition, tenantId);
      this.#behind = behind;
    }
    if (behind.length === 0) return false;
    if (this.#nowMs < this.#mayGoBackAtMs) {
      this.#wakeAt(this.#mayGoBackAtMs);
      return false;
    }
    const offset = lanes.goBack(partition);
    if (offset === null) return false;
    input.seek(offset);
    this.#mayGoBackAtMs = this.#nowMs + GO_BACK_EVERY_MS;
    return true;
  }

  /** Once, if it is still to come. */
  #wakeAt(atMs: number): void {
    const { clock } = this.#shared;
    const inMs = atMs - this.#nowMs;
    if (inMs <= 0 || this.#wakesAtMs === atMs) return;
    this.#wakesAtMs = atMs;
    void clock.sleep(inMs, this.#ending).then(() => {
      // A timer may be a moment early: whoever finds that it is not time yet asks again.
      if (this.#wakesAtMs === atMs) this.#wakesAtMs = null;
      this.#changed.wake();
    });
  }

  async #admitted(record: LogRecord): Promise<Admission | AnswerAdmission> {
    const { answers, connections } = this.#shared;
    if (isAnswer(record)) return admitAnswer(record, { mac: answers, connections });
    const admission = admit(record, await this.#decoded(record), connections);
    const placed = refuseMisplaced(admission, record, (key) => this.#owned.partitionOf(key));
    return refuseFalseTest(placed, record, answers);
  }

  async #decoded(record: LogRecord): Promise<Decoded> {
    const { decoder } = this.#shared;
    const { value } = record;
    if (value === null) return { ok: false, reason: 'is empty' };
    for (;;) {
      try {
        await decoder.prepare(value);
        return { ok: true, value: decoder.decode(value) };
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
        if (error.code === 'message_undecodable' || error.code === 'schema_unknown') {
          return { ok: false, reason: `cannot be decoded: ${error.message}` };
        }
        await this.#pauseAfter(error);
        if (this.#ending.aborted) return { ok: false, reason: 'was not read: we are stopping' };
      }
    }
  }

  async #ensureReceipts(tenantId: string): Promise<void> {
    for (;;) {
      try {
        return await this.#shared.ensureReceipts(tenantId);
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
        await this.#pauseAfter(error);
        if (this.#ending.aborted) return;
      }
    }
  }

  /** What passes is waited for where we stand: what has been taken in goes on meanwhile. Whoever waits asks if we are ending. */
  async #pauseAfter(error: CodedError): Promise<void> {
    if (error.disposition !== 'retry' && error.disposition !== 'wait') throw error;
    await this.#shared.clock.sleep(PREPARE_RETRY_MS, this.#ending);
  }

  /** False when there is no room for it yet. */
  #place(record: LogRecord, admission: Admission | AnswerAdmission, mayPass: boolean): boolean {
    const { lanes, settings } = this.#shared;
    const { partition, offset, key, value } = record;
    if (admission.kind === 'work' || admission.kind === 'answer') {
      const { work } = admission;
      const bytes = (key?.length ?? 0) + (value?.length ?? 0);
      const recordBytes = lanes.queuedBytes(partition) + bytes;
      const { stateBytes } = this.#owned;
      const room = { bytes: stateBytes, maxBytes: settings.stateMaxBytes, atWork: this.#works.size, recordBytes };
      const hasPlace = hasRoom(room);
      // What is at work gives its room back by itself.
      this.#noteFull(!hasPlace && !hasRoom({ ...room, atWork: 0, recordBytes: bytes }));
      if (!hasPlace) return false;
      const tenantId = tenantOf(admission) as string;
      return this.#isPlaced(lanes.offer({ partition, offset, tenantId, lane: work.lane, value: work, bytes }, mayPass));
    }
    const skipped = lanes.skip(partition, offset);
    if (skipped !== 'skipped') return this.#isPlaced(skipped);
    if (admission.kind === 'refused') this.#stageReceipt(refusalReceipt(admission.refusal, this.#nowMs), null);
    else this.#bury(record, admission);
    return true;
  }

  #isPlaced(result: OfferResult): boolean {
    if (result === 'lost') {
      const message = 'Commands that were passed over are not in the log any more; the partition is opened anew';
      this.#fail(new CodedError('log_unavailable', message, { partition: this.#owned.partition }));
    }
    return result !== 'full';
  }

  /** A full ledger is looked through for what may be forgotten until there is room: nothing else would wake us. */
  #noteFull(isFull: boolean): void {
    if (!isFull) {
      this.#fullLooks = 0;
      this.#tellFull(false);
      return;
    }
    if (this.#isLooking) return;
    this.#isLooking = true;
    // What is at work takes more than what has ended, so a full moment is no news.
    if (++this.#fullLooks > 1) this.#tellFull(true);
    this.#outbox.stage({ looks: FULL_LOOKS });
    void this.#shared.clock.sleep(FULL_RETRY_MS, this.#ending).then(() => {
      this.#isLooking = false;
      this.#changed.wake();
    });
  }

  #tellFull(isFull: boolean): void {
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    this.#shared.observer.full?.(this.#owned.partition, isFull);
  }

  #bury(record: LogRecord, { code, message }: Omit<Extract<Admission, { kind: 'dead' }>, 'kind'>): void {
    const { topics, observer } = this.#shared;
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
    this.#outbox.stage({ append, afterwards: () => observer.buried(code) });
  }

  // What the machines say.

  get #nowMs(): number {
    return this.#shared.clock.nowMs();
  }

  #tell(atWork: AtWork, event: LifecycleEvent): void {
    const { random, settings } = this.#shared;
    const moment = { nowMs: this.#nowMs, leaseUntilMs: this.#owned.leaseUntilMs, random: random() };
    const { life, effects } = step(atWork.life, event, moment, settings.lifecycle);
    atWork.life = life;
    this.#order.learn(atWork.work.lane, life, atWork.work.live.receiptId);
    for (const effect of effects) this.#do(atWork, effect);
  }

  #do(atWork: AtWork, effect: LifecycleEffect): void {
    const { lanes, pump } = this.#shared;
    switch (effect.kind) {
      case 'look_up': {
        const { live, lane } = atWork.work;
        const entry = this.#ledger.get(live.identity, this.#nowMs);
        const isUnsent = entry?.kind === 'in_flight' && this.#order.isUnsent(lane, entry, live.receiptId);
        this.#tell(atWork, { kind: 'looked_up', ask: effect.ask, entry, isUnsent });
        break;
      }
      case 'ask_policy':
        this.#tell(atWork, { kind: 'decided', ask: effect.ask, decision: this.#decide(atWork) });
        break;
      case 'reserve':
        this.#track(this.#reserve(atWork, effect));
        break;
      case 'persist': {
        const { ask, change } = effect;
        this.#outbox.stage({ change, afterwards: () => this.#tell(atWork, { kind: 'persisted', ask }) });
        break;
      }
      case 'call':
        this.#track(this.#call(atWork, effect));
        break;
      case 'read_back':
        this.#track(this.#readBack(atWork, effect.ask));
        break;
      case 'wait':
        this.#leavePlace(atWork.ticket.offset);
        lanes.backOff(atWork.ticket, effect.untilMs);
        pump();
        break;
      case 'finish':
        this.#finish(atWork, effect);
        break;
      case 'abandon':
        this.#leavePlace(atWork.ticket.offset);
        this.#works.delete(atWork.ticket.offset);
        if (effect.change !== null) this.#outbox.stage({ change: effect.change });
        // L6: the ledger says that there is an owner after us.
        if (!this.#isStopping) this.#fail(new CodedError('fenced', 'The ledger has an entry of a later owner'));
        this.#changed.wake();
        break;
    }
  }

  #finish(atWork: AtWork, { change, receipt }: Effect<'finish'>): void {
    this.#works.delete(atWork.ticket.offset);
    this.#leavePlace(atWork.ticket.offset);
    // What is held asks once more, under the same name, when it is approved.
    const afterwards = receipt === null ? undefined : atWork.place.atEnd(atWork.life.attempts);
    if (afterwards !== undefined) this.#outbox.stage({ afterwards });
    // Before the lane goes on, and before the progress says so.
    if (receipt !== null) this.#stageReceipt(this.#receiptOf(atWork, receipt), change);
    else this.#outbox.stage({ change });
    const { identity, approvedBy } = atWork.work.live;
    if (approvedBy !== null) this.#desk.ended(identity);
    this.#settle(atWork.ticket, isConfirmed(receipt) ? null : atWork.work.lane);
  }

  /** `lane`: the next call there waits until this is durable. */
  #settle(ticket: Ticket, lane: string | null): void {
    const { lanes, pump } = this.#shared;
    if (lane !== null) this.#outbox.stage({ afterwards: this.#order.ended(lane) });
    lanes.settle(ticket);
    this.#changed.wake();
    pump();
  }

  #receiptOf({ work, sent }: AtWork, facts: ReceiptFacts): WireReceipt {
    return finishedReceipt(work, facts, sent);
  }

  #stageReceipt(receipt: WireReceipt, change: Effect<'finish'>['change']): void {
    const { topics, encodeReceipt, observer } = this.#shared;
    const { tenant_id: tenantId, connection_id: connectionId, command_id: commandId, entity_key: entityKey } = receipt;
    const append: Append = {
      topic: topics.receipts(tenantId),
      key: Buffer.from(entityKey ?? commandId),
      value: encodeReceipt(receipt),
      headers: {
        [HEADER.tenant]: tenantId,
        [HEADER.commandId]: commandId,
        ...(connectionId === null ? {} : { [HEADER.connection]: connectionId }),
      },
    };
    this.#outbox.stage({ change, append, afterwards: () => observer.disposed(receipt) });
  }

  #decide({ work, life, place }: AtWork): PolicyDecision {
    const { command, connection, live } = work;
    const { policies } = this.#shared;
    const { tenantId, capability, operator, args, value } = command;
    const context = {
      policies: policies.of(tenantId),
      grants: policies.grants(connection),
      nowMs: this.#nowMs,
      used: place.usedBy(life.command.receiptId, live.mode === 'live'),
    };
    const decided = place.decided(evaluatePolicy({ capability, operator, args, value }, context));
    const { approvalTtlMs } = this.#shared.settings;
    return policyDecision(decided, { nowMs: this.#nowMs, approvalTtlMs, moved: place.moved });
  }

  // What people say.

  #openDesk(): AnswerDesk {
    const { topics, connections, observer, settings, clock, lanes, pump } = this.#shared;
    return new AnswerDesk({
      partition: this.#owned.partition,
      commandsTopic: topics.commands,
      connections,
      observer,
      lifecycle: settings.lifecycle,
      ending: this.#ending,
      nowMs: () => this.#nowMs,
      sleep: (ms, signal) => clock.sleep(ms, signal),
      entry: (identity) => this.#ledger.get(identity, this.#nowMs),
      held: () => this.#ledger.held(),
      decoded: (record) => this.#decoded(record),
      ensureReceipts: (tenantId) => this.#ensureReceipts(tenantId),
      stage: ({ receipt, change = null, ...staged }) => {
        if (receipt === undefined) this.#outbox.stage({ change, ...staged });
        else this.#stageReceipt(receipt, change);
      },
      bury: (record, why) => this.#bury(record, why),
      settle: (ticket, lane) => this.#settle(ticket, lane),
      backOff: (ticket, untilMs) => {
        lanes.backOff(ticket, untilMs);
        pump();
      },
      run: (work, ticket) => this.#begin(work, ticket),
    });
  }

  // The world.

  #track(doing: Promise<void>): void {
    const tracked = doing
      .catch((error) => this.#fail(error))
      .finally(() => {
        this.#underWay.delete(tracked);
        this.#changed.wake();
      });
    this.#underWay.add(tracked);
  }

  async #reserve(atWork: AtWork, { ask, reservationId }: Effect<'reserve'>): Promise<void> {
    const answer = await this.#calls.within(this.#nowMs + RESERVE_TIMEOUT_MS, (signal) =>
      atWork.place.reserve(reservationId, signal),
    );
    this.#tell(atWork, answer.kind === 'granted' ? { ...answer, kind: 'reserved', ask } : { ...answer, ask });
  }

  async #call(atWork: AtWork, { ask, sendByMs, abortAtMs }: Effect<'call'>): Promise<void> {
    const { command, externalId, lane } = atWork.work;
    // The lease may have been lost since; it is never longer than `sendByMs` by what was known then.
    const isOurs = () => this.#nowMs <= sendByMs && this.#nowMs < this.#owned.leaseUntilMs && !this.#isStopping;
    const mayCall = () => isOurs() && this.#order.unwritten(lane) === undefined;
    const waitMs = () => Math.max(0, sendByMs - this.#nowMs);
    const outcome = await this.#calls.within(abortAtMs, async (signal) => {
      const client = this.#clientOf(atWork.work);
      if (client instanceof CodedError) {
        return { kind: 'failed_final', code: client.code, message: client.message } as const;
      }
      const before = this.#order.unwritten(lane); // D7
      if (before !== undefined) await Promise.race([before, aborted(signal)]);
      const asking: Asking = { ...this.#asking(atWork.work, client, signal), waitMs, maySend: mayCall };
      const decided = (basis: Basis) => this.#writeDown(atWork, basis, signal);
      const called = await carryOut(command, externalId, { ...asking, decided });
      atWork.place.called(called.left);
      if (called.wrote !== null) this.#note(atWork, called.wrote);
      return called.outcome;
    });
    this.#noteLimit(atWork, outcome);
    const { connection } = atWork.work;
    if (outcome.kind === 'applied' && !outcome.unchanged) this.#shared.observer.succeeded?.(connection);
    if (outcome.kind === 'ambiguous') this.#shared.observer.ambiguous?.(connection);
    this.#tell(atWork, { kind: 'answered', ask, outcome });
  }

  #asking({ connection }: CommandWork, client: KustomerClient, signal: AbortSignal) {
    const { observer, pace } = this.#shared;
    const faulted: Asking['faulted'] = (fault, message) => observer.faulted?.(connection, fault, message);
    const heard: Asking['heard'] = (body) => {
      const told = customerTold(body);
      if (told !== undefined) pace.learn(connection.connectionId, told.conversationId, told.customerId);
    };
    return { client, signal, heard, faulted, nowMs: () => this.#nowMs };
  }

  /** Kustomer tells with the same 429 of all its limits; who waits a little for another's is not wrong by much. */
  #noteLimit({ work }: AtWork, outcome: CallOutcome): void {
    const isLimit = outcome.kind === 'retry_later' && outcome.code === 'kustomer_rate_limited';
    const target = createdFor(work.command, work.connection.connectionId);
    if (isLimit && outcome.retryAtMs !== null && target !== null) this.#shared.pace.refused(target, outcome.retryAtMs);
  }

  /** D5. Resolves also when the call is given up: nothing is sent then. */
  async #writeDown({ life }: AtWork, basis: Basis, signal: AbortSignal): Promise<void> {
    const { entry, command } = life;
    if (entry?.kind !== 'in_flight') throw new TypeError('A call without its entry');
    const { promise, resolve } = Promise.withResolvers<void>();
    const change = { identity: command.identity, entry: { ...entry, sendable: true, basis } };
    this.#outbox.stage({ change, afterwards: resolve });
    await Promise.race([promise, aborted(signal)]);
  }

  #note(atWork: AtWork, { basis, atMs, creates }: NonNullable<Called['wrote']>): void {
    atWork.basis = basis;
    if (creates) this.#notePlace(atWork);
    atWork.sent = { firstSentAtMs: atWork.sent.firstSentAtMs ?? atMs, lastSentAtMs: atMs };
  }

  async #readBack(atWork: AtWork, ask: number): Promise<void> {
    const { work, life } = atWork;
    const { settings } = this.#shared;
    const context = {
      externalId: work.externalId,
      machineUserId: work.connection.settings.machineUserId,
      sinceMs: life.startedAtMs ?? work.place.appendedAtMs,
      basis: atWork.basis ?? (life.entry?.kind === 'in_flight' ? life.entry.basis : null),
      claimed: this.#ledger.written(),
    };
    const untilMs = this.#nowMs + READ_WAIT_MS + settings.lifecycle.requestTimeoutMs;
    const result = await this.#calls.within(untilMs, async (signal) => {
      const client = this.#clientOf(work);
      if (client instanceof CodedError) return { kind: 'unreadable', message: client.message } as const;
      const maySend = () => !signal.aborted;
      const asking: Asking = { ...this.#asking(work, client, signal), waitMs: () => READ_WAIT_MS, maySend };
      return lookBack(work.command, context, asking);
    });
    this.#tell(atWork, { kind: 'read', ask, result });
  }

  #clientOf({ connection }: CommandWork): KustomerClient | CodedError {
    try {
      return this.#shared.connections.client(connection);
    } catch (error) {
      if (error instanceof CodedError) return error;
      throw error;
    }
  }

  // The end.

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#end.abort();
  }

  /** D3, D4. */
  async #drain(): Promise<void> {
    const { clock, settings } = this.#shared;
    this.#isStopping = true;
    for (const atWork of [...this.#works.values()]) this.#tell(atWork, { kind: 'stop' });
    const late = new AbortController();
    const settled = new AbortController();
    void clock.sleep(settings.drainMs, settled.signal).then(() => late.abort());
    while (this.#failure === undefined && !late.signal.aborted && !(this.#works.size === 0 && this.#outbox.isEmpty)) {
      await this.#changed.wait(late.signal);
    }
    settled.abort();
    for (const atWork of this.#works.values()) this.#tell(atWork, { kind: 'lost' });
    this.#works.clear();
    // Other partitions of this process go on, and nobody knows what came of these.
    for (const place of this.#creates.values()) place.used(this.#nowMs);
    this.#creates.clear();
    this.#calls.giveUp();
    await Promise.all(this.#underWay);
  }
}

/** Whose receipts may come of it. */
function tenantOf(admission: Admission | AnswerAdmission): string | undefined {
  switch (admission.kind) {
    case 'work':
      return admission.work.command.tenantId;
    case 'answer':
      return admission.work.answer.tenantId;
    case 'refused':
      return admission.refusal.facts.tenantId;
    case 'dead':
      return undefined;
  }
}
