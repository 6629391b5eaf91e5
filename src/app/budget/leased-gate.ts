/**
 * A gate whose grants are leases of a budget that several processes share. The rules are in lease-holder.ts (H) and
 * lease-demand.ts (D); this file holds the state, the timer and the way to the log.
 *
 * E1 Nothing is started without a lease: without the log everybody waits, as long as he said he would, and is then refused.
 * E2 One message under way and one sleeper per organisation.
 */
import type { Clock } from '../../base/clock.ts';
import { type BudgetSnapshot, refusesAll } from '../../kustomer/budget/budget.ts';
import { freeGrants } from '../../kustomer/budget/held-lease.ts';
import { CALL_KINDS, type CallKind, LANES, type Lane } from '../../kustomer/budget/lanes.ts';
import { type Demand, plan } from '../../kustomer/budget/lease-demand.ts';
import type { LeaseMessage, LeaseTable, LeaseTimes, LeaseWant } from '../../kustomer/budget/lease-forms.ts';
import {
  compose,
  emptyHolder,
  finish,
  giveUp,
  type LeaseHolder,
  learn,
  openCalls,
  REASK_MS,
  see,
  sent,
  start,
} from '../../kustomer/budget/lease-holder.ts';
import { rateFacts } from '../../kustomer/budget/rate-headers.ts';
import type { BudgetGate, CallEnd } from '../../kustomer/client/budget-gate.ts';
import { createGrantQueue, type GrantQueueOptions, type GrantSource } from '../../kustomer/client/grant-queue.ts';
import type { LeaseLog } from './lease-log.ts';

export interface LeasedGateOptions {
  readonly organisation: string;
  /** Unique to this run of this process. */
  readonly borrower: string;
  readonly leases: Pick<LeaseLog, 'send' | 'follow'>;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly times: LeaseTimes;
  readonly queue?: Omit<GrantQueueOptions, 'clock'>;
  /** How long the lender took to answer an ask. */
  readonly onAnswered?: (tookMs: number) => void;
}

export interface LeaseState {
  /** Calls this process may start at this moment without asking. */
  readonly inHand: number;
  /** How long the oldest ask has waited for its answer; null when none is out. */
  readonly unansweredMs: number | null;
  /** Since the last table of this organisation was read; null before the first. */
  readonly tableAgeMs: number | null;
}

export interface LeasedGate extends BudgetGate {
  leases(): LeaseState;
  /** After `close`: what can be given back has been, or could not be. */
  settled(): Promise<void>;
}

const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5000;

export function createLeasedGate(options: LeasedGateOptions): LeasedGate {
  const { clock, queue = {} } = options;
  const borrower = new Borrower(options);
  const gate = createGrantQueue(
    (wake) => {
      borrower.onTable = wake;
      return borrower;
    },
    { ...queue, clock },
  );
  return { ...gate, leases: () => borrower.state(), settled: () => borrower.settled };
}

class Borrower implements GrantSource {
  /** Grants may have come. */
  onTable: () => void = () => undefined;
  settled: Promise<void> = Promise.resolve();
  readonly #options: LeasedGateOptions;
  readonly #unfollow: () => void;
  #holder: LeaseHolder;
  #demand: Demand = noDemand();
  #lastWriteAtMs = Number.NEGATIVE_INFINITY;
  /** When the oldest ask that still waits was made. */
  #askedSinceMs: number | null = null;
  #underWay = false;
  #failures = 0;
  #retryAtMs = Number.NEGATIVE_INFINITY;
  #reviewing = false;
  #sleep: { readonly untilMs: number; readonly cancel: AbortController } | null = null;
  #closed = false;

  constructor(options: LeasedGateOptions) {
    this.#options = options;
    this.#holder = emptyHolder(options.borrower, options.times);
    this.#unfollow = options.leases.follow(options.organisation, (table) => this.#see(table));
  }

