/** The gate every call to Kustomer goes through, as its callers see it; and the one whose budget is this process's own. */
import type { Clock } from '../../base/clock.ts';
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
import type { CallKind, Lane } from '../budget/lanes.ts';
import type { AnswerHeaders } from '../budget/rate-headers.ts';
import { createGrantQueue, type GrantQueueOptions, type GrantSource } from './grant-queue.ts';

/** What became of the call, as far as the budget is concerned. */
export type CallEnd =
  | {
      readonly ending: 'answered';
      readonly status: number;
      readonly headers: AnswerHeaders;
      /** A 429 that is about one customer or one object, and stops nobody else. */
      readonly narrow?: boolean;
    }
  | { readonly ending: 'unanswered' }
  | { readonly ending: 'not_sent' };

export interface BudgetGateOptions extends GrantQueueOptions {
  readonly clock?: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
  readonly budget?: Partial<BudgetConfig>;
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
  /** The last of them. */
  readonly limitedAtMs: number | null;
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

/** For a process that shares its organisation's budget with no other process of ours: commands, tests. */
export function createBudgetGate(options: BudgetGateOptions = {}): BudgetGate {
  const { random = Math.random, budget, ...queue } = options;
  return createGrantQueue(() => ownBudget(initialBudget(budget), random), queue);
}

function ownBudget(initial: BudgetState, random: () => number): GrantSource {
  let state = initial;
  return {
    request: (ask) => {
      const answer = request(state, ask);
      state = answer.state;
      return answer;
    },
    finish: (grant, end, nowMs) => {
      state =
        end.ending === 'answered'
          ? observe(state, { ...end, grant, nowMs, random: random() })
          : settle(state, { grant, ending: end.ending, nowMs });
    },
    openCalls: () => state.open.length,
    snapshot: (nowMs) => snapshot(state, nowMs),
  };
}
