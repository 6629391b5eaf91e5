/** Counts of a running flood. */
import { build, type Histogram } from 'hdr-histogram-js';
import type { SendOutcome } from './manifest.ts';
import type { FloodSettings } from './options.ts';
import type { FloodOutcome, FloodProgress, FloodReport } from './report.ts';

/** A send written later than this after its scheduled time is reported as late. Timers alone may cost 2 ms. */
export const LATE_AFTER_MS = 10;

const MAX_TRACKED_US = 3_600_000_000;

export class Tally {
  sent = 0;
  accepted = 0;
  late = 0;
  #attempts = 0;
  #retries = 0;
  #duplicates = 0;
  #overtaken = 0;
  #distinctAccepted = 0;
  #expected = 0;
  #bodyBytes = 0;
  readonly #byStatus: Record<string, number> = {};
  readonly #errors: Record<string, number> = {};
  readonly #latencyUs = histogram();
  readonly #latenessUs = histogram();
  #lastProgress = { atMs: 0, sent: 0 };

  /** Attempts beyond the first of each send. */
  get retries(): number {
    return this.#retries;
  }

  /** The first attempt of a send is about to be written. */
  began(outcome: Pick<SendOutcome, 'send' | 'scheduledAtMs'>, nowMs: number): void {
    const latenessMs = Math.max(0, nowMs - outcome.scheduledAtMs);
    this.#latenessUs.recordValue(microseconds(latenessMs));
    if (latenessMs > LATE_AFTER_MS) this.late += 1;
    if (outcome.send.overtaken) this.#overtaken += 1;
  }

  attempted(attempt: number, status: number, error: string | null): void {
    this.#attempts += 1;
    if (attempt > 1) this.#retries += 1;
    this.#byStatus[status] = (this.#byStatus[status] ?? 0) + 1;
    if (error !== null) this.#errors[error] = (this.#errors[error] ?? 0) + 1;
  }

  settled(outcome: SendOutcome): void {
    const { delivery, duplicate } = outcome.send;
    this.sent += 1;
    this.#bodyBytes += delivery.body.length;
    if (duplicate) this.#duplicates += 1;
    if (outcome.status < 200 || outcome.status > 299) return;
    this.accepted += 1;
    this.#latencyUs.recordValue(microseconds((outcome.answeredAtMs as number) - outcome.scheduledAtMs));
    if (delivery.accepted) return;
    delivery.accepted = true;
    this.#distinctAccepted += 1;
    this.#expected += delivery.expect.length;
  }

  progress(planned: number, inFlight: number, elapsedMs: number): FloodProgress {
    const sinceMs = elapsedMs - this.#lastProgress.atMs;
    const ratePerSecond = sinceMs > 0 ? ((this.sent - this.#lastProgress.sent) / sinceMs) * 1000 : 0;
    this.#lastProgress = { atMs: elapsedMs, sent: this.sent };
    return {
      elapsedMs,
      planned,
      sent: this.sent,
      accepted: this.accepted,
      notAccepted: this.sent - this.accepted,
      retries: this.#retries,
      inFlight,
      late: this.late,
      ratePerSecond,
      etaMs: ratePerSecond > 0 ? ((planned - this.sent) / ratePerSecond) * 1000 : null,
    };
  }

  report(outcome: FloodOutcome, settings: FloodSettings, facts: ReportFacts): FloodReport {
    const latency = this.#latencyUs;
    const percentile = (value: number): number => latency.getValueAtPercentile(value) / 1000;
    return {
      outcome,
      seed: settings.seed,
      planned: facts.planned,
      changes: settings.count,
      sent: this.sent,
      accepted: this.accepted,
      notAccepted: this.sent - this.accepted,
      notSent: facts.planned - this.sent,
      duplicatesSent: this.#duplicates,
      overtaken: this.#overtaken,
      distinctAccepted: this.#distinctAccepted,
      expectedEnvelopes: this.#expected,
      attempts: this.#attempts,
      retries: this.#retries,
      byStatus: this.#byStatus,
      errors: this.#errors,
      startedAtMs: facts.startedAtMs,
      elapsedMs: facts.elapsedMs,
      wantedRate: settings.rate,
      acceptedPerSecond: facts.elapsedMs > 0 ? (this.accepted / facts.elapsedMs) * 1000 : 0,
      bodyBytes: this.#bodyBytes,
      late: {
        count: this.late,
        afterMs: LATE_AFTER_MS,
        p99Ms: this.#latenessUs.getValueAtPercentile(99) / 1000,
        maxMs: this.#latenessUs.maxValue / 1000,
      },
      latencyMs: {
        p50: percentile(50),
        p90: percentile(90),
        p99: percentile(99),
        p999: percentile(99.9),
        max: latency.maxValue / 1000,
        mean: this.accepted === 0 ? 0 : latency.mean / 1000,
      },
      cpuUsPerSend: this.sent === 0 ? 0 : facts.cpuUs / this.sent,
    };
  }
}

export interface ReportFacts {
  readonly planned: number;
  readonly startedAtMs: number;
  readonly elapsedMs: number;
  readonly cpuUs: number;
}

function histogram(): Histogram {
  return build({ lowestDiscernibleValue: 1, highestTrackableValue: MAX_TRACKED_US, numberOfSignificantValueDigits: 3 });
}

function microseconds(ms: number): number {
  return Math.min(MAX_TRACKED_US, Math.max(0, Math.round(ms * 1000)));
}
