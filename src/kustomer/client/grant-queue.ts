/**
 * Who wants to call stands in a queue here until a grant is given.
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
import type { BudgetSnapshot, Grant, WaitReason } from '../budget/budget.ts';
import { CALL_KINDS, type CallKind, LANES, type Lane } from '../budget/lanes.ts';
import type { BudgetGate, CallEnd, GateAsk } from './budget-gate.ts';

/** Where grants come from: the budget of this process, or leases of a budget kept elsewhere. */
export interface GrantSource {
  request(ask: {
    readonly lane: Lane;
    readonly kind: CallKind;
    readonly nowMs: number;
  }): { readonly grant: Grant } | { readonly waitUntilMs: number; readonly reason: WaitReason };
  finish(grant: Grant, end: CallEnd, nowMs: number): void;
  openCalls(): number;
  snapshot(nowMs: number): BudgetSnapshot;
  /** Told after every change: who could not be served. The same object each time. */
  waiting?(counts: Readonly<Record<Lane, Readonly<Record<CallKind, number>>>>, nowMs: number): void;
  close?(): void;
}

export interface GrantQueueOptions {
  readonly clock?: Clock;
  /** Waiting calls per lane and kind. */
  readonly maxWaiting?: number;
  /** Calls under way at once, all lanes together. */
  readonly maxOpen?: number;
  readonly onGranted?: (lane: Lane, waitedMs: number) => void;
}

interface Waiter {
  readonly sinceMs: number;
  readonly deadlineMs: number;
  granted(grant: Grant): void;
  refused(error: CodedError): void;
}

interface WaitingQueue {
  readonly lane: Lane;
  readonly kind: CallKind;
  readonly waiters: Waiter[];
  /** No waiter's deadline is before this: with hundreds waiting, who is late is not looked for at every call. */
  firstDeadlineMs: number;
}

/** `source` is given a way to say that grants may have become available. */
export function createGrantQueue(
  sourceFor: (wake: () => void) => GrantSource,
  options: GrantQueueOptions = {},
): BudgetGate {
  const { clock = steadyClock, maxWaiting = 1000, maxOpen = 32, onGranted = () => undefined } = options;
  const queues = LANES.flatMap((lane) => CALL_KINDS.map((kind) => newQueue(lane, kind)));
  const counts = perLane(() => perKind(() => 0));
  const refused = perLane(() => 0);
  const granted = perLane(() => 0);
  let limited = 0;
  let limitedAtMs: number | null = null;
  let waitingFor: WaitReason | null = null;
  /** What the last one who waited, waited for: to be told to who is late. */
  let lastReason: WaitReason | null = null;
  let sleeping: { readonly untilMs: number; readonly cancel: AbortController } | null = null;
  let closed = false;

  const refuse = (lane: Lane, why: string): CodedError => {
    refused[lane] += 1;
    const { pausedUntilMs } = source.snapshot(clock.nowMs());
    return new CodedError('budget_exhausted', `no call to Kustomer was made: ${why}`, {
      lane,
      reason: waitingFor ?? lastReason,
      paused_until_ms: pausedUntilMs,
    });
  };

  /** One that wakes too early is left to it: it looks, and sleeps again. Every call comes by here. */
  const wakeBy = (untilMs: number): void => {
    if (sleeping !== null && sleeping.untilMs <= untilMs) return;
    sleeping?.cancel.abort();
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
    lastReason = waitingFor ?? lastReason;
    waitingFor = null;
    for (const queue of queues) {
      const { lane, kind, waiters } = queue;
      if (queue.firstDeadlineMs <= nowMs) {
        for (const late of removeWhere(waiters, ({ deadlineMs }) => deadlineMs <= nowMs)) {
          late.refused(refuse(lane, 'the deadline passed while it waited for the rate budget'));
        }
        queue.firstDeadlineMs = earliestOf(waiters);
      }
      // A full house wakes us by an ending.
      while (waiters.length > 0 && source.openCalls() < maxOpen) {
        const answer = source.request({ lane, kind, nowMs });
        if ('waitUntilMs' in answer) {
          nextMs = Math.min(nextMs, Math.max(answer.waitUntilMs, nowMs + 1));
          waitingFor ??= answer.reason;
          break;
        }
        granted[lane] += 1;
        const waiter = waiters.shift() as Waiter;
        onGranted(lane, nowMs - waiter.sinceMs);
        waiter.granted(answer.grant);
      }
      if (waiters.length > 0) nextMs = Math.min(nextMs, queue.firstDeadlineMs);
    }
    if (Number.isFinite(nextMs)) wakeBy(nextMs);
    for (const { lane, kind, waiters } of queues) counts[lane][kind] = waiters.length;
    source.waiting?.(counts, nowMs);
  };
  const source = sourceFor(() => {
    if (!closed) pump();
  });

  const acquire = ({ lane, kind, waitMs, signal }: GateAsk): Promise<Grant> =>
    new Promise((resolve, reject) => {
      const queue = queues.find((one) => one.lane === lane && one.kind === kind) as WaitingQueue;
      const { waiters } = queue;
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
      queue.firstDeadlineMs = Math.min(queue.firstDeadlineMs, waiter.deadlineMs);
      pump();
    });

  const finish = (grant: Grant, end: CallEnd): void => {
    const nowMs = clock.nowMs();
    if (end.ending === 'answered' && end.status === 429) {
      limited += 1;
      limitedAtMs = nowMs;
    }
    source.finish(grant, end, nowMs);
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
        ...source.snapshot(nowMs),
        waiting: perLane((lane) => waitingIn(lane).length),
        oldestWaitMs: perLane((lane) => Math.max(0, ...waitingIn(lane).map(({ sinceMs }) => nowMs - sinceMs))),
        refused: { ...refused },
        granted: { ...granted },
        limited,
        limitedAtMs,
        waitingFor,
      };
    },
    close: () => {
      closed = true;
      for (const { lane, waiters } of queues) {
        for (const waiter of waiters.splice(0)) waiter.refused(refuse(lane, 'the client is closed'));
      }
      sleeping?.cancel.abort();
      sleeping = null;
      source.close?.();
    },
  };
}

function newQueue(lane: Lane, kind: CallKind): WaitingQueue {
  return { lane, kind, waiters: [], firstDeadlineMs: Number.POSITIVE_INFINITY };
}

function earliestOf(waiters: readonly Waiter[]): number {
  return waiters.reduce((earliest, { deadlineMs }) => Math.min(earliest, deadlineMs), Number.POSITIVE_INFINITY);
}

function perLane<T>(value: (lane: Lane) => T): Record<Lane, T> {
  return Object.fromEntries(LANES.map((lane) => [lane, value(lane)])) as Record<Lane, T>;
}

function perKind<T>(value: (kind: CallKind) => T): Record<CallKind, T> {
  return Object.fromEntries(CALL_KINDS.map((kind) => [kind, value(kind)])) as Record<CallKind, T>;
}

function removeWhere<T>(items: T[], gone: (item: T) => boolean): T[] {
  const removed: T[] = [];
  for (let at = items.length - 1; at >= 0; at -= 1) {
    if (gone(items[at] as T)) removed.push(...items.splice(at, 1));
  }
  return removed.reverse();
}
