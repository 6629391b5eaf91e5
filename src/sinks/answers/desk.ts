/**
 * Carries out, for one partition, what people have decided, and ends what nobody has decided in time.
 *
 * E1 an answer has its turn in the lane of its command, like a command: nothing of the lane is under way beside it
 * E2 what is being answered is not expired meanwhile, and what has been ended cannot be answered: whichever changes the
 *    ledger first, in memory and at once, is the only one to do so
 * E3 the end of a hold and its receipt are one transaction. Until that is committed nothing has happened, so the next owner
 *    finds it held and ends it, with the same receipt id
 * E4 expiring goes on a bounded number at a time, and stops with the partition
 */
import { aborted } from '../../base/aborted.ts';
import type { WireReceipt } from '../../fibric/commands/receipt-fields.ts';
import type { LogRecord } from '../../kafka/port.ts';
import type { Ticket } from '../lanes.ts';
import type { Held, InFlight, LedgerChange, LedgerEntry, Parked } from '../ledger/entry.ts';
import { advance } from '../ledger/moves.ts';
import { expireHeld, rejectHeld } from '../ledger/resolve.ts';
import type { LifecycleConfig } from '../lifecycle/config.ts';
import type { CommandWork, Decoded } from '../runner/admit.ts';
import type { SinkConnections, SinkObserver } from '../runner/ports.ts';
import { Wakeup } from '../runner/wakeup.ts';
import type { AnswerWork } from './admit-answer.ts';
import { Holds } from './holds.ts';
import { factsOf, type Recalled, recall, recordOf } from './recall.ts';
import { type AboutCommand, endedHoldReceipt, parkedReceipt, type Reason } from './receipts.ts';
import { weigh } from './weigh.ts';

/** Ended before the transaction that ends them is waited for. */
const EXPIRED_AT_ONCE = 50;
/** A hold that is being answered when its time comes, and a call that nobody can read about: looked at again after that. */
const LATER_MS = 1000;
/** Clocks are set, and machines sleep. */
const LONGEST_WAIT_MS = 60_000;

/** What the desk asks of the partition it stands in. */
export interface DeskHost {
  readonly partition: number;
  readonly commandsTopic: string;
  readonly connections: SinkConnections;
  readonly observer: SinkObserver;
  readonly lifecycle: Pick<LifecycleConfig, 'guardMs' | 'visibilityMs'>;
  /** Aborts when nothing is to be begun any more. */
  readonly ending: AbortSignal;
  nowMs(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Committed or staged. */
  entry(identity: string): LedgerEntry | null;
  /** Committed, when the partition is opened. */
  held(): Iterable<readonly [string, LedgerEntry]>;
  decoded(record: LogRecord): Promise<Decoded>;
  ensureReceipts(tenantId: string): Promise<void>;
  stage(staged: {
    readonly change?: LedgerChange;
    readonly receipt?: WireReceipt;
    readonly afterwards?: () => void;
  }): void;
  bury(record: LogRecord, why: { readonly code: 'answer_foreign'; readonly message: string }): void;
  /** The record is finished, with all that is staged. */
  settle(ticket: Ticket, lane: string): void;
  backOff(ticket: Ticket, untilMs: number): void;
  /** The command runs in the turn of the answer. */
  run(work: CommandWork, ticket: Ticket): void;
}

/** An approved call of which nobody can ask. */
interface Stranded {
  readonly identity: string;
  readonly lane: string;
  readonly entry: InFlight;
  readonly ticket: Ticket;
}

export class AnswerDesk {
  readonly #host: DeskHost;
  readonly #holds: Holds;
  readonly #changed = new Wakeup();
  /** E2. */
  readonly #answering = new Set<string>();

  constructor(host: DeskHost) {
    this.#host = host;
    this.#holds = new Holds(host.held());
  }

  /** Every change of the ledger, when it is staged. */
  noted(change: LedgerChange): void {
    this.#holds.note(change);
    if (change.entry?.kind === 'held') this.#changed.wake();
  }

