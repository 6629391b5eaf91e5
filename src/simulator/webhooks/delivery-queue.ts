/**
 * What one outbound webhook still has to deliver. A state machine without clock, I/O or randomness: the sender asks what
 * is due, sends it and says how it went.
 *
 * Invariants (test/unit/simulator/delivery-queue.test.ts cites them):
 * W1 A delivery is attempted at most once per entry of the retry schedule plus once; attempt n+1 is due no earlier than
 *    the n-th delay after attempt n failed.
 * W2 A 2xx ends a delivery: it is never due again.
 * W3 When the last attempt fails the webhook is disabled with `isError`, nothing of it is due and what was pending is
 *    given up, until someone enables it again.
 * W4 An event offered while the webhook is disabled is lost, as it is at the vendor.
 * W5 Pending deliveries never exceed `maxPending`; an event offered beyond that is lost and counted.
 * W6 Every attempt leaves one transaction, with `nextRetry` exactly when another attempt is scheduled.
 * W7 A delivery under way is not due a second time before its answer.
 */
import { Heap } from '../heap.ts';

/** Minutes after a failed attempt, as the vendor documents them. */
const RETRY_MINUTES = [1, 1, 2, 5, 10, 15, 30] as const;

export const RETRY_DELAYS_MS: readonly number[] = RETRY_MINUTES.map((minutes) => minutes * 60_000);

export interface Delivery {
  readonly deliveryId: number;
  readonly eventName: string;
  readonly body: Buffer;
  /** Attempts answered so far, all failures. */
  readonly failures: number;
}

/** One line of the delivery log. `status` 0 = no answer. */
export interface Transaction {
  readonly sentAtMs: number;
  readonly nextRetryMs: number | null;
  readonly status: number;
  readonly eventName: string;
}

export interface QueueOptions {
  /** Divides every delay of the schedule; 60 makes minutes of seconds. */
  readonly timeScale: number;
  readonly maxPending: number;
  readonly maxTransactions: number;
}

export type Offer = 'queued' | 'disabled' | 'full';

export class DeliveryQueue {
  readonly #options: QueueOptions;
  readonly #waiting = new Heap<Delivery>();
  readonly #underWay = new Map<number, Delivery>();
  readonly #transactions: Transaction[] = [];
  #nextId = 0;
  #enabled = true;
  #isError = false;
  #lost = 0;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  /** True once the webhook was switched off because it kept failing. */
  get isError(): boolean {
    return this.#isError;
  }

  get pending(): number {
    return this.#waiting.size + this.#underWay.size;
  }

  /** Events that never got a delivery, or whose delivery was given up. */
  get lost(): number {
    return this.#lost;
  }

  /** Newest last; the oldest are forgotten. */
  get transactions(): readonly Transaction[] {
    return this.#transactions;
  }

  offer(event: { readonly eventName: string; readonly body: Buffer }, dueMs: number): Offer {
    const refusal = !this.#enabled ? 'disabled' : this.pending >= this.#options.maxPending ? 'full' : null;
    if (refusal !== null) {
      this.#lost += 1;
      return refusal;
    }
    this.#waiting.push(dueMs, { ...event, deliveryId: this.#nextId++, failures: 0 });
    return 'queued';
  }

  /** When the next delivery is due; undefined when none waits. */
  nextDueMs(): number | undefined {
    return this.#waiting.peekKey();
  }

  /** Takes the next due delivery; it is under way until `answered`. */
  take(nowMs: number): Delivery | undefined {
    if ((this.#waiting.peekKey() ?? Number.POSITIVE_INFINITY) > nowMs) return undefined;
    const delivery = this.#waiting.pop() as Delivery;
    this.#underWay.set(delivery.deliveryId, delivery);
    return delivery;
  }

  answered(deliveryId: number, answer: { readonly sentAtMs: number; readonly status: number }, nowMs: number): void {
    const delivery = this.#underWay.get(deliveryId);
    if (delivery === undefined) throw new Error(`delivery ${deliveryId} is not under way`);
    this.#underWay.delete(deliveryId);
    const succeeded = answer.status >= 200 && answer.status < 300;
    const delayMs = RETRY_DELAYS_MS[delivery.failures];
    const retried = !succeeded && this.#enabled && delayMs !== undefined;
    const nextRetryMs = retried ? nowMs + delayMs / this.#options.timeScale : null;
    this.#log({ sentAtMs: answer.sentAtMs, nextRetryMs, status: answer.status, eventName: delivery.eventName });
    if (succeeded) return;
    if (nextRetryMs !== null) {
      this.#waiting.push(nextRetryMs, { ...delivery, failures: delivery.failures + 1 });
      return;
    }
    this.#lost += 1;
    if (this.#enabled) {
      this.disable();
      this.#isError = true;
    }
  }

  /** By a person or, with `isError`, by the machine. What was pending is given up; what is under way may still succeed. */
  disable(): void {
    this.#enabled = false;
    this.#lost += this.#waiting.clear().length;
  }

  enable(): void {
    this.#enabled = true;
    this.#isError = false;
  }

  #log(transaction: Transaction): void {
    this.#transactions.push(transaction);
    if (this.#transactions.length > 2 * this.#options.maxTransactions) {
      this.#transactions.splice(0, this.#transactions.length - this.#options.maxTransactions);
    }
  }
}
