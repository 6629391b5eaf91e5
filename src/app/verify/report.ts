/** What verify found, as data and as the text a person reads. */
import type { AccountReport } from './account.ts';
import { DEFECTS, type DefectKind, SAMPLES_PER_KIND } from './defects.ts';

export interface LatencySummary {
  readonly measured: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface VerifyReport {
  readonly manifest: { readonly path: string; readonly footer: boolean; readonly torn: boolean };
  readonly reader: { readonly name: string; readonly client: string; readonly endIsProven: boolean };
  /** Schemas that came from the registry, and how often the committed file stood in for it. */
  readonly schemas: { readonly registry: number; readonly file: number };
  /** Every expected envelope was seen, and every topic was read to its end after that. */
  readonly complete: boolean;
  readonly stoppedBecause: string;
  readonly elapsedMs: number;
  readonly counts: AccountReport['counts'];
  readonly byType: AccountReport['byType'];
  readonly defects: AccountReport['defects'];
  readonly defectTotal: number;
  readonly samples: AccountReport['samples'];
  /** Null when nothing was watched as it became visible: a record's timestamp says when it was written, not seen. */
  readonly latency: LatencySummary | null;
  readonly ok: boolean;
}

/** Of ascending values; null for none. The smallest value that a share of them does not exceed. */
export function latencySummary(sortedMs: Float64Array): LatencySummary | null {
  if (sortedMs.length === 0) return null;
  const at = (share: number) => sortedMs[Math.max(0, Math.ceil(share * sortedMs.length) - 1)] as number;
  return { measured: sortedMs.length, p50Ms: at(0.5), p90Ms: at(0.9), p99Ms: at(0.99), maxMs: at(1) };
}

/** 0 = every line is accounted for, 1 = it is not. */
export function verifyExitCode(report: VerifyReport): 0 | 1 {
  return report.ok ? 0 : 1;
}

const count = new Intl.NumberFormat('en-US').format;

export function formatVerifyReport(report: VerifyReport): string {
  const { counts, latency, reader } = report;
  const lines = [
    `manifest   ${report.manifest.path}: ${count(counts.sent)} sent, ${count(counts.changes)} changes, ` +
      `${count(counts.accepted)} accepted, ${count(counts.notAccepted)} not${manifestRemark(report)}`,
    `read with  ${reader.client}${reader.endIsProven ? '' : ' — NOT independent; ends of partitions inferred'}` +
      `${report.schemas.file > 0 ? '; schema from the committed file, the registry did not give it' : ''}`,
    `envelopes  ${count(counts.seen)} of ${count(counts.expected)} expected, ${count(counts.envelopes)} read` +
      `${remark(counts.foreign, 'of other connections')}${remark(counts.earlier, 'from before the flood')}` +
      `${remark(counts.deadLetters, 'dead letters')}`,
    ...Object.entries(report.byType).map(([type, number]) => `  ${count(number).padStart(9)} ${type}`),
    `latency    ${latency === null ? 'not measured (read after the fact; use --follow beside the flood)' : latencyText(latency)}`,
  ];
  for (const kind of Object.keys(DEFECTS) as DefectKind[]) {
    const found = report.defects[kind];
    if (found === 0) continue;
    lines.push('', `${kind.toUpperCase()} ${count(found)}: ${DEFECTS[kind]}`);
    for (const sample of report.samples.filter((one) => one.kind === kind))
      lines.push(`  ${sample.subject}${sample.where === null ? '' : ` at ${sample.where}`}: ${sample.detail}`);
    if (found > SAMPLES_PER_KIND) lines.push(`  … and ${count(found - SAMPLES_PER_KIND)} more`);
  }
  if (!report.complete) lines.push('', `NOT COMPLETE: ${report.stoppedBecause}`);
  lines.push('', verdict(report));
  return lines.join('\n');
}

function verdict(report: VerifyReport): string {
  const { missing, doubled } = report.defects;
  const result = report.ok ? 'ok' : 'FAILED';
  const numbers = `accepted=${report.counts.accepted} envelopes=${report.counts.seen} lost=${missing} doubled=${doubled}`;
  return `verify ${result}: ${numbers} defects=${report.defectTotal} in ${(report.elapsedMs / 1000).toFixed(1)} s`;
}

function latencyText(latency: LatencySummary): string {
  const ms = (value: number) => `${Math.round(value)} ms`;
  const { measured, p50Ms, p90Ms, p99Ms, maxMs } = latency;
  return `accepted → visible p50 ${ms(p50Ms)}, p90 ${ms(p90Ms)}, p99 ${ms(p99Ms)}, max ${ms(maxMs)} (${count(measured)} measured)`;
}

function manifestRemark({ manifest }: VerifyReport): string {
  if (manifest.footer) return '';
  return manifest.torn ? ' (the flood was cut off in the middle of a line)' : ' (no footer: the flood was cut off)';
}

function remark(number: number, what: string): string {
  return number === 0 ? '' : `, ${count(number)} ${what}`;
}
