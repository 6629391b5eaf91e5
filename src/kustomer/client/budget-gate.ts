/**
 * Who wants to call stands in a queue here until the budget grants it.
 *
 * Q1 A queue per lane and kind, first come first served; more urgent lanes first. A search waiting for the search limit
 *    does not hold up plain calls of its lane.
 * Q2 Every queue is bounded and every wait has a deadline: full and late are refusals (`budget_exhausted`), and nothing
 *    was sent then.
 * Q3 Every grant is ended exactly once, whatever the call does: `run` owns it from grant to end.
 * Q4 One sleeper at most, however many wait.
 */

import { type Clock, steadyClock } from '../../base/clock.ts';
import { CodedError } from '../../base/errors.ts';
import {
  type BudgetConfig,
  type BudgetSnapshot,
  type BudgetState,
  type Grant,
  initialBudget,
  observe,
  request,
  settle,
  snapshot,
  type WaitReason,
} from '../budget/budget.ts';
import { CALL_KINDS, type CallKind, LANES, type Lane } from '../budget/lanes.ts';
import type { AnswerHeaders } from '../budget/rate-headers.ts';

/** What became of the call, as far as the budget is concerned. */
export type CallEnd =
  | { readonly ending: 'answered'; readonly status: number; readonly headers: AnswerHeaders }
  | { readonly ending: 'unanswered' }
  | { readonly ending: 'not_sent' };

export interface BudgetGateOptions {
  readonly clock?: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
  readonly budget?: Partial<BudgetConfig>;
  /** Waiting calls per lane and kind. */
  readonly maxWaiting?: number;
  /** Calls under way at once, all lanes together. */
  readonly maxOpen?: number;
}

