/** The commands at work in one partition: each is told what happened to it, and what it wants done is done. */
import { CodedError } from '../../base/errors.ts';
import { blockCode } from '../../fibric/block-code.ts';
import { evaluatePolicy } from '../../fibric/policy/evaluate.ts';
import type { Ticket } from '../lanes.ts';
import type { LifecycleEffect, LifecycleEvent, PolicyDecision } from '../lifecycle/events.ts';
import { newLife, step } from '../lifecycle/step.ts';
import { policyDecision } from '../policy-gate.ts';
import { LimitPlace } from '../quota/limit-place.ts';
import type { CommandWork } from './admit.ts';
import type { AtWork } from './at-work.ts';
import { Calls } from './calls.ts';
import { CreatePlaces } from './create-places.ts';
import { isConfirmed } from './lane-order.ts';
import type { Partition } from './partition.ts';
import { finishedReceipt } from './receipts.ts';

/** Commands prepared ahead of their turn: as long as a transaction takes, at one call after another. */
const MOST_AHEAD_IN_LANE = 16;
/** In all of a partition. */
const MOST_AHEAD = 32;
/** Of what has its turn still to come; no turn of the lanes has this number. */
const NO_TURN = 0;

type Effect<K extends LifecycleEffect['kind']> = Extract<LifecycleEffect, { readonly kind: K }>;

export class Works {
  readonly #partition: Partition;
  /** An approved command has ended. */
  readonly #approvedEnded: (identity: string) => void;
  readonly #works = new Map<number, AtWork>();
  /** Of them those that have not had their turn. */
  readonly #ahead = new Set<number>();
  readonly #creates: CreatePlaces;
  readonly #calls: Calls;

