/**
 * The sink role in small: lanes, ledger and lifecycle driven as the real one drives them, with clocks that are off, answers
 * that come twice or late, and one transaction at a time. Every rule of the driver that the machines rely on is here.
 */

import { decodeProgress, encodeProgress } from '../../../../src/sinks/lanes/progress-codec.ts';
import { Lanes, type Ticket } from '../../../../src/sinks/lanes.ts';
import { decodeEntry, encodeEntry } from '../../../../src/sinks/ledger/codec.ts';
import type { LedgerChange, LedgerEntry } from '../../../../src/sinks/ledger/entry.ts';
import type { LifecycleEffect, LifecycleEvent, ReceiptFacts } from '../../../../src/sinks/lifecycle/events.ts';
import type { Life } from '../../../../src/sinks/lifecycle/life.ts';
import type { CallOutcome } from '../../../../src/sinks/lifecycle/outcome.ts';
import { newLife, step } from '../../../../src/sinks/lifecycle/step.ts';
import { isConfirmed, LaneOrder } from '../../../../src/sinks/runner/lane-order.ts';
import { CONFIG, PLACE_MS, type Record_, SESSION_MS, type World } from './world.ts';

const LIMITS = {
  ...{ maxActive: 4, maxLanes: 3, maxQueued: 6, maxQueuedBytes: 1000, maxSpan: 1000, lowWater: 0.5 },
  // All are one tenant's.
  ...{ maxPassed: 0, slotGreed: Number.POSITIVE_INFINITY, roomGreed: Number.POSITIVE_INFINITY },
};

/** Of what is prepared ahead. */
const NO_TURN = 0;

interface AtWork {
  readonly record: Record_;
  readonly offset: number;
  life: Life;
  ticket: Ticket;
  placeUntilMs: number;
}

/** What waits for a commit. */
type Ack = () => void;

type Effect<K extends LifecycleEffect['kind']> = Extract<LifecycleEffect, { kind: K }>;

export class Owner {
  readonly epoch: number;
  isDead = false;
  /** Look-ups of what is known to be unsent, so that it is not read back. */
  spared = 0;
  readonly #world: World;
  readonly #skewMs: number;
  readonly #lanes = new Lanes<Record_>(LIMITS);
  /** Committed or staged: nothing is told to anybody before its transaction is. */
  readonly #ledger: Map<string, LedgerEntry>;
  readonly #works = new Map<number, AtWork>();
  readonly #order = new LaneOrder();
  #position: number;
  #frozenUntilMs = 0;
  #leaseEndsMs = Number.POSITIVE_INFINITY;
  #isStopping = false;
  #isCommitting = false;
  #changes: LedgerChange[] = [];
  #receipts: ReceiptFacts[] = [];
  #acks: Ack[] = [];
  #settled = false;

