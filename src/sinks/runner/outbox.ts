/**
 * What is to be committed, batched: everything staged while one transaction is under way goes into the next.
 *
 * B1 one transaction at a time, in the order of staging; it carries the progress as it is when it begins, and all that was
 *    staged by then
 * B2 what waits for its durability is told after the transaction that carries it has been answered, and never when it failed
 * B3 after a failure nothing is committed any more
 * B4 the group's offset is committed with the first transaction, when nothing is unfinished, and else every second: the
 *    progress tells the rest, and the offset would be two of the five requests of every transaction
 * B5 two transactions start no closer than `paceMs`, which is less when a call waits for what is staged; at the end of the
 *    ownership they do not wait
 */
import type { Clock } from '../../base/clock.ts';
import type { OwnedPartition } from '../../kafka/owner-worker.ts';
import type { Append } from '../../kafka/port.ts';
import type { Progress } from '../lanes/offsets.ts';
import { encodeProgress } from '../lanes/progress-codec.ts';
import type { LedgerChange } from '../ledger/entry.ts';
import { type LedgerView, PROGRESS_KEY } from './ledger-view.ts';

const GROUP_OFFSET_EVERY_MS = 1000;
/** At the age of the entries, with each transaction. */
const FEWEST_LOOKS = 20;

export interface OutboxOptions {
  readonly owned: OwnedPartition;
  readonly ledger: LedgerView;
  readonly clock: Clock;
  /** Least time between the starts of two transactions, as it is now. `isUrgent`: a call waits for the second. */
  readonly paceMs: (isUrgent: boolean) => number;
  readonly progress: () => Progress | undefined;
  /** Nothing is left to commit. */
  readonly idle: () => void;
  /** Told once. */
  readonly failed: (error: unknown) => void;
}

export class Outbox {
  readonly #options: OutboxOptions;
  #changes = new Map<string, Buffer | null>();
  #appends: Append[] = [];
  #afterwards: (() => void)[] = [];
  #isStaged = false;
  #isUrgent = false;
  #isRunning = false;
  #startedAtMs = Number.NEGATIVE_INFINITY;
  /** Ends the wait for the next start. */
  #hurry: AbortController | undefined;
  #hasFailed = false;
  #groupOffset: number | null = null;
  #groupOffsetAtMs = 0;
  #looks = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
    options.owned.signal.addEventListener('abort', () => this.#hurry?.abort(), { once: true });
  }

  get isEmpty(): boolean {
    return this.#hasFailed || !this.#isRunning;
  }

  /** `afterwards` runs when it is durable (B2). */
  stage(staged: {
    readonly change?: LedgerChange | null;
    readonly append?: Append;
    readonly afterwards?: () => void;
    /** A call waits for it. */
    readonly isUrgent?: boolean;
    /** At the age of so many entries more. */
    readonly looks?: number;
  }): void {
    const { change, append, afterwards, isUrgent = false, looks = 0 } = staged;
    this.#looks += looks;
    if (change) this.#changes.set(change.identity, this.#options.ledger.stage(change));
    if (append !== undefined) this.#appends.push(append);
    if (afterwards !== undefined) this.#afterwards.push(afterwards);
    this.#isStaged = true;
    if (isUrgent) this.urge();
    if (!this.#isRunning && !this.#hasFailed) void this.#run();
  }

  /** For what is staged already. */
  urge(): void {
    if (!this.#isStaged || this.#isUrgent) return;
    this.#isUrgent = true;
    this.#hurry?.abort();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      while (this.#isStaged) {
        // One turn, so that what is staged together is committed together.
        await Promise.resolve();
        await this.#due();
        this.#startedAtMs = this.#options.clock.nowMs();
        await this.#commit();
      }
      this.#isRunning = false;
      this.#options.idle();
    } catch (error) {
      this.#hasFailed = true;
      this.#options.failed(error);
    }
  }

  /** B5. What becomes urgent meanwhile is waited for anew. */
  async #due(): Promise<void> {
    const { clock, paceMs, owned } = this.#options;
    while (!owned.signal.aborted) {
      const pace = paceMs(this.#isUrgent);
      // Not longer than the pace, should somebody set the clock.
      const waitMs = Math.min(pace, this.#startedAtMs + pace - clock.nowMs());
      if (waitMs <= 0) return;
      this.#hurry = new AbortController();
      await clock.sleep(waitMs, this.#hurry.signal);
    }
  }

  async #commit(): Promise<void> {
    const { owned, ledger, progress, clock } = this.#options;
    const now = progress();
    if (now === undefined) throw new TypeError('The partition has no progress');
    const nowMs = clock.nowMs();
    const before = this.#groupOffset;
    const isDue = before === null || now.unfinished.length === 0;
    const groupOffset = isDue || nowMs - this.#groupOffsetAtMs >= GROUP_OFFSET_EVERY_MS ? now.commitOffset : before;
    const changes = this.#changes.set(PROGRESS_KEY, encodeProgress({ ...now, groupOffset }));
    // Faster than entries can come in.
    const looks = FEWEST_LOOKS + changes.size + this.#looks;
    this.#looks = 0;
    for (const identity of ledger.forgettable(nowMs, looks)) changes.set(identity, null);
    const [appends, afterwards, snapshot] = [this.#appends, this.#afterwards, ledger.snapshot()];
    this.#changes = new Map();
    this.#appends = [];
    this.#afterwards = [];
    this.#isStaged = false;
    this.#isUrgent = false;
    await owned.commit(appends, changes, groupOffset === before ? undefined : groupOffset);
    if (groupOffset !== before) this.#groupOffsetAtMs = nowMs;
    this.#groupOffset = groupOffset;
    ledger.committed(changes.keys(), snapshot);
    for (const told of afterwards) told();
  }
}
