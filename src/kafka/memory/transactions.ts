/**
 * The transaction coordinator of the in-memory broker.
 *
 * T1 A transactional.id has at most one holder, and a holder at most one open transaction.
 * T2 Opening makes every earlier holder of the id a zombie and aborts its open transaction before it returns.
 * T3 A zombie can neither write nor end a transaction: everything it asks for throws `fenced`.
 * T4 A transaction's records and offsets become readable together, when it ends in a commit, or never.
 * T5 A transaction open for longer than its timeout is aborted and its holder becomes a zombie.
 */
import { CodedError } from '../../base/errors.ts';
import type { Clock, CommitOffset, TransactionalOptions } from '../port.ts';
import type { GroupOffsets } from './group-offsets.ts';
import type { Partition } from './partition.ts';
import type { Placed } from './topic-store.ts';

/** Who owns a transactional.id; identity stands for Kafka's producer epoch. */
export interface Holder {
  readonly transactionalId: string;
  readonly timeoutMs: number;
  open: OpenTransaction | null;
}

interface OpenTransaction {
  readonly touched: Set<Partition>;
  readonly offsets: { readonly groupId: string; readonly offsets: readonly CommitOffset[] }[];
  readonly ended: AbortController;
}

export class TransactionCoordinator {
  readonly #clock: Clock;
  readonly #offsets: GroupOffsets;
  readonly #holders = new Map<string, Holder>();

  constructor(clock: Clock, offsets: GroupOffsets) {
    this.#clock = clock;
    this.#offsets = offsets;
  }

  /** T2 */
  open({ transactionalId, transactionTimeoutMs }: TransactionalOptions): Holder {
    const earlier = this.#holders.get(transactionalId);
    const holder: Holder = { transactionalId, timeoutMs: transactionTimeoutMs, open: null };
    this.#holders.set(transactionalId, holder);
    if (earlier?.open) this.#finish(earlier, 'abort');
    return holder;
  }

  begin(holder: Holder): void {
    this.#requireOwner(holder);
    if (holder.open !== null) throw new Error('a transaction is open already'); // T1
    const open: OpenTransaction = { touched: new Set(), offsets: [], ended: new AbortController() };
    holder.open = open;
    void this.#clock.sleep(holder.timeoutMs, open.ended.signal).then(() => {
      if (holder.open === open) this.#expire(holder);
    });
  }

  write(holder: Holder, records: readonly Placed[]): void {
    const open = this.#requireOpen(holder);
    for (const { log, record } of records) {
      open.touched.add(log);
      log.append(record, open);
    }
  }

  writeOffsets(holder: Holder, groupId: string, offsets: readonly CommitOffset[]): void {
    this.#requireOpen(holder).offsets.push({ groupId, offsets });
  }

  /** T4 */
  end(holder: Holder, outcome: 'commit' | 'abort'): void {
    this.#requireOpen(holder);
    this.#finish(holder, outcome);
  }

  #finish(holder: Holder, outcome: 'commit' | 'abort'): void {
    const open = holder.open as OpenTransaction;
    holder.open = null;
    open.ended.abort();
    for (const log of open.touched) log.end(open, outcome);
    if (outcome === 'commit') {
      for (const { groupId, offsets } of open.offsets) this.#offsets.commit(groupId, offsets);
    }
    for (const log of open.touched) log.wakeReaders();
  }

  /** T5 */
  #expire(holder: Holder): void {
    this.#finish(holder, 'abort');
    if (this.#holders.get(holder.transactionalId) === holder) this.#holders.delete(holder.transactionalId);
  }

  #requireOpen(holder: Holder): OpenTransaction {
    this.#requireOwner(holder);
    if (holder.open === null) throw new Error('no transaction is open');
    return holder.open;
  }

  /** T3 */
  #requireOwner(holder: Holder): void {
    if (this.#holders.get(holder.transactionalId) !== holder) {
      throw new CodedError('fenced', 'another owner has taken over this transactional.id', {
        transactionalId: holder.transactionalId,
      });
    }
  }
}
