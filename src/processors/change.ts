/** What passes between deriving, deduplicating and the making of envelopes. */
import type { EventType } from '../fibric/events/index.ts';
import type { Channel } from '../kafka/headers.ts';

/** Event types that come out of `derive`; breaches of SLAs need the time of day and come from the poller. */
export type DerivedEventType = Exclude<EventType, 'conversation.sla.breached'>;

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
  );

interface CandidateFacts {
  readonly eventType: DerivedEventType;
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

/** What a snapshot of a conversation shows, whatever it is that changed. */
export interface ObservedState {
  readonly status: string | null;
  readonly statusAtMs: number;
  readonly reopenCount: number | null;
}

/** Everything `derive` reads out of one event. */
export interface Derived {
  readonly resourceType: string;
  readonly resourceId: string;
  readonly created: boolean;
  readonly revision: number | null;
  /** Tells a delivery without a revision from others: the vendor's event id, or a digest of the content. */
  readonly token: string | null;
  readonly observed: ObservedState | null;
  readonly candidates: readonly Candidate[];
}

/** How a change was observed: what its payload says besides the facts. */
export interface Observation {
  readonly via: Channel;
  readonly late: boolean;
  readonly machineUserId: string | null;
}