  request({ lane, kind, nowMs }: Parameters<GrantSource['request']>[0]): ReturnType<GrantSource['request']> {
    if (lane === 'writes') this.#lastWriteAtMs = nowMs;
    const answer = start(this.#holder, { lane, kind, nowMs });
    if (!('grant' in answer)) return answer;
    this.#holder = answer.holder;
    return { grant: answer.grant };
  }

  finish({ grantId, kind }: { readonly grantId: number; readonly kind: CallKind }, end: CallEnd, nowMs: number): void {
    this.#holder = finish(this.#holder, { grantId, ending: end.ending, nowMs });
    if (end.ending !== 'answered') return;
    const facts = rateFacts(end.headers, nowMs);
    const heard = { grantId, kind, refused: refusesAll(end), facts, nowMs, random: this.#options.random() };
    this.#holder = learn(this.#holder, heard);
  }

  waiting(counts: Demand): void {
    this.#demand = counts;
    // Those who ask in one go are asked for in one message.
    if (this.#reviewing) return;
    this.#reviewing = true;
    queueMicrotask(() => {
      this.#reviewing = false;
      this.#review();
    });
  }

  openCalls(): number {
    return openCalls(this.#holder);
  }

  snapshot(nowMs: number): BudgetSnapshot {
    const { table, tableAtMs, stop } = this.#holder;
    const pausedUntilMs = Math.max(stop?.untilMs ?? 0, table?.pause == null ? 0 : tableAtMs + table.pause.inMs);
    const count = (slots: LeaseTable['calls'] | undefined, kind: CallKind | null): number => {
      const lent = table?.leases.filter((lease) => kind === null || lease.kind === kind) ?? [];
      const held = slots?.held.reduce((sum, [, slot]) => sum + slot, 0) ?? 0;
      return held + lent.reduce((sum, lease) => sum + (lease.lapsing?.length ?? lease.count), 0);
    };
    return {
      limit: table?.limit ?? 0,
      limitTold: table?.limit != null,
      share: table?.calls.share ?? 0,
      used: count(table?.calls, null),
      searchShare: table?.searches.share ?? 0,
      searchUsed: count(table?.searches, 'search'),
      openCalls: this.openCalls(),
      left: this.#holder.window?.lowest ?? null,
      pausedUntilMs: pausedUntilMs > nowMs ? pausedUntilMs : null,
      pauseCause: pausedUntilMs > nowMs ? (table?.pause?.cause ?? 'backoff') : null,
    };
  }

  state(): LeaseState {
    const nowMs = this.#options.clock.nowMs();
    const { held, table, tableAtMs } = this.#holder;
    const usable = held.filter(({ startUntilMs }) => nowMs < startUntilMs);
    return {
      inHand: usable.reduce((sum, lease) => sum + freeGrants(lease), 0),
      unansweredMs: this.#askedSinceMs === null ? null : nowMs - this.#askedSinceMs,
      tableAgeMs: table === null ? null : nowMs - tableAtMs,
    };
  }

  close(): void {
    this.#closed = true;
    this.#unfollow();
    this.#sleep?.cancel.abort();
    this.#sleep = null;
    this.#holder = giveUp(this.#holder);
    const { message } = compose(this.#holder, [], this.#options.clock.nowMs());
    if (message.returns.length === 0 && message.heard.length === 0) return;
    // What cannot be told now lapses (L2).
    this.settled = this.#options.leases.send(this.#options.organisation, message).catch(() => undefined);
  }

  #see(table: LeaseTable): void {
    const nowMs = this.#options.clock.nowMs();
    this.#holder = see(this.#holder, table, nowMs);
    if (this.#holder.asked.length === 0 && this.#askedSinceMs !== null) {
      this.#options.onAnswered?.(nowMs - this.#askedSinceMs);
      this.#askedSinceMs = null;
    }
    this.onTable();
  }

  #review(): void {
    if (this.#closed) return;
    const nowMs = this.#options.clock.nowMs();
    const { send, wants, lookAtMs } = plan(
      this.#holder,
      { demand: this.#demand, lastWriteAtMs: this.#lastWriteAtMs },
      nowMs,
    );
    if (wants.length === 0 && this.#holder.asked.every(({ atMs }) => nowMs - atMs >= REASK_MS))
      this.#askedSinceMs = null;
    if (send && !this.#underWay && nowMs >= this.#retryAtMs) this.#send(wants, nowMs);
    this.#sleepUntil(send && this.#retryAtMs > nowMs ? this.#retryAtMs : lookAtMs);
  }

  #send(wants: readonly LeaseWant[], nowMs: number): void {
    const { holder, message } = compose(this.#holder, wants, nowMs);
    this.#holder = holder;
    if (wants.length > 0) this.#askedSinceMs ??= nowMs;
    this.#underWay = true;
    void this.#deliver(message);
  }

  async #deliver(message: LeaseMessage): Promise<void> {
    const { leases, organisation, clock } = this.#options;
    try {
      await leases.send(organisation, message);
      this.#holder = sent(this.#holder, message);
      this.#failures = 0;
    } catch {
      this.#failures += 1; // told by the lease log
      this.#retryAtMs = clock.nowMs() + Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** this.#failures);
    }
    this.#underWay = false;
    this.#review();
  }

  /** One that wakes too early is left to it: it reviews, and sleeps again. */
  #sleepUntil(untilMs: number): void {
    if (!Number.isFinite(untilMs) || (this.#sleep !== null && this.#sleep.untilMs <= untilMs)) return;
    this.#sleep?.cancel.abort();
    const { clock } = this.#options;
    const sleep = { untilMs, cancel: new AbortController() };
    this.#sleep = sleep;
    void clock.sleep(Math.max(1, untilMs - clock.nowMs()), sleep.cancel.signal).then(() => {
      if (this.#sleep !== sleep) return;
      this.#sleep = null;
      this.#review();
    });
  }
}

function noDemand(): Demand {
  const none = () => Object.fromEntries(CALL_KINDS.map((kind) => [kind, 0])) as Record<CallKind, number>;
  return Object.fromEntries(LANES.map((lane) => [lane, none()])) as Record<Lane, Record<CallKind, number>>;
}
