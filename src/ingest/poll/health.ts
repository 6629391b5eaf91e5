/** How each stream of each connection stands; written by the loops, read by status, readiness and metrics. */
import type { BackfillStatus } from './backfill-plan.ts';
import { type CursorScope, scopeKey } from './cursor-record.ts';
import type { StreamState } from './reaction.ts';
import type { BackfillStreamName, StreamName } from './streams.ts';

export interface StreamHealth {
  readonly state: StreamState;
  /** End of the last window read to its end, by our clock; null before the first of this process. */
  readonly lastSuccessAtMs: number | null;
  /** Everything visible before so long ago has been read; null before the first window of this process. */
  readonly lagMs: number | null;
  /** Why it is not current. */
  readonly reason: string | null;
  readonly failuresInARow: number;
}

export interface BackfillHealth {
  readonly status: BackfillStatus;
  /** What keeps a running one from reading. */
  readonly state: StreamState;
  readonly reason: string | null;
  readonly rowsDone: number;
  readonly rowsLeft: number | null;
  readonly rowsPerSecond: number | null;
}

export interface ConnectionPollHealth extends CursorScope {
  readonly streams: Readonly<Partial<Record<StreamName, StreamHealth>>>;
  readonly backfill: Readonly<Partial<Record<BackfillStreamName, BackfillHealth>>>;
}

interface Written {
  state: StreamState;
  lastSuccessAtMs: number | null;
  /** Begin of the last window read to its end. */
  readUpToMs: number | null;
  reason: string | null;
  failuresInARow: number;
}

/** One stream's page of the book. */
export class StreamNote {
  readonly #written: Written = {
    state: 'starting',
    lastSuccessAtMs: null,
    readUpToMs: null,
    reason: null,
    failuresInARow: 0,
  };

  get failuresInARow(): number {
    return this.#written.failuresInARow;
  }

  /** A page was read. `reason` where that is not all well. */
  progress(state: StreamState, reason: string | null = null): void {
    Object.assign(this.#written, { state, reason, failuresInARow: 0 });
  }

  complete(beganAtMs: number, nowMs: number): void {
    this.progress('current');
    Object.assign(this.#written, { readUpToMs: beganAtMs, lastSuccessAtMs: nowMs });
  }

  trouble(state: StreamState, reason: string): void {
    Object.assign(this.#written, { state, reason, failuresInARow: this.#written.failuresInARow + 1 });
  }

  health(nowMs: number): StreamHealth {
    const { readUpToMs, ...told } = this.#written;
    return { ...told, lagMs: readUpToMs === null ? null : Math.max(0, nowMs - readUpToMs) };
  }
}

export class BackfillNote {
  readonly stream = new StreamNote();
  progress: Omit<BackfillHealth, 'state' | 'reason'> = {
    status: 'off',
    rowsDone: 0,
    rowsLeft: null,
    rowsPerSecond: null,
  };

  health(nowMs: number): BackfillHealth {
    const { state, reason } = this.stream.health(nowMs);
    return { ...this.progress, state, reason };
  }
}

export class ConnectionNotes {
  readonly scope: CursorScope;
  readonly streams = new Map<StreamName, StreamNote>();
  readonly backfill = new Map<BackfillStreamName, BackfillNote>();

  constructor({ tenantId, connectionId }: CursorScope) {
    this.scope = { tenantId, connectionId };
  }

  health(nowMs: number): ConnectionPollHealth {
    return {
      ...this.scope,
      streams: Object.fromEntries([...this.streams].map(([name, note]) => [name, note.health(nowMs)])),
      backfill: Object.fromEntries([...this.backfill].map(([name, note]) => [name, note.health(nowMs)])),
    };
  }
}

export class PollHealthBook {
  readonly #byScope = new Map<string, ConnectionNotes>();

  open(scope: CursorScope): ConnectionNotes {
    const notes = new ConnectionNotes(scope);
    this.#byScope.set(scopeKey(scope), notes);
    return notes;
  }

  close(notes: ConnectionNotes): void {
    // Another owner's book may have opened it anew meanwhile.
    if (this.#byScope.get(scopeKey(notes.scope)) === notes) this.#byScope.delete(scopeKey(notes.scope));
  }

  health(nowMs: number): readonly ConnectionPollHealth[] {
    return [...this.#byScope.values()].map((notes) => notes.health(nowMs));
  }
}
