/** Counts what happens to deliveries and warns about it, each kind of trouble at most once per interval. */
import { createAlarmGate } from './alarm-gate.ts';
import { createCounters, type ReceiverCounters } from './counters.ts';
import type { ReceiverLogger } from './ports.ts';
import type { Acceptance, Refusal } from './webhook-decision.ts';

/** Beyond this many kinds of trouble at once, the oldest may warn early. */
const MAX_ALARM_KINDS = 10_000;

export interface Tally {
  readonly counters: ReceiverCounters;
  accepted(acceptance: Acceptance, connectionId: string, bytes: number): void;
  /** `connectionId`: only one that exists, since what a stranger puts into the path must not reach log or memory. */
  refused(refusal: Refusal, connectionId: string | null, requestId: string): void;
  appendFailed(error: unknown, connectionId: string): void;
  abandoned(): void;
}

export interface TallyOptions {
  readonly logger: ReceiverLogger;
  readonly nowMs: () => number;
  readonly alarmIntervalMs: number;
}

export function createTally({ logger, nowMs, alarmIntervalMs }: TallyOptions): Tally {
  const counters = createCounters();
  const alarms = createAlarmGate({ intervalMs: alarmIntervalMs, maxKinds: MAX_ALARM_KINDS });

  return {
    counters,
    accepted({ eventName, knownName, malformed }, connectionId, bytes) {
      counters.accepted += 1;
      counters.acceptedBytes += bytes;
      counters.lastAcceptedAtMs.set(connectionId, nowMs());
      if (malformed) counters.malformed += 1;
      else if (knownName !== null) counters.acceptedByEvent[knownName] += 1;
      else {
        counters.unknownEvents += 1;
        const occurrences = alarms.note(`event_unknown ${connectionId}`, nowMs());
        if (occurrences === 0) return;
        const name = eventName?.slice(0, 100) ?? null;
        logger.info(
          { event: 'webhook.event_unknown', connectionId, name, occurrences },
          'kept an event we do not know',
        );
      }
    },
    refused({ status, code, message }, connectionId, requestId) {
      counters.refusedByCode[code] = (counters.refusedByCode[code] ?? 0) + 1;
      if (code === 'shutting_down') return;
      const occurrences = alarms.note(`${code} ${connectionId}`, nowMs());
      if (occurrences === 0) return;
      logger.warn({ event: 'webhook.refused', status, code, connectionId, requestId, occurrences }, message);
    },
    appendFailed(error, connectionId) {
      const occurrences = alarms.note('append_failed', nowMs());
      if (occurrences === 0) return;
      logger.error(
        { event: 'webhook.append_failed', err: error, connectionId, occurrences },
        'a delivery was not stored',
      );
    },
    abandoned() {
      counters.abandoned += 1;
    },
  };
}
