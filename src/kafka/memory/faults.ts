/** What tests can break in the in-memory broker. Every fault is used once, by the first operation it fits. */
export type Operation = 'append' | 'commit' | 'open' | 'admin';

/** A commit that stands still, its records written and its transaction open, until released. */
export interface HeldCommit {
  /** True once a commit stands here. */
  readonly reached: boolean;
  release(): void;
}

export interface MemoryFaults {
  /**
   * The next commit (of that transactional.id) rejects with `commit_unknown`. With `committed` it has happened; with
   * `lost` the broker never heard of its end: the transaction stays open until it is fenced or times out.
   */
  commitUnknown(outcome: 'committed' | 'lost', transactionalId?: string): void;
  /** The next operations of that kind reject with `log_unavailable` and do nothing. */
  unavailable(operation: Operation, times?: number): void;
  holdCommit(transactionalId?: string): HeldCommit;
  /** Nothing is answered, delivered or expired until `up`. */
  down(): void;
  up(): void;
}

export type CommitFault =
  | { readonly kind: 'unknown'; readonly outcome: 'committed' | 'lost' }
  | { readonly kind: 'hold'; reached(): void; readonly released: Promise<void> };

interface CommitRule {
  readonly transactionalId: string | undefined;
  readonly fault: CommitFault;
}

export class FaultPlan {
  readonly #commits: CommitRule[] = [];
  readonly #unavailable = new Map<Operation, number>();

  commitUnknown(outcome: 'committed' | 'lost', transactionalId?: string): void {
    this.#commits.push({ transactionalId, fault: { kind: 'unknown', outcome } });
  }

  unavailable(operation: Operation, times = 1): void {
    this.#unavailable.set(operation, (this.#unavailable.get(operation) ?? 0) + times);
  }

  holdCommit(transactionalId?: string): HeldCommit {
    const { promise, resolve } = Promise.withResolvers<void>();
    let isReached = false;
    const reached = () => {
      isReached = true;
    };
    this.#commits.push({ transactionalId, fault: { kind: 'hold', reached, released: promise } });
    return {
      get reached() {
        return isReached;
      },
      release: resolve,
    };
  }

  takeCommitFault(transactionalId: string): CommitFault | undefined {
    const at = this.#commits.findIndex(
      (rule) => rule.transactionalId === undefined || rule.transactionalId === transactionalId,
    );
    return at < 0 ? undefined : this.#commits.splice(at, 1)[0]?.fault;
  }

  /** True when this operation is to fail. */
  takeUnavailable(operation: Operation): boolean {
    const left = this.#unavailable.get(operation) ?? 0;
    if (left > 0) this.#unavailable.set(operation, left - 1);
    return left > 0;
  }
}