  /** The answer has its turn. Undefined when that is over already. */
  turn(work: AnswerWork, ticket: Ticket): Promise<void> | undefined {
    const host = this.#host;
    const { answer } = work;
    const weighed = weigh(host.entry(answer.identity), work, host.nowMs());
    switch (weighed.kind) {
      case 'nothing':
        host.stage({ afterwards: () => host.observer.answerIgnored(answer, weighed.why) });
        host.settle(ticket, work.lane);
        return undefined;
      case 'foreign':
        host.bury(work.record, { code: 'answer_foreign', message: weighed.why });
        host.settle(ticket, work.lane);
        return undefined;
      case 'resolve':
        host.stage({ change: { identity: answer.identity, entry: weighed.entry } });
        host.settle(ticket, work.lane);
        return undefined;
      case 'reject':
        return this.#alone(answer.identity, () => this.#reject(work, weighed.held, ticket));
      case 'execute':
        return this.#alone(answer.identity, () => this.#execute(work, weighed, ticket));
    }
  }

  /** The command that an answer let run has ended. */
  ended(identity: string): void {
    this.#answering.delete(identity);
  }

  /** Until the partition ends. */
  async expire(): Promise<void> {
    const { ending } = this.#host;
    while (!ending.aborted) {
      let looked = 0;
      for (; looked < EXPIRED_AT_ONCE && !ending.aborted; looked++) {
        const identity = this.#holds.take(this.#host.nowMs());
        if (identity === undefined) break;
        await this.#expire(identity);
      }
      if (ending.aborted) return;
      if (looked > 0) await this.#committed();
      await this.#untilDue();
    }
  }

  /** E2. Kept beyond the end of `run` when the command runs: until `ended`. */
  async #alone(identity: string, run: () => Promise<'over' | 'running'>): Promise<void> {
    this.#answering.add(identity);
    if ((await run()) === 'over') this.ended(identity);
  }

