/** What passes between deriving, deduplicating and the making of envelopes. */
import type { EventType } from '../fibric/events/index.ts';
import type { Channel } from '../kafka/headers.ts';

/** A change that an event tells of, perhaps not for the first time. The basis says how a second sight is recognised. */
export type Candidate = CandidateFacts &
  (
    | { /** One per resource. */ readonly basis: 'created' }
    | { /** One per revision of the resource. */ readonly basis: 'revision' }
    | {
        /** By identity: a webhook and a poll of the same change may carry different revisions. */
        readonly basis: 'state';
        readonly moves: StateMove;
      }
    | {
        /** By identity alone, whichever and however many deliveries tell of it. */
        readonly basis: 'once';
        readonly breach: Breach;
      }
  );

interface CandidateFacts {
  readonly eventType: EventType;
  readonly identity: string;
  readonly occurredAt: string | null;
}

export interface StateMove {
  readonly attribute: 'status' | 'satisfaction';
  /** The status moved to; null for satisfaction. */
  readonly status: string | null;
  /** Time of the move, 0 where unknown. */
  readonly atMs: number;
}

/** A deadline of an SLA that passed. */
export interface Breach {
  readonly metric: string;
  /** As Kustomer wrote it: part of the identity. */
  readonly at: string;
  readonly atMs: number;
}

/** What a snapshot of a conversation shows, whatever it is that changed. */
export interface ObservedState {
  readonly status: string | null;
  readonly statusAtMs: number;
  readonly reopenCount: number | null;
}

/** What was known before a poll showed another status: all that such a move can be compared with. */
export interface KnownBefore {
  /** Null where unknown, and where it can only have been something else in between. */
  readonly status: string | null;
  /** Null where unknown. */
  readonly reopenCount: number | null;
  /** Revisions since then that nobody told of, without the one that made the move; null where unknown. */
  readonly missedRevisions: number | null;
}

/** Everything `derive` reads out of one event. */
export interface Derived {
  readonly resourceType: string;
  readonly resourceId: string;
  /** A webhook that tells of the creation. */
  readonly created: boolean;
  /** A snapshot that a poll took: it shows a state, not a change. */
  readonly polled: boolean;
  readonly revision: number | null;
  /** Tells a delivery without a revision from others: the vendor's event id, or a digest of the content. */
  readonly token: string | null;
  readonly observed: ObservedState | null;
  readonly candidates: readonly Candidate[];
}

/** Who observed it, and how. */
export interface Observer {
  readonly via: Channel;
  readonly machineUserId: string | null;
}

/** How a change was observed: what its payload says besides the facts. */
export interface Observation extends Observer {
  readonly late: boolean;
  /** Of a move of the status that a poll showed; null for everything else. */
  readonly known: KnownBefore | null;
}
