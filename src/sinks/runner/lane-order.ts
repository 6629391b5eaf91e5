/**
 * What the order of a lane says of calls, so that not all that was prepared ahead of its turn must be read back by the next
 * owner, one after another: of those only the first ones were sent, and where they end can be known.
 *
 * O1 a command is called when each end before it in its lane is durable, or says what Kustomer itself confirmed: it was done
 * O2 so where a call of an owner that is gone surely did not happen, and its end is not durable, that owner sent nothing behind
 *    it: all of that owner's that is in flight there is known to be unsent
 * O3 O2 is believed of the very record that an entry is about, and of one owner only. Who reads a partition again from an
 *    earlier place meets its commands in another order than they were sent in
 */
import type { InFlight } from '../ledger/entry.ts';
import type { ReceiptFacts } from '../lifecycle/events.ts';
import type { Life } from '../lifecycle/life.ts';

export class LaneOrder {
  /** The last end in the lane, which is not durable. */
  readonly #unwritten = new Map<string, PromiseWithResolvers<void>>();
  /** Epochs of owners whose entries in the lane are known to be unsent. */
  readonly #unsent = new Map<string, Set<number>>();

  /** An end in the lane that may be forgotten with its owner. Returns what is to be told when it is durable. */
  ended(lane: string): () => void {
    const end = Promise.withResolvers<void>();
    this.#unwritten.set(lane, end);
    return () => {
      if (this.#unwritten.get(lane) === end) this.#unwritten.delete(lane);
      end.resolve();
    };
  }

  /** O1: what the next call of the lane waits for; undefined when there is nothing. */
  unwritten(lane: string): Promise<void> | undefined {
    return this.#unwritten.get(lane)?.promise;
  }

  /** O2. To be told of a command that has its turn, after each of its steps. */
  learn(lane: string, { command, entry, epoch, proof, isAhead }: Life, receiptId: string): void {
    const isProved = !isAhead && proof === 'absent' && entry?.kind === 'in_flight' && entry.epoch < epoch;
    if (!isProved || entry.receiptId !== receiptId || command.approvedBy !== null) return;
    const epochs = this.#unsent.get(lane);
    if (epochs === undefined) this.#unsent.set(lane, new Set([entry.epoch]));
    else epochs.add(entry.epoch);
  }

  /** O3: of the entry that a record of the lane finds. */
  isUnsent(lane: string, entry: InFlight, receiptId: string): boolean {
    return entry.receiptId === receiptId && this.#unsent.get(lane)?.has(entry.epoch) === true;
  }
}

/** O1: the next owner finds it at Kustomer. What was so already, or was found by reading, might not be there again. */
export function isConfirmed(receipt: Pick<ReceiptFacts, 'outcome' | 'unchanged' | 'reconciled'> | null): boolean {
  return receipt?.outcome === 'applied' && !receipt.unchanged && !receipt.reconciled;
}
