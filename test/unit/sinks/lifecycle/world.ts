/**
 * Virtual time, a log with transactions that fences, and the faults. What survives a crash is in `Durable`, and nothing else.
 */
import { DueQueue } from '../../../../src/sinks/lanes/due-queue.ts';
import type { Progress } from '../../../../src/sinks/lanes/offsets.ts';
import type { LedgerChange, LedgerEntry } from '../../../../src/sinks/ledger/entry.ts';
import type { LifecycleConfig } from '../../../../src/sinks/lifecycle/config.ts';
import type { LiveCommand, PolicyDecision, ReceiptFacts } from '../../../../src/sinks/lifecycle/events.ts';
import { Owner } from './owner.ts';
import { type Random, seeded, Vendor, type VendorFaults } from './vendor.ts';

export const CONFIG: LifecycleConfig = {
  sendWindowMs: 100,
  requestTimeoutMs: 200,
  guardMs: 60,
  visibilityMs: 150,
  earlyReadsMs: [20, 60],
  absentReads: 2,
  readSpacingMs: 20,
  maxReads: 14,
  maxAttempts: 12,
  maxConflicts: 3,
  maxResends: 3,
  patienceMs: 60_000,
  backoffMinMs: 5,
  backoffMaxMs: 100,
};

export const SESSION_MS = 150;
/** How long a call may be sent on a place. */
export const PLACE_MS = 300;
const POLICY = { policy: 'support-writes', version: 1, rule: 'allow', tier: 1 };

/** One record of the command topic; its offset is its place. */
export interface Record_ {
  readonly lane: string;
  readonly command: LiveCommand;
  readonly isValid: boolean;
}

export interface Durable {
  epoch: number;
  readonly ledger: Map<string, LedgerEntry>;
  readonly receipts: ReceiptFacts[];
  readonly reservations: Set<string>;
  progress: Progress;
}

export interface Transaction {
  readonly epoch: number;
  readonly changes: readonly LedgerChange[];
  readonly receipts: readonly ReceiptFacts[];
  readonly progress: Progress;
}

export type Fault =
  /** Gone at once; the next owner comes after `ms`. */
  | { readonly kind: 'crash'; readonly atMs: number; readonly ms: number }
  /** SIGSTOP for `ms`, and another owner before it wakes, or not. */
  | { readonly kind: 'freeze'; readonly atMs: number; readonly ms: number }
  /** Another owner while this one notices nothing. */
  | { readonly kind: 'usurp'; readonly atMs: number; readonly ms: number }
  /** An orderly rebalance. */
  | { readonly kind: 'hand_over'; readonly atMs: number; readonly ms: number };

export interface Plan {
  readonly seed: number;
  readonly records: readonly Record_[];
  readonly faults: readonly Fault[];
  readonly vendor: VendorFaults;
  /** How likely the policy blocks or holds, each time it is asked. */
  readonly blocks: number;
  readonly alerts: number;
  /** Places in the limit. */
  readonly limit: number;
  /** How likely nobody can tell whether there is a place. */
  readonly away: number;
  /** How likely an answer comes twice. */
  readonly twice: number;
  /** Most commands of a lane that are prepared ahead of their turn. */
  readonly ahead: number;
}

/** Beyond this something is stuck. */
const MAX_MS = 400_000;

export class World {
  readonly plan: Plan;
  readonly random: Random;
  readonly vendor: Vendor;
  readonly log: Record_[];
  readonly durable: Durable = {
    epoch: 0,
    ledger: new Map(),
    receipts: [],
    reservations: new Set(),
    progress: { commitOffset: 0, nextOffset: 0, unfinished: [] },
  };
  readonly violations: string[] = [];
  readonly owners: Owner[] = [];
  nowMs = 1000;
  /** Whom the group takes for the owner; none while it has not noticed or not decided. */
  #current: Owner | null = null;
  readonly #queue = new DueQueue<() => void>();

  constructor(plan: Plan) {
    this.plan = plan;
    this.random = seeded(plan.seed);
    this.vendor = new Vendor(plan.vendor, this.random, CONFIG.visibilityMs);
    this.log = [...plan.records];
  }

