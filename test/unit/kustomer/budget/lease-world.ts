/** Processes, a lender and a log, step by step: who dies, who is fenced, what is lost or said twice, whose clock is wrong. */
import { expect } from 'vitest';
import type { Ending } from '../../../../src/kustomer/budget/bucket.ts';
import { used } from '../../../../src/kustomer/budget/bucket.ts';
import type { CallKind, Lane } from '../../../../src/kustomer/budget/lanes.ts';
import {
  type LeaseMessage,
  type LeaseTable,
  type LeaseTimes,
  type LeaseWant,
  leaseMessage,
  leaseTable,
} from '../../../../src/kustomer/budget/lease-forms.ts';
import {
  compose,
  emptyHolder,
  finish,
  type LeaseHolder,
  learn,
  see,
  sent,
  start,
} from '../../../../src/kustomer/budget/lease-holder.ts';
import { type Lender, type LenderConfig, newLender, receive } from '../../../../src/kustomer/budget/lender.ts';
import { lenderOf, tableOf } from '../../../../src/kustomer/budget/lender-table.ts';
import type { RateFacts } from '../../../../src/kustomer/budget/rate-headers.ts';

export const TIMES: LeaseTimes = { startMs: 5000, callMs: 20_000 };
export const SHARE = 10;
export const SEARCHES = 4;
export const CONFIG: LenderConfig = {
  budget: { assumedLimit: SHARE, othersShare: 0, searchLimit: SEARCHES, searchOthersShare: 0 },
  times: TIMES,
};
export const NO_FACTS: RateFacts = {
  limit: null,
  remaining: null,
  resetEpochS: null,
  resetInMs: null,
  retryAfterMs: null,
};

export type Command =
  /** `lost`: not in the log, and known; `unsure`: in the log, and said again. */
  | {
      readonly do: 'say';
      readonly who: number;
      readonly wants: readonly LeaseWant[];
      readonly fate: 'sent' | 'lost' | 'unsure';
    }
  | { readonly do: 'answer'; readonly records: number; readonly commit: boolean }
  | { readonly do: 'see'; readonly who: number; readonly behind: number }
  | {
      readonly do: 'start';
      readonly who: number;
      readonly times: number;
      readonly lane: Lane;
      readonly kind: CallKind;
      readonly tookMs: number;
      /** When within its time the server counts it, 0 to 1. */
      readonly countedAt: number;
      readonly ending: Ending | 'refused';
      /** What the answer says of the limit. */
      readonly limit: number | null;
    }
  | { readonly do: 'die'; readonly who: number }
  | { readonly do: 'failover' }
  | { readonly do: 'zombie' }
  | { readonly do: 'pass'; readonly ms: number };

interface Process {
  holder: LeaseHolder;
  /** Tables read so far. */
  read: number;
  readonly skewMs: number;
}

export class World {
  trueMs = 1_000_000;
  readonly messages: LeaseMessage[] = [];
  readonly tables: LeaseTable[] = [];
  committed = 0;
  readonly counted: { readonly atMs: number; readonly search: boolean }[] = [];
  owner: Lender;
  ownerSkewMs = 0;
  zombie: { lender: Lender; skewMs: number } | null = null;
  readonly processes: Process[] = [];
  readonly due: { readonly atMs: number; readonly run: () => void }[] = [];
  names = 0;
  started = 0;

  constructor() {
    this.owner = newLender(CONFIG, this.trueMs);
    for (const skewMs of [0, 400_000, -300_000]) this.processes.push({ holder: this.newHolder(), read: 0, skewMs });
  }

  newHolder(): LeaseHolder {
    this.names += 1;
    return emptyHolder(`process ${this.names}`, TIMES);
  }

  process(index: number): Process {
    return this.processes[index] as Process;
  }

  pass(ms: number): void {
    const untilMs = this.trueMs + ms;
    for (;;) {
      this.due.sort((a, b) => a.atMs - b.atMs);
      const first = this.due[0];
      if (first === undefined || first.atMs > untilMs) break;
      this.due.shift();
      this.trueMs = first.atMs;
      first.run();
    }
    this.trueMs = untilMs;
  }

  run(step: Command): void {
    switch (step.do) {
      case 'say':
        this.say(step.who, step.wants, step.fate);
        return;
      case 'answer':
        this.answer(step.records, step.commit);
        return;
      case 'see': {
        const mine = this.process(step.who);
        const upTo = Math.max(mine.read, this.tables.length - step.behind);
        for (const table of this.tables.slice(mine.read, upTo))
          mine.holder = see(mine.holder, table, this.trueMs + mine.skewMs);
        mine.read = upTo;
        return;
      }
      case 'start':
        for (let index = 0; index < step.times; index += 1) this.start(step);
        return;
      case 'die': {
        const mine = this.process(step.who);
        mine.holder = this.newHolder();
        mine.read = this.tables.length;
        return;
      }
      case 'failover':
        this.zombie = { lender: this.owner, skewMs: this.ownerSkewMs };
        this.takeOver(this.ownerSkewMs + 777_777);
        return;
      case 'zombie': {
        // It decides what it likes; the commit is refused, and nobody ever reads it.
        if (this.zombie === null) return;
        const { lender, skewMs } = this.zombie;
        const batch = this.messages.slice(this.committed, this.committed + 1);
        this.zombie = { lender: receive(lender, batch, this.trueMs + skewMs), skewMs };
        return;
      }
      case 'pass':
        this.pass(step.ms);
    }
  }