  async #reject(work: AnswerWork, held: Held, ticket: Ticket): Promise<'over'> {
    const host = this.#host;
    const { by, note, identity } = work.answer;
    const about = await this.#about(identity, held, held.subject);
    if (host.ending.aborted) return 'over';
    const nowMs = host.nowMs();
    const { entry, code } = rejectHeld(held, nowMs);
    const words = `${by} rejected it${note === null ? '' : `: ${note}`}`;
    const message = code === 'confirmation_rejected' ? words : 'it was rejected after it had expired';
    host.stage({ change: { identity, entry }, receipt: endedHoldReceipt(about, held, { code, message }, nowMs) });
    host.settle(ticket, work.lane);
    return 'over';
  }

  async #execute(
    { answer, lane }: AnswerWork,
    { of, approvedBy }: { readonly of: Held | InFlight; readonly approvedBy: string },
    ticket: Ticket,
  ): Promise<'over' | 'running'> {
    const host = this.#host;
    const { identity } = answer;
    const recalled = await this.#recall(of);
    if (host.ending.aborted) return 'over';
    if (recalled.kind === 'work') {
      const { work } = recalled;
      host.run({ ...work, live: { ...work.live, approvedBy } }, ticket);
      return 'running';
    }
    if (of.kind === 'in_flight') this.#strand({ identity, lane, entry: of, ticket }, recalled);
    else {
      const about = aboutOf(identity, host.partition, recalled, of.subject);
      this.#refuse(about, of, recalled);
      host.settle(ticket, lane);
    }
    return 'over';
  }

  /** It was held, and what it needs is not there any more. */
  #refuse(about: AboutCommand, held: Held, recalled: Exclude<Recalled, { kind: 'work' }>): void {
    const nowMs = this.#host.nowMs();
    const reason: Reason = recalled.kind === 'refused' ? recalled.refusal : UNREADABLE;
    const failing = { kind: 'fail', atMs: nowMs, code: reason.code, epoch: 0, proof: 'refused' } as const;
    this.#host.stage({
      change: { identity: about.identity, entry: advance(held, failing) },
      receipt: endedHoldReceipt(about, held, reason, nowMs),
    });
  }

  /** Its call may have happened, and there is nothing to ask with. The lane waits until the call is over, as it always does. */
  #strand({ identity, lane, entry, ticket }: Stranded, recalled: Exclude<Recalled, { kind: 'work' }>): void {
    const host = this.#host;
    const nowMs = host.nowMs();
    const overMs = entry.deadlineMs + host.lifecycle.guardMs + host.lifecycle.visibilityMs;
    if (recalled.kind === 'unreadable' || nowMs < overMs) {
      host.backOff(ticket, Math.max(overMs, nowMs + LATER_MS));
      return;
    }
    const { refusal } = recalled;
    const { tenantId, commandId, connection, capability, entityKey, idempotencyKey } = refusal.facts;
    const subject = {
      tenantId,
      connectionId: connection,
      capability: capability ?? '',
      entityKey: entityKey ?? '',
      idempotencyKey: idempotencyKey ?? '',
      commandId,
    };
    const parked = advance(entry, { kind: 'park', atMs: nowMs, subject, record: entry.record }) as Parked;
    const about = aboutOf(identity, host.partition, recalled, subject);
    host.stage({ change: { identity, entry: parked }, receipt: parkedReceipt(about, entry, refusal, nowMs) });
    host.settle(ticket, lane);
  }

  async #expire(identity: string): Promise<void> {
    const host = this.#host;
    const before = host.entry(identity);
    if (before?.kind !== 'held') return;
    if (this.#answering.has(identity)) return this.#holds.later(identity, host.nowMs() + LATER_MS);
    const about = await this.#about(identity, before, before.subject);
    if (host.ending.aborted) return;
    // E2: somebody may have answered meanwhile, and what is held now may be another command.
    const held = host.entry(identity);
    if (held?.kind !== 'held' || held.receiptId !== before.receiptId) return;
    const nowMs = host.nowMs();
    const ended = this.#answering.has(identity) ? undefined : expireHeld(held, nowMs);
    if (ended === undefined) return this.#holds.later(identity, Math.max(held.expiresAtMs, nowMs + LATER_MS));
    const { entry, code } = ended;
    const receipt = endedHoldReceipt(about, held, { code, message: 'nobody approved it in time' }, nowMs);
    host.stage({ change: { identity, entry }, receipt });
  }

  /** E4. */
  async #committed(): Promise<void> {
    const { ending } = this.#host;
    const committed = new AbortController();
    this.#host.stage({ afterwards: () => committed.abort() });
    await aborted(AbortSignal.any([ending, committed.signal]));
  }

  async #untilDue(): Promise<void> {
    const { ending } = this.#host;
    const dueMs = this.#holds.nextAtMs;
    const waitMs = Math.min(LONGEST_WAIT_MS, dueMs === null ? LONGEST_WAIT_MS : dueMs - this.#host.nowMs());
    if (waitMs <= 0) return;
    const over = new AbortController();
    const signal = AbortSignal.any([ending, over.signal]);
    void this.#host.sleep(waitMs, signal).then(() => over.abort());
    await this.#changed.wait(signal);
    over.abort();
  }

  async #recall(entry: Held | InFlight): Promise<Recalled> {
    const host = this.#host;
    if (entry.record === null) return { kind: 'unreadable' };
    const record = recordOf(entry.record, { topic: host.commandsTopic, partition: host.partition });
    return recall(record, await host.decoded(record), entry, host.connections);
  }

  async #about(identity: string, entry: Held, subject: Held['subject']): Promise<AboutCommand> {
    const recalled = await this.#recall(entry);
    await this.#host.ensureReceipts(subject.tenantId);
    return aboutOf(identity, this.#host.partition, recalled, subject);
  }
}

const UNREADABLE: Reason = {
  code: 'message_undecodable',
  message: 'the command that was held cannot be read any more',
};

function aboutOf(identity: string, partition: number, recalled: Recalled, subject: Held['subject']): AboutCommand {
  switch (recalled.kind) {
    case 'work':
      return { identity, partition, facts: recalled.work.command, connection: recalled.work.connection };
    case 'refused':
      return { identity, partition, facts: recalled.refusal.facts, connection: recalled.refusal.connection };
    case 'unreadable':
      return { identity, partition, facts: factsOf(subject), connection: null };
  }
}
