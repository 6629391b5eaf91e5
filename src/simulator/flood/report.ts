/** What a flood came to. Numbers only; `formatFloodReport` makes them readable. */
export type FloodOutcome = 'complete' | 'deadline' | 'aborted';

export interface FloodReport {
  readonly outcome: FloodOutcome;
  readonly seed: string;
  /** Sends there should have been: changes and re-deliveries. */
  readonly planned: number;
  readonly changes: number;
  /** Sends with a final outcome, and those whose outcome is 2xx. */
  readonly sent: number;
  readonly accepted: number;
  readonly notAccepted: number;
  /** Planned sends that were never begun. */
  readonly notSent: number;
  readonly duplicatesSent: number;
  /** First deliveries that went out after a later revision of their object. */
  readonly overtaken: number;
  /** Changes accepted by at least one delivery, and the envelopes these must lead to. */
  readonly distinctAccepted: number;
  readonly expectedEnvelopes: number;
  readonly attempts: number;
  readonly retries: number;
  /** Answers of all attempts by status; '0' = none. */
  readonly byStatus: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
  readonly startedAtMs: number;
  readonly elapsedMs: number;
  readonly wantedRate: number;
  readonly acceptedPerSecond: number;
  readonly bodyBytes: number;
  readonly late: LateReport;
  /** Accepted sends, from the scheduled time to the 2xx. Flat out from the time of sending. */
  readonly latencyMs: LatencyReport;
  /** Processor time of this process per send: what the generator itself costs. */
  readonly cpuUsPerSend: number;
}

export interface LateReport {
  /** Sends written more than `afterMs` after their scheduled time. */
  readonly count: number;
  readonly afterMs: number;
  /** Over all sends. */
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface LatencyReport {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  readonly mean: number;
}

export interface FloodProgress {
  readonly elapsedMs: number;
  readonly planned: number;
  readonly sent: number;
  readonly accepted: number;
  readonly notAccepted: number;
  readonly retries: number;
  readonly inFlight: number;
  readonly late: number;
  /** Final outcomes a second over the last second. */
  readonly ratePerSecond: number;
  /** Null while the rate is 0. */
  readonly etaMs: number | null;
}

/** A few lines for a person. */
export function formatFloodReport(report: FloodReport): string {
  const { latencyMs: latency, late } = report;
  const rate = report.wantedRate === 0 ? 'flat out' : `${whole(report.wantedRate)}/s wanted`;
  const lines = [
    `flood ${report.outcome}: seed ${report.seed}, ${whole(report.changes)} changes, ${whole(report.planned)} sends`,
    `  accepted  ${whole(report.accepted)} of ${whole(report.sent)} sent in ${(report.elapsedMs / 1000).toFixed(1)} s = ${whole(report.acceptedPerSecond)}/s (${rate})`,
    `  changes   ${whole(report.distinctAccepted)} accepted, ${whole(report.duplicatesSent)} delivered twice, ${whole(report.overtaken)} overtaken; ${whole(report.expectedEnvelopes)} envelopes expected`,
    `  latency   p50 ${ms(latency.p50)}  p90 ${ms(latency.p90)}  p99 ${ms(latency.p99)}  p99.9 ${ms(latency.p999)}  max ${ms(latency.max)}`,
  ];
  if (report.wantedRate > 0) {
    lines.push(
      `  schedule  ${whole(late.count)} sends more than ${late.afterMs} ms late; lateness p99 ${ms(late.p99Ms)}, max ${ms(late.maxMs)}`,
    );
  }
  if (report.retries > 0) lines.push(`  retries   ${whole(report.retries)}; answers ${counts(report.byStatus)}`);
  if (Object.keys(report.errors).length > 0) lines.push(`  errors    ${counts(report.errors)}`);
  if (report.notAccepted > 0)
    lines.push(`  NOT ACCEPTED ${whole(report.notAccepted)} sends; answers ${counts(report.byStatus)}`);
  if (report.notSent > 0) lines.push(`  NOT SENT  ${whole(report.notSent)} sends`);
  return lines.join('\n');
}

/** One line for a terminal. */
export function formatFloodProgress(progress: FloodProgress): string {
  const eta = progress.etaMs === null ? '?' : `${Math.ceil(progress.etaMs / 1000)} s`;
  return (
    `${whole(progress.sent)}/${whole(progress.planned)} sent, ${whole(progress.accepted)} accepted, ` +
    `${whole(progress.ratePerSecond)}/s, ${whole(progress.notAccepted)} refused, ${whole(progress.retries)} retries, ` +
    `${whole(progress.late)} late, ${eta} left`
  );
}

function counts(byName: Readonly<Record<string, number>>): string {
  return Object.entries(byName)
    .map(([name, count]) => `${name === '0' ? 'none' : name}×${whole(count)}`)
    .join(' ');
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(1) : whole(value)} ms`;
}