  constructor(world: World, epoch: number) {
    this.#world = world;
    this.epoch = epoch;
    // Two owners' clocks differ by less than the guard.
    this.#skewMs = world.upTo(CONFIG.guardMs - 2) - (CONFIG.guardMs - 2) / 2;
    this.#ledger = new Map(
      [...world.durable.ledger].map(([identity, entry]) => [identity, decodeEntry(encodeEntry(entry))]),
    );
    const progress = decodeProgress(encodeProgress(world.durable.progress));
    this.#lanes.assign(0, { epoch, position: progress.commitOffset, progress });
    this.#position = progress.commitOffset;
  }

  /** By its own clock. */
  get #nowMs(): number {
    return this.#world.nowMs + this.#skewMs;
  }

  get #leaseUntilMs(): number {
    return Math.min(this.#nowMs + SESSION_MS, this.#leaseEndsMs);
  }

  wake(): void {
    this.#deliver(() => this.#pump());
  }

  die(): void {
    this.isDead = true;
  }

  freeze(untilMs: number): void {
    this.#frozenUntilMs = untilMs;
  }

  /** Others own the partition; it may believe in its lease for a while. */
  supersede(): void {
    this.#leaseEndsMs = Math.min(this.#leaseEndsMs, this.#nowMs + this.#world.upTo(SESSION_MS));
  }

  /** No new call; what is under way ends, is committed, and then, or when the time is up, the next owner comes. */
  handOver(budgetMs: number, then: () => void): void {
    const endMs = this.#world.nowMs + budgetMs;
    this.#deliver(() => {
      this.#isStopping = true;
      for (const work of [...this.#works.values()]) this.#tell(work, { kind: 'stop' });
    });
    const poll = () => {
      const isIdle = this.#works.size === 0 && !this.#isCommitting && !this.#hasStaged;
      if (this.isDead || isIdle || this.#world.nowMs >= endMs) {
        this.die();
        then();
      } else this.#world.after(10, poll);
    };
    poll();
  }

  #deliver(run: () => void): void {
    if (this.isDead) return;
    if (this.#world.nowMs < this.#frozenUntilMs) this.#world.at(this.#frozenUntilMs, () => this.#deliver(run));
    else run();
  }

  /** Answers come after a while, so in any order; some come twice. */
  #answer(work: AtWork, event: LifecycleEvent, withinMs: number): void {
    const copies = this.#world.chance(this.#world.plan.twice) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++)
      this.#world.after(this.#world.upTo(withinMs), () => this.#deliver(() => this.#tell(work, event)));
  }

  #pump(): void {
    if (this.#isStopping) return;
    this.#offer();
    for (let turn = this.#lanes.take(this.#nowMs); turn !== null; turn = this.#lanes.take(this.#nowMs)) {
      const { ticket, value: record, resumed } = turn;
      const { offset } = ticket;
      if (resumed) {
        const work = this.#works.get(offset) as AtWork;
        work.ticket = ticket;
        this.#tell(work, { kind: 'woke', ask: work.life.ask });
      } else {
        const work = this.#works.get(offset) ?? this.#take(record, ticket);
        work.ticket = ticket;
        this.#tell(work, { kind: 'turn' });
        if (this.#world.plan.ahead > 0) this.#lookAhead(record, ticket);
      }
      this.#offer();
    }
    this.#commit();
  }

  #take(record: Record_, ticket: Ticket): AtWork {
    const { offset } = ticket;
    const work = { record, offset, ticket, life: newLife(record.command, this.epoch), placeUntilMs: 0 };
    this.#works.set(offset, work);
    this.#tell(work, { kind: 'validated' });
    return work;
  }

  /** In order, each identity once, up to the first that cannot be prepared. */
  #lookAhead(first: Record_, ticket: Ticket): void {
    const identities = new Set([first.command.identity]);
    for (const { offset, value: record } of this.#lanes.behind(ticket, this.#world.plan.ahead)) {
      if (identities.has(record.command.identity)) return;
      identities.add(record.command.identity);
      if (this.#works.has(offset)) continue;
      const work = this.#take(record, { ...ticket, offset, turn: NO_TURN });
      this.#tell(work, { kind: 'ahead' });
      if (work.life.isAhead) continue;
      this.#works.delete(offset);
      return;
    }
  }

  #offer(): void {
    for (; this.#position < this.#world.log.length; this.#position++) {
      const offset = this.#position;
      const record = this.#world.log[offset] as Record_;
      if (record.isValid) {
        const offer = { partition: 0, offset, tenantId: 't', lane: record.lane, value: record, bytes: 1 };
        if (this.#lanes.offer(offer) === 'full') return;
      } else {
        const skipped = this.#lanes.skip(0, offset);
        if (skipped === 'full') return;
        if (skipped === 'skipped') this.#refuse(record);
      }
    }
  }

  #refuse({ command }: Record_): void {
    const invalid = { kind: 'invalid', code: 'command_invalid', message: 'it is' } as const;
    const [effect] = step(newLife(command, this.epoch), invalid, this.#moment(), CONFIG).effects;
    this.#receipts.push((effect as Effect<'finish'>).receipt as ReceiptFacts);
    this.#settled = true;
  }

  #moment() {
    return { nowMs: this.#nowMs, leaseUntilMs: this.#leaseUntilMs, random: this.#world.random() };
  }

  #tell(work: AtWork, event: LifecycleEvent): void {
    if (this.isDead) return;
    const { life, effects } = step(work.life, event, this.#moment(), CONFIG);
    work.life = life;
    this.#order.learn(work.record.lane, life, work.record.command.receiptId);
    for (const effect of effects) this.#do(work, effect);
  }

  #do(work: AtWork, effect: LifecycleEffect): void {
    const { command } = work.record;
    switch (effect.kind) {
      case 'look_up': {
        const entry = this.#ledger.get(command.identity) ?? null;
        const { lane } = work.record;
        const isUnsent = entry?.kind === 'in_flight' && this.#order.isUnsent(lane, entry, command.receiptId);
        if (isUnsent) this.spared++;
        this.#tell(work, { kind: 'looked_up', ask: effect.ask, entry, isUnsent });
        break;
      }
      case 'ask_policy':
        this.#tell(work, { kind: 'decided', ask: effect.ask, decision: this.#world.decide() });
        break;
      case 'reserve': {
        const kind = this.#world.reserve(effect.reservationId);
        const { ask } = effect;
        work.placeUntilMs = kind === 'reserved' ? this.#nowMs + PLACE_MS : 0;
        const more = kind === 'reserved' ? { kind, untilMs: work.placeUntilMs } : { kind, message: 'it is' };
        this.#answer(work, { ask, ...more }, 20);
        break;
      }
      case 'persist':
        this.#stage(effect.change);
        this.#acks.push(() => this.#tell(work, { kind: 'persisted', ask: effect.ask }));
        this.#commitSoon();
        break;
      case 'call':
        this.#check(work, effect);
        this.#inOrder(work, () => {
          // Between the decision and the wire lies anything, even a SIGSTOP.
          this.#decide(work, () => {
            this.#world.after(this.#world.upTo(5), () => this.#deliver(() => this.#send(work, effect)));
          });
        });
        break;
      case 'read_back':
        this.#read(work, effect.ask);
        break;
      case 'wait':
        this.#lanes.backOff(work.ticket, effect.untilMs);
        this.#world.at(effect.untilMs - this.#skewMs, () => this.#deliver(() => this.#pump()));
        this.#commitSoon();
        break;
      case 'finish':
        if (effect.change !== null) this.#stage(effect.change);
        if (effect.receipt !== null) this.#receipts.push(effect.receipt);
        this.#works.delete(work.offset);
        this.#settled = true;
        if (!isConfirmed(effect.receipt)) this.#acks.push(this.#order.ended(work.record.lane));
        if (this.#lanes.settle(work.ticket) !== 'done') this.#violation(`${work.offset} finished without a turn`);
        this.#commitSoon();
        break;
      case 'abandon':
        if (effect.change !== null) this.#stage(effect.change);
        this.#works.delete(work.offset);
        if (!this.#isStopping) this.die();
        this.#commitSoon();
        break;
    }
  }

  /** C1, C4, C6 as they can be seen from outside. */
  #check({ record, life, placeUntilMs, ticket }: AtWork, effect: Effect<'call'>): void {
    const { identity, mode, deadlineMs } = record.command;
    const entry = this.#world.durable.ledger.get(identity);
    const isOurs = entry?.kind === 'in_flight' && entry.epoch === this.epoch;
    if (!isOurs && this.#world.durable.epoch === this.epoch) this.#violation('C1: called without a durable in_flight');
    if (isOurs && this.#nowMs > entry.sendByMs) this.#violation('C1: called after the time it was persisted for');
    if (isOurs && effect.abortAtMs > entry.deadlineMs) this.#violation('C5: on the wire after the deadline told');
    if (this.#nowMs >= this.#leaseUntilMs) this.#violation('C4: called without a lease');
    if (effect.sendByMs > this.#leaseUntilMs) this.#violation('C4: sent after the lease');
    if (deadlineMs !== null && effect.sendByMs > deadlineMs) this.#violation('C6: sent after the deadline');
    if (mode === 'dry_run') this.#violation('called on a dry run');
    if (ticket.turn === NO_TURN || life.isAhead) this.#violation('C13: called before its turn');
    if (this.#isStopping) this.#violation('C9: called while stopping');
    if (!this.#world.durable.reservations.has(life.command.receiptId)) this.#violation('C7: called without a place');
    if (effect.sendByMs > placeUntilMs) this.#violation('C7: sent on an old place');
    if (effect.attempt > CONFIG.maxAttempts) this.#violation('C8: one attempt too many');
  }

  /** O1 of lane-order.ts. */
  #inOrder(work: AtWork, then: () => void): void {
    if (this.#order.unwritten(work.record.lane) === undefined) then();
    else this.#world.after(1, () => this.#deliver(() => this.#inOrder(work, then)));
  }

  /** C14: reads, and writes down on what it decides, before anything is sent. */
  #decide({ record, life }: AtWork, then: () => void): void {
    const { identity, readsFirst } = record.command;
    if (!readsFirst) {
      then();
      return;
    }
    if (life.entry?.kind !== 'in_flight') throw new TypeError('called without its entry');
    this.#stage({ identity, entry: { ...life.entry, sendable: true, basis: { rev: 1, changedAtMs: null } } });
    this.#acks.push(then);
    this.#commitSoon();
  }

  #send(work: AtWork, { ask, sendByMs, abortAtMs }: Effect<'call'>): void {
    const { identity } = work.record.command;
    const { receiptId } = work.life.command;
    const notSent = { code: 'kustomer_not_sent', message: 'not sent', retryAtMs: null } as const;
    if (this.#nowMs > sendByMs || this.#world.vendor.isUnreachable) {
      this.#answer(work, { kind: 'answered', ask, outcome: { kind: 'retry_later', ...notSent } }, 5);
      return;
    }
    const closesInMs = Math.min(CONFIG.requestTimeoutMs, abortAtMs - this.#nowMs);
    const call = { identity, lane: work.record.lane, offset: work.offset, receiptId };
    const reply = this.#world.vendor.receive(call, this.#world.nowMs, closesInMs);
    const outcome: CallOutcome = reply?.outcome ?? {
      kind: 'ambiguous',
      code: 'kustomer_ambiguous',
      message: 'no reply',
    };
    this.#world.after(reply?.afterMs ?? closesInMs, () =>
      this.#deliver(() => this.#answer(work, { kind: 'answered', ask, outcome }, 0)),
    );
  }

  #read(work: AtWork, ask: number): void {
    const { entry } = work.life;
    const { lane, command } = work.record;
    const isKnown = entry?.kind === 'in_flight' && this.#order.isUnsent(lane, entry, command.receiptId);
    if (isKnown) this.#violation('C14: what is known to be unsent is read back');
    this.#world.after(this.#world.upTo(10), () =>
      this.#deliver(() => {
        const result = this.#world.vendor.read(work.record.command.identity, this.#world.nowMs, this.#nowMs);
        this.#answer(work, { kind: 'read', ask, result }, 15);
      }),
    );
  }

  #stage(change: LedgerChange): void {
    this.#changes.push(change);
    if (change.entry === null) this.#ledger.delete(change.identity);
    else this.#ledger.set(change.identity, change.entry);
  }

  get #hasStaged(): boolean {
    return this.#settled || this.#changes.length > 0 || this.#receipts.length > 0;
  }

  #commitSoon(): void {
    this.#world.after(this.#world.upTo(10), () =>
      this.#deliver(() => {
        this.#commit();
        this.#pump();
      }),
    );
  }

  #commit(): void {
    const progress = this.#lanes.progress(0);
    if (this.#isCommitting || !this.#hasStaged || progress === undefined) return;
    const transaction = { epoch: this.epoch, changes: this.#changes, receipts: this.#receipts, progress };
    const acks = this.#acks;
    this.#changes = [];
    this.#receipts = [];
    this.#acks = [];
    this.#settled = false;
    this.#isCommitting = true;
    this.#world.after(this.#world.upTo(15), () => {
      // Of one that dies meanwhile, the request has arrived or not.
      if (this.isDead && this.#world.chance(0.5)) return;
      const isCommitted = this.#world.commit(transaction);
      this.#world.after(this.#world.upTo(15), () =>
        this.#deliver(() => {
          if (!isCommitted) {
            this.die();
            return;
          }
          this.#isCommitting = false;
          for (const ack of acks) ack();
          this.#commit();
          this.#pump();
        }),
      );
    });
  }

  #violation(what: string): void {
    this.#world.violations.push(`owner ${this.epoch} at ${this.#world.nowMs}: ${what}`);
  }
}