export interface GateAsk {
  readonly lane: Lane;
  readonly kind: CallKind;
  /** Longest wait for a grant. */
  readonly waitMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface GateHealth extends BudgetSnapshot {
  readonly waiting: Readonly<Record<Lane, number>>;
  readonly oldestWaitMs: Readonly<Record<Lane, number>>;
  /** Refused for a full queue or a passed deadline, since the start. */
  readonly refused: Readonly<Record<Lane, number>>;
  readonly granted: Readonly<Record<Lane, number>>;
  /** 429s since the start. */
  readonly limited: number;
  /** Why the most urgent waiting call waits. */
  readonly waitingFor: WaitReason | null;
}

/** The budget of one organisation for one process. */
export interface BudgetGate {
  /** Runs the call once granted. Rejects with `budget_exhausted` before it is run, or with what the call rejects with. */
  run<T>(ask: GateAsk, call: (grant: Grant) => Promise<{ readonly value: T; readonly end: CallEnd }>): Promise<T>;
  health(): GateHealth;
  /** Refuses everybody who waits or comes later. Calls under way end by themselves. */
  close(): void;
}

interface Waiter {
  readonly sinceMs: number;
  readonly deadlineMs: number;
  granted(grant: Grant): void;
  refused(error: CodedError): void;
}

export function createBudgetGate(options: BudgetGateOptions = {}): BudgetGate {
  const { clock = steadyClock, random = Math.random, maxWaiting = 1000, maxOpen = 32 } = options;
  const queues = LANES.flatMap((lane) => CALL_KINDS.map((kind) => ({ lane, kind, waiters: [] as Waiter[] })));
  const refused = perLane(() => 0);
  const granted = perLane(() => 0);
  let state: BudgetState = initialBudget(options.budget);
  let limited = 0;
  let waitingFor: WaitReason | null = null;
  let sleeping: { readonly untilMs: number; readonly cancel: AbortController } | null = null;
  let closed = false;

  const refuse = (lane: Lane, why: string): CodedError => {
    refused[lane] += 1;
    const { pausedUntilMs } = snapshot(state, clock.nowMs());
    return new CodedError('budget_exhausted', `no call to Kustomer was made: ${why}`, {
      lane,
      reason: waitingFor,
      paused_until_ms: pausedUntilMs,
    });
  };

  const wakeAt = (untilMs: number | null): void => {
    if (sleeping !== null && sleeping.untilMs === untilMs) return;
    sleeping?.cancel.abort();
    sleeping = null;
    if (untilMs === null) return;
    const sleep = { untilMs, cancel: new AbortController() };
    sleeping = sleep;
    void clock.sleep(untilMs - clock.nowMs(), sleep.cancel.signal).then(() => {
      if (sleeping !== sleep) return;
      sleeping = null;
      pump();
    });
  };

  /** Drops who is late, grants what may be granted, sleeps until the next moment something can change. */
  const pump = (): void => {
    const nowMs = clock.nowMs();
    let nextMs = Number.POSITIVE_INFINITY;
    waitingFor = null;
    for (const { lane, kind, waiters } of queues) {
      for (const late of removeWhere(waiters, ({ deadlineMs }) => deadlineMs <= nowMs)) {
        late.refused(refuse(lane, 'the deadline passed while it waited for the rate budget'));
      }
      // A full house wakes us by an ending.
      while (waiters.length > 0 && state.open.length < maxOpen) {
        const answer = request(state, { lane, kind, nowMs });
        state = answer.state;
        if ('waitUntilMs' in answer) {
          nextMs = Math.min(nextMs, Math.max(answer.waitUntilMs, nowMs + 1));
          waitingFor ??= answer.reason;
          break;
        }
        granted[lane] += 1;
        waiters.shift()?.granted(answer.grant);
      }
      for (const { deadlineMs } of waiters) nextMs = Math.min(nextMs, deadlineMs);
    }
    wakeAt(Number.isFinite(nextMs) ? nextMs : null);
  };

  const acquire = ({ lane, kind, waitMs, signal }: GateAsk): Promise<Grant> =>
    new Promise((resolve, reject) => {
      const { waiters } = queues.find((queue) => queue.lane === lane && queue.kind === kind) as (typeof queues)[number];
      if (closed) return reject(refuse(lane, 'the client is closed'));
      if (signal?.aborted) return reject(refuse(lane, 'the caller gave up'));
      if (waiters.length >= maxWaiting) return reject(refuse(lane, 'too many calls of this lane are waiting'));
      const sinceMs = clock.nowMs();
      const aborted = (): void => {
        removeWhere(waiters, (other) => other === waiter);
        waiter.refused(refuse(lane, 'the caller gave up'));
        pump();
      };
      const waiter: Waiter = {
        sinceMs,
        deadlineMs: sinceMs + waitMs,
        granted: (grant) => {
          signal?.removeEventListener('abort', aborted);
          resolve(grant);
        },
        refused: (error) => {
          signal?.removeEventListener('abort', aborted);
          reject(error);
        },
      };
      signal?.addEventListener('abort', aborted, { once: true });
      waiters.push(waiter);
      pump();
    });

  const finish = (grant: Grant, end: CallEnd): void => {
    const nowMs = clock.nowMs();
    if (end.ending === 'answered') {
      if (end.status === 429) limited += 1;
      state = observe(state, { grant, status: end.status, headers: end.headers, nowMs, random: random() });
    } else {
      state = settle(state, { grant, ending: end.ending, nowMs });
    }
    pump();
  };

  return {
    run: async (ask, call) => {
      const grant = await acquire(ask);
      let end: CallEnd = { ending: 'unanswered' };
      try {
        const outcome = await call(grant);
        end = outcome.end;
        return outcome.value;
      } finally {
        finish(grant, end);
      }
    },
    health: () => {
      const nowMs = clock.nowMs();
      const waitingIn = (lane: Lane) => queues.flatMap((queue) => (queue.lane === lane ? queue.waiters : []));
      return {
        ...snapshot(state, nowMs),
        waiting: perLane((lane) => waitingIn(lane).length),
        oldestWaitMs: perLane((lane) => Math.max(0, ...waitingIn(lane).map(({ sinceMs }) => nowMs - sinceMs))),
        refused: { ...refused },
        granted: { ...granted },
        limited,
        waitingFor,
      };
    },
    close: () => {
      closed = true;
      for (const { lane, waiters } of queues) {
        for (const waiter of waiters.splice(0)) waiter.refused(refuse(lane, 'the client is closed'));
      }
      wakeAt(null);
    },
  };
}

function perLane<T>(value: (lane: Lane) => T): Record<Lane, T> {
  return Object.fromEntries(LANES.map((lane) => [lane, value(lane)])) as Record<Lane, T>;
}

function removeWhere<T>(items: T[], gone: (item: T) => boolean): T[] {
  const removed: T[] = [];
  for (let at = items.length - 1; at >= 0; at -= 1) {
    if (gone(items[at] as T)) removed.push(...items.splice(at, 1));
  }
  return removed.reverse();
}