  run(): this {
    this.#start();
    for (const fault of this.plan.faults) this.at(fault.atMs, () => this.#strike(fault));
    const lastMs = Math.max(this.nowMs, ...this.plan.faults.map(({ atMs, ms }) => atMs + ms));
    // Kustomer and the policy recover at last, so that whoever is stuck can be told from who is unlucky.
    this.at(lastMs + 3000, () => {
      this.vendor.healthy = true;
    });
    for (let next = this.#queue.firstAtMs; next !== null && next <= MAX_MS; next = this.#queue.firstAtMs) {
      this.nowMs = Math.max(this.nowMs, next);
      (this.#queue.take(next) as () => void)();
    }
    const { commitOffset } = this.durable.progress;
    const isDone = commitOffset >= this.log.length && this.#queue.size === 0;
    if (!isDone) this.violations.push(`stuck at ${this.nowMs}: ${commitOffset} of ${this.log.length}`);
    return this;
  }

  at(atMs: number, run: () => void): void {
    this.#queue.push(Math.max(atMs, this.nowMs), run);
  }

  after(ms: number, run: () => void): void {
    this.at(this.nowMs + ms, run);
  }

  upTo(ms: number): number {
    return Math.floor(this.random() * (ms + 1));
  }

  chance(of: number): boolean {
    return this.random() < of;
  }

  /** All of it or nothing; nothing for who has been succeeded. */
  commit({ epoch, changes, receipts, progress }: Transaction): boolean {
    if (epoch !== this.durable.epoch) return false;
    for (const { identity, entry } of changes) {
      if (entry === null) this.durable.ledger.delete(identity);
      else this.durable.ledger.set(identity, entry);
      if (entry?.kind === 'held') this.#approve(identity, entry.receiptId);
    }
    this.durable.receipts.push(...receipts);
    if (progress.commitOffset < this.durable.progress.commitOffset) this.violations.push('the offset went back');
    this.durable.progress = progress;
    return true;
  }

  /** The quota topic: the same id is the same place. What nobody can tell may have been taken all the same. */
  reserve(id: string): 'reserved' | 'limited' | 'unavailable' {
    const { reservations } = this.durable;
    const isAway = !this.vendor.healthy && this.chance(this.plan.away);
    if (isAway && this.chance(0.5)) return 'unavailable';
    if (!reservations.has(id) && reservations.size >= this.plan.limit) return 'limited';
    reservations.add(id);
    return isAway ? 'unavailable' : 'reserved';
  }

  decide(): PolicyDecision {
    if (!this.vendor.healthy && this.chance(this.plan.blocks))
      return { decision: 'BLOCK', policy: POLICY, code: 'policy_blocked', message: 'no rule' };
    if (!this.vendor.healthy && this.chance(this.plan.alerts))
      return { decision: 'ALERT', policy: POLICY, reserve: true, expiresAtMs: this.nowMs + 2000 };
    return { decision: 'ALLOW', policy: POLICY, reserve: true };
  }

  /** Somebody approves what is held, once or twice: another record of its lane. */
  #approve(identity: string, receiptId: string): void {
    const held = this.log.find(({ command }) => command.receiptId === receiptId) as Record_;
    for (let copies = this.chance(0.3) ? 2 : 1; copies > 0; copies--) {
      const command = { ...held.command, identity, receiptId: `approval ${this.log.length}`, approvedBy: 'ann' };
      this.log.push({ ...held, command });
    }
    this.after(this.upTo(50), () => this.#current?.wake());
  }

  #start(): void {
    for (const owner of this.owners) owner.supersede();
    this.durable.epoch++;
    const owner = new Owner(this, this.durable.epoch);
    this.owners.push(owner);
    this.#current = owner;
    owner.wake();
  }

  #strike(fault: Fault): void {
    const owner = this.#current;
    if (owner === null) return;
    switch (fault.kind) {
      case 'crash':
        owner.die();
        this.#current = null;
        this.after(fault.ms, () => this.#start());
        break;
      case 'freeze':
        owner.freeze(this.nowMs + fault.ms);
        this.after(SESSION_MS, () => {
          if (this.#current === owner && fault.ms > SESSION_MS) this.#start();
        });
        break;
      case 'usurp':
        this.#start();
        break;
      case 'hand_over':
        this.#current = null;
        owner.handOver(fault.ms, () => this.#start());
        break;
    }
  }
}
