/**
 * Which records of one partition are finished. Lanes finish out of order, so beside the offset that may be committed there
 * are finished records above it: they are remembered with it, or a crash would have them receipted twice.
 *
 * F1 the commit offset is that of the lowest unfinished record; nothing below it is unfinished
 * F2 a finished record is `known` when it comes again, also to the next owner, who restores `progress`
 * F3 an unfinished record is never `known`, but while it is in hand
 * F4 progress names the offset that the group has committed, in the same transaction or in an earlier one. Where they disagree it
 *    is believed of its own log only (runner/resume.ts); there it tells more than the group, which may have lost its offset or
 *    been set back. A group that was moved on is followed: what lies before is given up
 */
export interface Progress {
  /** Everything below is finished: what may be committed. */
  readonly commitOffset: number;
  /** Nothing from here on is finished. */
  readonly nextOffset: number;
  /** Ascending; the first, if any, is the commit offset. */
  readonly unfinished: readonly number[];
  /** What the group has committed when this is; it may follow behind. Absent = the commit offset. */
  readonly groupOffset?: number;
  /** The latest time of any record below `nextOffset`, which tells its log from another one. Absent = not known. */
  readonly latestMs?: number;
}

export class Offsets {
  /** Ascending; finished ones leave when they are the first. */
  #pending: { readonly offset: number; finished: boolean }[] = [];
  #head = 0;
  #nextOffset: number;
  /** Of the last owner, and not yet seen again; ascending. */
  #restored: readonly number[] = [];
  #restoredHead = 0;
  #restoredNext: number;

  /** `position`: nothing below it comes. `progress` only where it is believed (F4). */
  constructor(position: number, progress: Progress | null) {
    this.#nextOffset = position;
    this.#restoredNext = position;
    if (progress === null) return;
    this.#restored = progress.unfinished.filter((offset) => offset >= position);
    this.#restoredNext = Math.max(position, progress.nextOffset);
  }

  /** Whether a record is to be worked on. `known`: in hand already, or finished. */
  look(offset: number): 'new' | 'known' {
    if (offset < this.#nextOffset) return 'known';
    if (offset >= this.#restoredNext) return 'new';
    return this.#isRestored(offset) ? 'new' : 'known';
  }

  /** Takes a record in hand, or notes that it came by though `known`. Offsets ascend; there may be gaps. */
  see(offset: number): void {
    if (offset < this.#nextOffset) return;
    if (this.look(offset) === 'new') this.#pending.push({ offset, finished: false });
    this.#nextOffset = offset + 1;
    while ((this.#restored[this.#restoredHead] ?? Infinity) <= offset) this.#restoredHead++;
  }

  finish(offset: number): void {
    const record = this.#pending[this.#find(offset)];
    if (record?.offset !== offset) throw new RangeError(`offset ${offset} is not in hand`);
    record.finished = true;
    while (this.#pending[this.#head]?.finished) this.#head++;
    // Amortised: a slice of n after n heads have gone.
    if (this.#head * 2 > this.#pending.length) {
      this.#pending = this.#pending.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Of what has been seen, the highest, and one. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  get commitOffset(): number {
    const first = this.#pending[this.#head]?.offset ?? this.#restored[this.#restoredHead];
    return first ?? Math.max(this.#nextOffset, this.#restoredNext);
  }

  /** From the lowest unfinished record to the newest in hand. */
  get span(): number {
    return Math.max(0, this.#nextOffset - this.commitOffset);
  }

  get progress(): Progress {
    const unfinished: number[] = [];
    for (let at = this.#head; at < this.#pending.length; at++) {
      const record = this.#pending[at] as { offset: number; finished: boolean };
      if (!record.finished) unfinished.push(record.offset);
    }
    for (let at = this.#restoredHead; at < this.#restored.length; at++) unfinished.push(this.#restored[at] as number);
    return {
      commitOffset: this.commitOffset,
      nextOffset: Math.max(this.#nextOffset, this.#restoredNext),
      unfinished,
    };
  }

  #isRestored(offset: number): boolean {
    for (let at = this.#restoredHead; at < this.#restored.length; at++) {
      const unfinished = this.#restored[at] as number;
      if (unfinished >= offset) return unfinished === offset;
    }
    return false;
  }

  /** First pending at or after `offset`. */
  #find(offset: number): number {
    let low = this.#head;
    let high = this.#pending.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#pending[middle] as { offset: number }).offset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
