/** A full ledger is told, and looked through for what may be forgotten until there is room: nothing else would wake us. */
import type { Partition } from './partition.ts';

const RETRY_MS = 1000;
const LOOKS = 5000;

export class FullLedger {
  readonly #partition: Partition;
  #isTold = false;
  #isLooking = false;
  #fullLooks = 0;

  constructor(partition: Partition) {
    this.#partition = partition;
  }

  note(isFull: boolean): void {
    if (!isFull) {
      this.clear();
      return;
    }
    if (this.#isLooking) return;
    this.#isLooking = true;
    // What is at work takes more than what has ended, so a full moment is no news.
    if (++this.#fullLooks > 1) this.#tell(true);
    const { outbox, shared, ending, changed } = this.#partition;
    outbox.stage({ looks: LOOKS });
    void shared.clock.sleep(RETRY_MS, ending).then(() => {
      this.#isLooking = false;
      changed.wake();
    });
  }

  /** There is room, or it stands in nobody's way here any more. */
  clear(): void {
    this.#fullLooks = 0;
    this.#tell(false);
  }

  #tell(isFull: boolean): void {
    if (isFull === this.#isTold) return;
    this.#isTold = isFull;
    const { shared, owned } = this.#partition;
    shared.observer.full?.(owned.partition, isFull);
  }
}