  constructor(partition: Partition, approvedEnded: (identity: string) => void) {
    this.#partition = partition;
    this.#approvedEnded = approvedEnded;
    this.#creates = new CreatePlaces(partition);
    this.#calls = new Calls({
      partition,
      creates: this.#creates,
      tell: (atWork, event) => this.#tell(atWork, event),
    });
  }

  get size(): number {
    return this.#works.size;
  }

  /** The lane lets it start, or go on. */
  turn(work: CommandWork, ticket: Ticket): void {
    const begun = this.#begun(ticket);
    const untilMs = this.#creates.waitUntilMs(work, ticket, begun?.life.phase.kind ?? null);
    if (untilMs !== null) this.#partition.shared.lanes.backOff(ticket, untilMs);
    else if (!this.resume(ticket)) {
      this.begin(work, ticket);
      this.#lookAhead(work, ticket);
    }
  }

  begin(work: CommandWork, ticket: Ticket): void {
    const before = this.#works.get(ticket.offset);
    this.#ahead.delete(ticket.offset);
    if (before !== undefined) before.ticket = ticket;
    const atWork = before ?? this.#take(work, ticket);
    this.#tell(atWork, { kind: 'turn' });
    // What was prepared without haste is waited for now.
    if (before === undefined) return;
    if (atWork.life.phase.kind === 'reserving') this.#partition.shared.quota.hurry();
    if (atWork.life.phase.kind === 'persisting') this.#partition.outbox.urge();
  }

  /** What had begun, and backed off, goes on. False when nothing had. */
  resume(ticket: Ticket): boolean {
    const atWork = this.#begun(ticket);
    if (atWork === undefined) return false;
    atWork.ticket = ticket;
    this.#tell(atWork, { kind: 'woke', ask: atWork.life.ask });
    return true;
  }

  /** D3. */
  stop(): void {
    for (const atWork of [...this.#works.values()]) this.#tell(atWork, { kind: 'stop' });
  }

  /** D4. */
  giveUp(): void {
    for (const atWork of this.#works.values()) this.#tell(atWork, { kind: 'lost' });
    this.#works.clear();
    this.#creates.giveUp();
    this.#calls.giveUp();
  }

  #begun({ offset }: Ticket): AtWork | undefined {
    return this.#ahead.has(offset) ? undefined : this.#works.get(offset);
  }

  #take(work: CommandWork, ticket: Ticket): AtWork {
    const { owned, shared } = this.#partition;
    const sent = { firstSentAtMs: null, lastSentAtMs: null };
    const place = new LimitPlace(shared.quota);
    const atWork: AtWork = { work, ticket, life: newLife(work.live, owned.epoch), basis: null, sent, place };
    this.#works.set(ticket.offset, atWork);
    this.#tell(atWork, { kind: 'validated' });
    return atWork;
  }

  /**
   * Prepares what waits behind it in its lane (ahead.ts), in order, up to the first that cannot be: of two with one identity
   * the second must find what has become of the first.
   */
  #lookAhead(first: CommandWork, ticket: Ticket): void {
    const { partition, epoch } = ticket;
    const identities = new Set([first.live.identity]);
    for (const { offset, value: work } of this.#partition.shared.lanes.behind(ticket, MOST_AHEAD_IN_LANE)) {
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

  #tell(atWork: AtWork, event: LifecycleEvent): void {
    const { shared, owned, nowMs, order } = this.#partition;
    const moment = { nowMs, leaseUntilMs: owned.leaseUntilMs, random: shared.random() };
    const { life, effects } = step(atWork.life, event, moment, shared.settings.lifecycle);
    atWork.life = life;
    order.learn(atWork.work.lane, life, atWork.work.live.receiptId);
    for (const effect of effects) this.#do(atWork, effect);
  }

  #do(atWork: AtWork, effect: LifecycleEffect): void {
    const partition = this.#partition;
    switch (effect.kind) {
      case 'look_up':
        this.#lookUp(atWork, effect);
        break;
      case 'ask_policy':
        this.#tell(atWork, { kind: 'decided', ask: effect.ask, decision: this.#decide(atWork) });
        break;
      case 'reserve':
        partition.track(this.#calls.reserve(atWork, effect));
        break;
      case 'persist': {
        const { ask, change } = effect;
        const afterwards = () => this.#tell(atWork, { kind: 'persisted', ask });
        partition.outbox.stage({ change, afterwards, isUrgent: !atWork.life.isAhead });
        break;
      }
      case 'call':
        partition.track(this.#calls.call(atWork, effect));
        break;
      case 'read_back':
        partition.track(this.#calls.readBack(atWork, effect));
        break;
      case 'wait':
        this.#creates.leave(atWork.ticket);
        partition.backOff(atWork.ticket, effect.untilMs);
        break;
      case 'finish':
        this.#finish(atWork, effect);
        break;
      case 'abandon':
        this.#abandon(atWork, effect);
        break;
    }
  }

  #lookUp(atWork: AtWork, { ask }: Effect<'look_up'>): void {
    const { ledger, order, nowMs } = this.#partition;
    const { live, lane } = atWork.work;
    const entry = ledger.get(live.identity, nowMs);
    const isUnsent = entry?.kind === 'in_flight' && order.isUnsent(lane, entry, live.receiptId);
    this.#tell(atWork, { kind: 'looked_up', ask, entry, isUnsent });
  }

  #decide({ work, life, place }: AtWork): PolicyDecision {
    const { shared, nowMs } = this.#partition;
    const { policies, settings } = shared;
    const { command, connection, live } = work;
    const { tenantId, capability, operator, args, value } = command;
    const context = {
      policies: policies.of(tenantId),
      grants: policies.grants(connection),
      nowMs,
      used: place.usedBy(life.command.receiptId, live.mode === 'live'),
    };
    const decided = place.decided(evaluatePolicy({ capability, operator, args, value }, context));
    const code = blockCode(decided.cause, capability, context.policies);
    return policyDecision(decided, { nowMs, approvalTtlMs: settings.approvalTtlMs, moved: place.moved, code });
  }

  #finish(atWork: AtWork, { change, receipt }: Effect<'finish'>): void {
    const partition = this.#partition;
    const { work, sent, ticket, place, life } = atWork;
    this.#works.delete(ticket.offset);
    this.#creates.leave(ticket);
    // What is held asks once more, under the same name, when it is approved.
    const afterwards = receipt === null ? undefined : place.atEnd(life.attempts);
    if (afterwards !== undefined) partition.outbox.stage({ afterwards });
    // Before the lane goes on, and before the progress says so.
    if (receipt !== null) partition.stageReceipt(finishedReceipt(work, receipt, sent), change);
    else partition.outbox.stage({ change });
    const { identity, approvedBy } = work.live;
    if (approvedBy !== null) this.#approvedEnded(identity);
    partition.settle(ticket, isConfirmed(receipt) ? null : work.lane);
  }

  #abandon({ ticket }: AtWork, { change }: Effect<'abandon'>): void {
    const partition = this.#partition;
    this.#creates.leave(ticket);
    this.#works.delete(ticket.offset);
    if (change !== null) partition.outbox.stage({ change });
    // L6: the ledger says that there is an owner after us.
    if (!partition.isStopping) partition.fail(new CodedError('fenced', 'The ledger has an entry of a later owner'));
    partition.changed.wake();
  }
}
