/** The world: what a command waits for outside of the log. Each tells what came of it, once (D1, D5, D7). */
import { aborted } from '../../base/aborted.ts';
import { CodedError } from '../../base/errors.ts';
import type { KustomerClient } from '../../kustomer/client/client.ts';
import type { Basis } from '../ledger/entry.ts';
import type { LifecycleEffect, LifecycleEvent } from '../lifecycle/events.ts';
import type { Life } from '../lifecycle/life.ts';
import { customerTold } from '../pace/creates.ts';
import { RESERVE_TIMEOUT_MS } from '../quota/limit-place.ts';
import type { CommandWork } from './admit.ts';
import type { AtWork } from './at-work.ts';
import type { CreatePlaces } from './create-places.ts';
import { Deadlines } from './deadlines.ts';
import type { Partition } from './partition.ts';
import { type Asking, type Called, carryOut, lookBack } from './vendor.ts';

/** A read back holds its lane, and a slot; what finds no budget in this time is tried again later. */
const READ_WAIT_MS = 10_000;

type Effect<K extends LifecycleEffect['kind']> = Extract<LifecycleEffect, { readonly kind: K }>;

export interface CallsOptions {
  readonly partition: Partition;
  readonly creates: CreatePlaces;
  readonly tell: (atWork: AtWork, event: LifecycleEvent) => void;
}

export class Calls {
  readonly #partition: Partition;
  readonly #creates: CreatePlaces;
  readonly #tell: CallsOptions['tell'];
  readonly #deadlines: Deadlines;

  constructor({ partition, creates, tell }: CallsOptions) {
    this.#partition = partition;
    this.#creates = creates;
    this.#tell = tell;
    this.#deadlines = new Deadlines(partition.shared.clock);
  }

  /** D4. */
  giveUp(): void {
    this.#deadlines.giveUp();
  }

  async reserve(atWork: AtWork, { ask, reservationId }: Effect<'reserve'>): Promise<void> {
    const answer = await this.#deadlines.within(this.#nowMs + RESERVE_TIMEOUT_MS, (signal) =>
      atWork.place.reserve(reservationId, atWork.life.isAhead, signal),
    );
    this.#tell(atWork, answer.kind === 'granted' ? { ...answer, kind: 'reserved', ask } : { ...answer, ask });
  }

  async call(atWork: AtWork, { ask, sendByMs, abortAtMs }: Effect<'call'>): Promise<void> {
    const { owned, order, shared } = this.#partition;
    const { command, externalId, lane, connection } = atWork.work;
    // The lease may have been lost since; it is never longer than `sendByMs` by what was known then.
    const isOurs = () => this.#nowMs <= sendByMs && this.#nowMs < owned.leaseUntilMs && !this.#partition.isStopping;
    const maySend = () => isOurs() && order.unwritten(lane) === undefined;
    const waitMs = () => Math.max(0, sendByMs - this.#nowMs);
    const outcome = await this.#deadlines.within(abortAtMs, async (signal) => {
      const client = this.#clientOf(atWork.work);
      if (client instanceof CodedError) {
        return { kind: 'failed_final', code: client.code, message: client.message } as const;
      }
      const before = order.unwritten(lane); // D7
      if (before !== undefined) await Promise.race([before, aborted(signal)]);
      const asking: Asking = { ...this.#asking(atWork.work, client, signal), waitMs, maySend };
      const decided = (basis: Basis) => this.#writeDown(atWork.life, basis, signal);
      const called = await carryOut(command, externalId, { ...asking, decided });
      atWork.place.called(called.left);
      if (called.wrote !== null) this.#note(atWork, called.wrote);
      return called.outcome;
    });
    this.#creates.heed(atWork.work, outcome);
    if (outcome.kind === 'applied' && !outcome.unchanged) shared.observer.succeeded?.(connection);
    if (outcome.kind === 'ambiguous') shared.observer.ambiguous?.(connection);
    this.#tell(atWork, { kind: 'answered', ask, outcome });
  }

  async readBack(atWork: AtWork, { ask }: Effect<'read_back'>): Promise<void> {
    const { work, life } = atWork;
    const { settings } = this.#partition.shared;
    const context = {
      externalId: work.externalId,
      machineUserId: work.connection.settings.machineUserId,
      sinceMs: life.startedAtMs ?? work.place.appendedAtMs,
      basis: atWork.basis ?? (life.entry?.kind === 'in_flight' ? life.entry.basis : null),
      claimed: this.#partition.ledger.written(),
    };
    const untilMs = this.#nowMs + READ_WAIT_MS + settings.lifecycle.requestTimeoutMs;
    const result = await this.#deadlines.within(untilMs, async (signal) => {
      const client = this.#clientOf(work);
      if (client instanceof CodedError) return { kind: 'unreadable', message: client.message } as const;
      const maySend = () => !signal.aborted;
      const asking: Asking = { ...this.#asking(work, client, signal), waitMs: () => READ_WAIT_MS, maySend };
      return lookBack(work.command, context, asking);
    });
    this.#tell(atWork, { kind: 'read', ask, result });
  }

  get #nowMs(): number {
    return this.#partition.nowMs;
  }

  #asking({ connection }: CommandWork, client: KustomerClient, signal: AbortSignal) {
    const { observer, pace } = this.#partition.shared;
    const faulted: Asking['faulted'] = (fault, message) => observer.faulted?.(connection, fault, message);
    const heard: Asking['heard'] = (body) => {
      const told = customerTold(body);
      if (told !== undefined) pace.learn(connection.connectionId, told.conversationId, told.customerId);
    };
    return { client, signal, heard, faulted, nowMs: () => this.#nowMs };
  }

  /** D5. Resolves also when the call is given up: nothing is sent then. */
  async #writeDown({ entry, command }: Life, basis: Basis, signal: AbortSignal): Promise<void> {
    if (entry?.kind !== 'in_flight') throw new TypeError('A call without its entry');
    const { promise, resolve } = Promise.withResolvers<void>();
    const change = { identity: command.identity, entry: { ...entry, sendable: true, basis } };
    this.#partition.outbox.stage({ change, afterwards: resolve, isUrgent: true });
    await Promise.race([promise, aborted(signal)]);
  }

  #note(atWork: AtWork, { basis, atMs, creates }: NonNullable<Called['wrote']>): void {
    atWork.basis = basis;
    if (creates) this.#creates.used(atWork.work, atWork.ticket);
    atWork.sent = { firstSentAtMs: atWork.sent.firstSentAtMs ?? atMs, lastSentAtMs: atMs };
  }

  #clientOf({ connection }: CommandWork): KustomerClient | CodedError {
    try {
      return this.#partition.shared.connections.client(connection);
    } catch (error) {
      if (error instanceof CodedError) return error;
      throw error;
    }
  }
}