  say(who: number, wants: readonly LeaseWant[], fate: 'sent' | 'lost' | 'unsure'): void {
    const mine = this.process(who);
    const { holder, message } = compose(mine.holder, wants, this.trueMs + mine.skewMs);
    mine.holder = fate === 'sent' ? sent(holder, message) : holder;
    if (fate !== 'lost') this.messages.push(leaseMessage.parse(JSON.parse(JSON.stringify(message))));
  }

  answer(records: number, commit: boolean): void {
    const batch = this.messages.slice(this.committed, this.committed + records);
    const nowMs = this.trueMs + this.ownerSkewMs;
    const before = this.owner;
    const after = receive(before, batch, nowMs);
    if (!commit) {
      this.takeOver(this.ownerSkewMs);
      return;
    }
    this.owner = after;
    this.committed += batch.length;
    this.tables.push(leaseTable.parse(JSON.parse(JSON.stringify(tableOf(after)))));
    this.checkLending(before, after, nowMs);
  }

  /** L1, L6, L7 of what has just been lent. */
  checkLending(before: Lender, after: Lender, nowMs: number): void {
    const lent = after.leases.some(({ leaseId }) => leaseId >= before.budget.nextGrantId);
    const { calls, searches, pause, open } = after.budget;
    if (lent) expect(used(calls)).toBeLessThanOrEqual(calls.limit);
    if (after.leases.some(({ leaseId, kind }) => leaseId >= before.budget.nextGrantId && kind === 'search')) {
      expect(used(searches)).toBeLessThanOrEqual(searches.limit);
    }
    if (pause === null) return;
    if (nowMs < pause.untilMs) expect(lent).toBe(false);
    // One that is not heard of for five seconds holds nobody up (G3).
    const trying = open.filter(
      ({ grantId, grantedAtMs }) => grantId >= pause.fromGrantId && nowMs < grantedAtMs + 5000,
    );
    expect(trying.length).toBeLessThanOrEqual(1);
  }

  /** The table as committed is all a successor has; a clock of its own. */
  takeOver(skewMs: number): void {
    this.ownerSkewMs = skewMs;
    const last = this.tables.at(-1);
    const nowMs = this.trueMs + skewMs;
    this.owner = last === undefined ? newLender(CONFIG, Math.max(nowMs, 0)) : lenderOf(last, CONFIG, nowMs);
  }

  start(step: Extract<Command, { do: 'start' }>): void {
    const mine = this.process(step.who);
    const localMs = (): number => this.trueMs + mine.skewMs;
    const { kind, ending, tookMs, countedAt } = step;
    const answer = start(mine.holder, { lane: step.lane, kind, nowMs: localMs() });
    if (!('grant' in answer)) return;
    this.started += 1;
    const { borrower, table } = answer.holder;
    const { grantId } = answer.grant;
    if (table?.pause != null) expect(grantId).toBeGreaterThanOrEqual(table.pause.fromGrantId); // H4
    mine.holder = answer.holder;
    // One that is given up may still be counted, until the longest a call can take.
    const countedMs = ending === 'unanswered' ? TIMES.callMs * countedAt : tookMs * countedAt;
    if (ending === 'answered' || ending === 'unanswered') {
      this.due.push({
        atMs: this.trueMs + countedMs,
        run: () => this.counted.push({ atMs: this.trueMs, search: kind === 'search' }),
      });
    }
    this.due.push({
      atMs: this.trueMs + tookMs,
      run: () => {
        if (mine.holder.borrower !== borrower) return;
        const ended: Ending = ending === 'refused' ? 'answered' : ending;
        mine.holder = finish(mine.holder, { grantId, ending: ended, nowMs: localMs() });
        if (ended !== 'answered') return;
        const refused = ending === 'refused';
        const facts = { ...NO_FACTS, limit: step.limit, retryAfterMs: refused ? 7000 : null };
        mine.holder = learn(mine.holder, { grantId, kind, refused, facts, nowMs: localMs(), random: 0.5 });
      },
    });
  }
}

/** The most counted in any 60 s, wherever they begin. */
export function most(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  let first = 0;
  let best = 0;
  for (let last = 0; last < sorted.length; last += 1) {
    while ((sorted[last] as number) - (sorted[first] as number) >= 60_000) first += 1;
    best = Math.max(best, last - first + 1);
  }
  return best;
}
