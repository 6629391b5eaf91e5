import type { ErrorCode } from '../base/errors.ts';
import { EVENT_NAMES, type EventName } from '../kustomer/event-names.ts';

/** What the receiver has done since it started. Plain numbers: metrics read them, the hot path only adds. */
export interface ReceiverCounters {
  /** Acknowledged by the log in time, so answered 2xx. */
  accepted: number;
  acceptedBytes: number;
  /** Accepted although the body is not a JSON object; the processor dead-letters them. */
  malformed: number;
  /** Accepted under a name that is not among the twelve. */
  unknownEvents: number;
  /** Gone before the whole body had arrived. */
  abandoned: number;
  /** Accepted, by event name; the known names only, so that a sender cannot grow the map. */
  readonly acceptedByEvent: Record<EventName, number>;
  /** When the last delivery of each connection was accepted; of connections that exist, so bounded by them. */
  readonly lastAcceptedAtMs: Map<string, number>;
  readonly refusedByCode: Partial<Record<ErrorCode, number>>;
}

export function createCounters(): ReceiverCounters {
  return {
    accepted: 0,
    acceptedBytes: 0,
    malformed: 0,
    unknownEvents: 0,
    abandoned: 0,
    acceptedByEvent: Object.fromEntries(EVENT_NAMES.map((name) => [name, 0])) as Record<EventName, number>,
    lastAcceptedAtMs: new Map(),
    refusedByCode: {},
  };
}
