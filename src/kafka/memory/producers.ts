/** The two producers of the in-memory log. Both do one thing at a time, as the port asks of their callers. */
import { CodedError } from '../../base/errors.ts';
import type { Append, LogProducer, Transaction, TransactionalOptions, TransactionalProducer } from '../port.ts';
import type { MemoryBroker } from './broker.ts';
import type { ClientProcess } from './client-process.ts';
import type { Holder } from './transactions.ts';

export class MemoryProducer implements LogProducer {
  readonly #broker: MemoryBroker;
  readonly #process: ClientProcess;
  readonly #onClosed: () => void;
  #busy = false;
  #closed = false;

  constructor(broker: MemoryBroker, process: ClientProcess, onClosed: () => void) {
    this.#broker = broker;
    this.#process = process;
    this.#onClosed = onClosed;
  }

  async append(records: readonly Append[]): Promise<void> {
    if (this.#closed) throw new CodedError('shutting_down', 'the producer is closed');
    if (this.#busy) throw new Error('append was called again before it settled');
    this.#busy = true;
    try {
      await this.#broker.travel();
      await this.#process.pass();
      this.#broker.admit('append');
      this.#broker.append(records);
      await this.#broker.travel();
      await this.#process.pass();
    } finally {
      this.#busy = false;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#onClosed();
  }
}

/**
 * X1 A commit settles exactly once; after a rejection the producer is spent and rejects everything.
 * X2 It resolves only if every record and offset is readable; `log_unavailable` and `fenced` only if none ever will be.
 */
export class MemoryTransactionalProducer implements TransactionalProducer {
  readonly #broker: MemoryBroker;
  readonly #process: ClientProcess;
  readonly #holder: Holder;
  readonly #onClosed: () => void;
  #state: 'idle' | 'busy' | 'spent' = 'idle';

  constructor(broker: MemoryBroker, process: ClientProcess, options: TransactionalOptions, onClosed: () => void) {
    this.#broker = broker;
    this.#process = process;
    this.#onClosed = onClosed;
    this.#holder = broker.transactions.open(options);
  }

  async commit(transaction: Transaction): Promise<void> {
    if (this.#state === 'busy') throw new Error('commit was called again before it settled');
    if (this.#state === 'spent') throw new CodedError('log_unavailable', 'this transactional producer is spent'); // X1
    this.#state = 'busy';
    try {
      await this.#commit(transaction);
      this.#state = 'idle';
    } catch (error) {
      this.#state = 'spent';
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#onClosed();
    this.#state = 'spent';
  }

  async #commit({ appends, offsets }: Transaction): Promise<void> {
    const { transactions, topics, clock, faults } = this.#broker;
    await this.#cross();
    this.#broker.admit('commit');
    const placed = topics.place(appends, clock.nowMs());
    transactions.begin(this.#holder);
    transactions.write(this.#holder, placed);
    if (offsets !== undefined) transactions.writeOffsets(this.#holder, offsets.groupId, offsets.offsets);

    const fault = faults.takeCommitFault(this.#holder.transactionalId);
    if (fault?.kind === 'hold') {
      fault.reached();
      await fault.released;
    }
    await this.#cross();
    // The end was sent and nobody answered: the client cannot know, and the transaction is left as it is.
    if (!this.#broker.isUp) throw this.#unknown();
    if (fault?.kind === 'unknown' && fault.outcome === 'lost') throw this.#unknown();
    transactions.end(this.#holder, 'commit');
    await this.#cross();
    if (fault?.kind === 'unknown' || !this.#broker.isUp) throw this.#unknown();
  }

  /** One way over the wire, for as long as this process runs. */
  async #cross(): Promise<void> {
    await this.#broker.travel();
    await this.#process.pass();
  }

  #unknown(): CodedError {
    return new CodedError('commit_unknown', 'the outcome of the commit is unknown', {
      transactionalId: this.#holder.transactionalId,
    });
  }
}
