/** Times and bounds of one command's life. */
export interface LifecycleConfig {
  /** From the plan to call until the call must have been sent; the commit of `in_flight` lies between. */
  readonly sendWindowMs: number;
  /** From sending until the call is given up and its connection closed. */
  readonly requestTimeoutMs: number;
  /** What the clocks of two owners may differ by, and a timer be late. */
  readonly guardMs: number;
  /** From the end of a request until what it may have done has been done and can be read, at the latest. */
  readonly visibilityMs: number;
  /** Reads before that: they cannot prove absence, but mostly find what was done. Ascending, from the end of the request. */
  readonly earlyReadsMs: readonly number[];
  /** Reads after that which must agree on absence … */
  readonly absentReads: number;
  /** … and how far apart they, or two that failed, begin. */
  readonly readSpacingMs: number;
  /** Reads for one ambiguous call; then it is parked. */
  readonly maxReads: number;
  /** Calls for one command, of all kinds. */
  readonly maxAttempts: number;
  /** Calls that were answered with a conflict (409). */
  readonly maxConflicts: number;
  /** Calls sent again because the one before was proved not to have happened. */
  readonly maxResends: number;
  /** From the command's first turn; a wait that would take longer is not begun. */
  readonly patienceMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
}

export const LIFECYCLE_DEFAULTS: LifecycleConfig = {
  sendWindowMs: 5000,
  requestTimeoutMs: 10_000,
  guardMs: 5000,
  visibilityMs: 10_000,
  earlyReadsMs: [200, 1000, 4000],
  absentReads: 2,
  readSpacingMs: 1000,
  maxReads: 15,
  maxAttempts: 30,
  maxConflicts: 5,
  maxResends: 3,
  patienceMs: 30 * 60_000,
  backoffMinMs: 250,
  backoffMaxMs: 30_000,
};

/** Doubling, with half of it at random: lanes that failed together do not come back together. */
export function backoffMs(times: number, random: number, { backoffMinMs, backoffMaxMs }: LifecycleConfig): number {
  const most = Math.min(backoffMaxMs, backoffMinMs * 2 ** Math.min(times, 30));
  return Math.ceil(most * (0.5 + 0.5 * random));
}
