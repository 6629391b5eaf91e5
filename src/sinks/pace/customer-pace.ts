/**
 * Kustomer takes 120 creates a minute for each customer from each of its callers. Of one process: who may create something for
 * a customer now, and if not, when to ask again. Whose customer a conversation is, answers tell; until then it counts as one.
 *
 * P1 in no window, wherever it begins, are there more creates for a customer known from the start than the limit, but for
 *    those that did not ask: a place is held from before the call until a window after its end
 * P2 who must wait is told a time of his own, in the order of asking, and until then holds up nobody else
 * P3 what was counted for a conversation is its customer's as soon as that is known
 * P4 a refusal by Kustomer (other processes create too) holds up that customer until the time told, and no other
 * P5 bounded: beyond so many customers the one asked for longest ago is forgotten. Kustomer's own refusals remain
 *
 * Pure but for its counts: the time comes in.
 */
export interface PaceLimits {
  /** Creates for one customer in one window. */
  readonly creates: number;
  readonly windowMs: number;
  readonly maxCustomers: number;
}

export const PACE_LIMITS: PaceLimits = { creates: 120, windowMs: 60_000, maxCustomers: 10_000 };

/** Clocks may run a little unlike. */
const SLACK_MS = 250;
/** Who does not come back by then has given up his turn. */
const GRACE_MS = 2000;

/** For whom something is created, as far as that is known. */
export interface PaceTarget {
  readonly connectionId: string;
  readonly customerId: string | null;
  readonly conversationId: string | null;
}

export interface Place {
  /** The call is over, or its outcome unknown: the place is free a window later. */
  used(nowMs: number): void;
  /** Nothing was sent. */
  unused(): void;
}

export type Pace =
  | { readonly kind: 'place'; readonly place: Place }
  | { readonly kind: 'wait'; readonly untilMs: number };

interface Tally {
  open: number;
  /** Ascending. */
  ended: number[];
  /** By whoever waits, until when. */
  readonly waiting: Map<string, number>;
  refusedUntilMs: number;
  /** It turned out to be the same customer's. */
  mergedInto: Tally | undefined;
}

const FREE: Place = { used: () => undefined, unused: () => undefined };

export class CustomerPace {
  readonly #limits: PaceLimits;
  /** The one asked for longest ago first. */
  readonly #tallies = new Map<string, Tally>();
  readonly #customers = new Map<string, string>();

  constructor(limits: PaceLimits = PACE_LIMITS) {
    this.#limits = limits;
  }

  /** `who` names the one that asks, the same when it comes again. */
  take(target: PaceTarget, who: string, nowMs: number): Pace {
    const key = this.#keyOf(target);
    if (key === null) return { kind: 'place', place: FREE };
    const tally = this.#tallyOf(key);
    const { creates, windowMs } = this.#limits;
    this.#elapse(tally, nowMs);
    const dueMs = tally.waiting.get(who) ?? nowMs;
    tally.waiting.delete(who);
    const others = [...tally.waiting.values()].filter((atMs) => atMs <= nowMs && atMs < dueMs).length;
    const isRefused = nowMs < tally.refusedUntilMs;
    if (!isRefused && tally.open + tally.ended.length + others < creates) {
      return { kind: 'place', place: placeIn(tally) };
    }
    const ahead = tally.waiting.size;
    const rounds = Math.floor(ahead / creates);
    const freeAtMs = (tally.ended[ahead % creates] ?? nowMs) + (rounds + 1) * windowMs + SLACK_MS;
    const hasRoom = tally.open + tally.ended.length + ahead < creates;
    const untilMs = Math.max(tally.refusedUntilMs, hasRoom ? nowMs + 1 : freeAtMs);
    tally.waiting.set(who, untilMs);
    return { kind: 'wait', untilMs };
  }

  /** What was created without asking: a call that is repeated because the one before was lost waits for nobody. */
  count(target: PaceTarget, nowMs: number): void {
    const key = this.#keyOf(target);
    if (key !== null) placeIn(this.#tallyOf(key)).used(nowMs);
  }

  /** P4. */
  refused(target: PaceTarget, untilMs: number): void {
    const key = this.#keyOf(target);
    if (key === null) return;
    const tally = this.#tallyOf(key);
    tally.refusedUntilMs = Math.max(tally.refusedUntilMs, untilMs);
  }

  /** P3. */
  learn(connectionId: string, conversationId: string, customerId: string): void {
    const conversation = conversationKey(connectionId, conversationId);
    const customer = customerKey(connectionId, customerId);
    const before = this.#customers.get(conversation);
    this.#customers.delete(conversation);
    this.#customers.set(conversation, customer);
    this.#forgetOldest(this.#customers);
    if (before === customer) return;
    const counted = this.#tallies.get(conversation);
    if (counted === undefined) return;
    this.#tallies.delete(conversation);
    const tally = this.#tallyOf(customer);
    tally.open += counted.open;
    tally.ended = [...tally.ended, ...counted.ended].sort((a, b) => a - b);
    tally.refusedUntilMs = Math.max(tally.refusedUntilMs, counted.refusedUntilMs);
    for (const [who, untilMs] of counted.waiting) tally.waiting.set(who, untilMs);
    counted.mergedInto = tally;
  }

  #keyOf({ connectionId, customerId, conversationId }: PaceTarget): string | null {
    if (customerId !== null) return customerKey(connectionId, customerId);
    if (conversationId === null) return null;
    const conversation = conversationKey(connectionId, conversationId);
    return this.#customers.get(conversation) ?? conversation;
  }

  #tallyOf(key: string): Tally {
    const known = this.#tallies.get(key);
    const tally = known ?? { open: 0, ended: [], waiting: new Map(), refusedUntilMs: 0, mergedInto: undefined };
    this.#tallies.delete(key);
    this.#tallies.set(key, tally);
    this.#forgetOldest(this.#tallies);
    return tally;
  }

  #elapse(tally: Tally, nowMs: number): void {
    const fromMs = nowMs - this.#limits.windowMs - SLACK_MS;
    const gone = tally.ended.findIndex((endedMs) => endedMs > fromMs);
    tally.ended.splice(0, gone < 0 ? tally.ended.length : gone);
    for (const [who, untilMs] of tally.waiting) if (untilMs < nowMs - GRACE_MS) tally.waiting.delete(who);
  }

  /** P5. */
  #forgetOldest(map: Map<string, unknown>): void {
    if (map.size <= this.#limits.maxCustomers) return;
    const [oldest] = map.keys();
    if (oldest !== undefined) map.delete(oldest);
  }
}

function placeIn(taken: Tally): Place {
  taken.open += 1;
  let isHeld = true;
  const release = (): Tally | undefined => {
    if (!isHeld) return undefined;
    isHeld = false;
    let tally = taken;
    while (tally.mergedInto !== undefined) tally = tally.mergedInto;
    tally.open -= 1;
    return tally;
  };
  return {
    used: (nowMs) => {
      const tally = release();
      // Ends are told in their order, all but after a merge.
      if (tally !== undefined && (tally.ended.at(-1) ?? 0) <= nowMs) tally.ended.push(nowMs);
      else if (tally !== undefined) tally.ended = [...tally.ended, nowMs].sort((a, b) => a - b);
    },
    unused: () => void release(),
  };
}

const conversationKey = (connectionId: string, id: string): string => `${connectionId}/conversation/${id}`;
const customerKey = (connectionId: string, id: string): string => `${connectionId}/customer/${id}`;
