/**
 * The truth about writes: every one that was applied, in the order of its taking effect, whatever its caller was told; and
 * how many were under way at the same time for one conversation, or one named message. Bounded: the oldest are forgotten.
 */

/** Who a write is about, as far as its address and body tell. */
export interface WriteSubject {
  /** The conversation, `message:<external id>`, or `customer:<id>` for what makes a new conversation; null for the rest. */
  readonly lane: string | null;
  /** `POST /v1/conversations/:id/notes` */
  readonly operation: string;
}

export interface AppliedWrite {
  readonly sequence: number;
  readonly atMs: number;
  readonly operation: string;
  readonly lane: string | null;
  /** Of the object that was made or changed. */
  readonly objectType: string | null;
  readonly objectId: string | null;
  /** Conversation the object belongs to, or is. */
  readonly conversationId: string | null;
  readonly externalId: string | null;
  /** After the write; null for objects without. */
  readonly rev: number | null;
  /** As it came. */
  readonly body: unknown;
  /** Took effect only after its caller had lost it. */
  readonly late: boolean;
  /** What goes wrong with the answer; null when the caller was told. */
  readonly fault: string | null;
}

/** One write from its arrival to its end. */
export interface OpenWrite {
  readonly subject: WriteSubject;
  /** Writes of the same lane that were under way when it came. */
  readonly beside: number;
  /** Ends it; again is nothing. */
  end(): void;
}

export interface Overlap {
  readonly lane: string;
  readonly operation: string;
  readonly atMs: number;
  readonly beside: number;
}

export class WriteLog {
  readonly #maxEntries: number;
  readonly #open = new Map<string, number>();
  #applied: AppliedWrite[] = [];
  #overlaps: Overlap[] = [];
  #sequence = 0;
  #overlapCount = 0;

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  /** Applied in all, forgotten ones included. */
  get count(): number {
    return this.#sequence;
  }

  /** How often a write came while another of its lane was under way. */
  get overlapCount(): number {
    return this.#overlapCount;
  }

  get underWay(): number {
    return [...this.#open.values()].reduce((sum, count) => sum + count, 0);
  }

  /** The first of them, oldest first. */
  get overlaps(): readonly Overlap[] {
    return this.#overlaps;
  }

  arrive(subject: WriteSubject, atMs: number): OpenWrite {
    const { lane, operation } = subject;
    if (lane === null) return { subject, beside: 0, end: () => {} };
    const beside = this.#open.get(lane) ?? 0;
    this.#open.set(lane, beside + 1);
    if (beside > 0) {
      this.#overlapCount += 1;
      if (this.#overlaps.length < MAX_OVERLAPS) this.#overlaps.push({ lane, operation, atMs, beside });
    }
    let isOpen = true;
    const end = (): void => {
      if (!isOpen) return;
      isOpen = false;
      const left = (this.#open.get(lane) as number) - 1;
      if (left === 0) this.#open.delete(lane);
      else this.#open.set(lane, left);
    };
    return { subject, beside, end };
  }

  add(write: Omit<AppliedWrite, 'sequence'>): void {
    this.#applied.push({ sequence: this.#sequence, ...write });
    this.#sequence += 1;
    if (this.#applied.length > 2 * this.#maxEntries) this.#applied = this.#applied.slice(-this.#maxEntries);
  }

  /** In the order in which they took effect; those of one conversation, or all. */
  list({ conversationId }: { readonly conversationId?: string | undefined } = {}): readonly AppliedWrite[] {
    const kept = this.#applied.slice(-this.#maxEntries);
    return conversationId === undefined ? kept : kept.filter((write) => write.conversationId === conversationId);
  }
}

const MAX_OVERLAPS = 1000;
