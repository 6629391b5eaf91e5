/**
 * What was published, held against the truth. Pure.
 *
 * A change may be absent only where nobody could know of it: its webhook never arrived, and a later change of the same
 * attribute (for a customer: any) came before a poll was shown a copy with it. Everything else is there exactly once, with
 * the content of the copy it was seen in.
 */
import { identityOf, type TrueChange } from './change.ts';
import { trueChanges } from './changes.ts';
import { contentProblems, knownStatus } from './content.ts';
import type { History } from './history.ts';

/** One envelope as a consumer has it. */
export interface Published {
  readonly eventId: string;
  readonly eventType: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly partition: number;
  readonly offset: number;
}

/** What reached the connector. */
export interface Visibility {
  /** The webhook of this revision was answered with 2xx. */
  delivered(resourceType: string, resourceId: string, rev: number): boolean;
  /** A poll was shown a copy from `fromRev` to before `untilRev` (null = any later one). */
  sighted(resourceType: string, resourceId: string, fromRev: number, untilRev: number | null): boolean;
}

export interface CompareOptions {
  /** Nothing older may be published. */
  readonly sinceMs: number;
  /** What came later than this may be missing still. */
  readonly settledMs: number;
}

export type DefectKind = 'missing' | 'doubled' | 'invented' | 'wrong_content' | 'out_of_order';

export interface TruthDefect {
  readonly kind: DefectKind;
  readonly eventType: string;
  readonly resource: string;
  readonly text: string;
}

export interface TypeCounts {
  /** Changes there were. */
  readonly changes: number;
  readonly published: number;
  /** Absent because nobody could know of them. */
  readonly collapsed: number;
}

export interface Comparison {
  readonly defects: readonly TruthDefect[];
  /** By event type. */
  readonly counts: Readonly<Record<string, TypeCounts>>;
}

export function compareWithTruth(
  published: readonly Published[],
  history: History,
  visibility: Visibility,
  { sinceMs, settledMs }: CompareOptions,
): Comparison {
  const changes = trueChanges(history, sinceMs);
  const known = new Map(changes.map((change) => [keyOf(change.eventType, change.identity), change]));
  const defects: TruthDefect[] = [];
  const first = new Map<TrueChange, Published>();
  for (const envelope of published) {
    const change = known.get(keyOf(envelope.eventType, identified(envelope)));
    const before = change === undefined ? undefined : first.get(change);
    if (change === undefined) defects.push(defectOf('invented', envelope, `no such change: ${shown(envelope)}`));
    else if (before !== undefined) {
      defects.push(defectOf('doubled', envelope, `${change.identity}: ${shown(before)} and ${shown(envelope)}`));
    } else first.set(change, envelope);
  }
  const context = { history, first, changesOf: Map.groupBy(changes, ({ resourceId }) => resourceId) };
  for (const [change, envelope] of first) {
    const problems = contentProblems(change, envelope, history, () => knownStatus(change, envelope, context));
    if (problems.length > 0) defects.push(defectOf('wrong_content', envelope, problems.join('; ')));
  }
  defects.push(...outOfOrder(published), ...reusedIds(published));
  const absent = changes.filter((change) => !first.has(change));
  const missing = absent.filter((change) => change.atMs <= settledMs && mustBeThere(change, visibility));
  for (const change of missing) {
    const { eventType, identity, rev, untilRev } = change;
    const resource = `${change.resourceType}:${change.resourceId}`;
    const span =
      rev === null ? 'never shown' : `revision ${rev} to ${untilRev === null ? 'now' : `before ${untilRev}`}`;
    defects.push({ kind: 'missing', eventType, resource, text: `${identity} (${span}; ${why(change, visibility)})` });
  }
  return { defects, counts: countsOf(changes, first, new Set(missing), settledMs) };
}

function mustBeThere(change: TrueChange, visibility: Visibility): boolean {
  const { resourceType, resourceId, rev, untilRev, told } = change;
  if (rev === null) return false;
  if (untilRev === null) return true;
  return (
    (told && visibility.delivered(resourceType, resourceId, rev)) ||
    visibility.sighted(resourceType, resourceId, rev, untilRev)
  );
}

function why(change: TrueChange, visibility: Visibility): string {
  const { resourceType, resourceId, rev, untilRev, told } = change;
  const reasons = [
    told && visibility.delivered(resourceType, resourceId, rev as number) ? 'its webhook was taken' : null,
    visibility.sighted(resourceType, resourceId, rev as number, untilRev) ? 'a poll was shown it' : null,
    untilRev === null ? 'it still stands' : null,
  ];
  return reasons.filter((reason) => reason !== null).join(', ');
}

/** In every topic the revisions of an object rise, but for what says that it is late. Creations carry any copy's. */
function outOfOrder(published: readonly Published[]): readonly TruthDefect[] {
  const highest = new Map<string, number>();
  const inOrder = [...published].sort((a, b) => a.partition - b.partition || a.offset - b.offset);
  return inOrder.flatMap((envelope) => {
    const { payload, eventType } = envelope;
    const { revision } = payload;
    if (typeof revision !== 'number' || eventType.endsWith('.created')) return [];
    const key = resourceOf(envelope);
    const before = highest.get(key) ?? 0;
    highest.set(key, Math.max(before, revision));
    if (revision >= before || payload['late'] === true) return [];
    return [
      defectOf('out_of_order', envelope, `revision ${revision} after ${before}, and not late: ${shown(envelope)}`),
    ];
  });
}

/** The identity of an event must not stand for two. What is there twice altogether is reported as doubled. */
function reusedIds(published: readonly Published[]): readonly TruthDefect[] {
  const byId = Map.groupBy(published, ({ eventId }) => eventId);
  return [...byId.values()].flatMap(([one, ...others]) => {
    if (one === undefined) return [];
    const different = others.filter(
      (other) => identified(other) !== identified(one) || other.eventType !== one.eventType,
    );
    return different.map((other) =>
      defectOf('wrong_content', other, `event_id ${one.eventId} is also that of ${shown(one)}`),
    );
  });
}

function countsOf(
  changes: readonly TrueChange[],
  first: ReadonlyMap<TrueChange, Published>,
  missing: ReadonlySet<TrueChange>,
  settledMs: number,
): Readonly<Record<string, TypeCounts>> {
  const counts: Record<string, TypeCounts> = {};
  for (const change of changes) {
    const { eventType, atMs } = change;
    const before = counts[eventType] ?? { changes: 0, published: 0, collapsed: 0 };
    const isThere = first.has(change);
    counts[eventType] = {
      changes: before.changes + 1,
      published: before.published + (isThere ? 1 : 0),
      collapsed: before.collapsed + (!isThere && !missing.has(change) && atMs <= settledMs ? 1 : 0),
    };
  }
  return counts;
}

/** For people: what there was by type, and up to `max` defects. */
export function formatComparison({ defects, counts }: Comparison, max = 20): string {
  const lines = Object.entries(counts)
    .sort()
    .map(([type, { changes, published, collapsed }]) => {
      return `${type}: ${changes} changes, ${published} published, ${collapsed} collapsed`;
    });
  const kinds = Map.groupBy(defects, ({ kind }) => kind);
  const totals = [...kinds].map(([kind, of]) => `${of.length} ${kind}`).join(', ');
  lines.push(defects.length === 0 ? 'no defects' : `defects: ${totals}`);
  for (const { kind, eventType, resource, text } of defects.slice(0, max)) {
    lines.push(`  ${kind} ${eventType} of ${resource}: ${text}`);
  }
  if (defects.length > max) lines.push(`  … and ${defects.length - max} more`);
  return lines.join('\n');
}

function keyOf(eventType: string, identity: string | null): string {
  return `${eventType} ${identity}`;
}

function identified({ eventType, payload }: Published): string | null {
  return identityOf(eventType, payload);
}

function resourceOf({ payload }: Published): string {
  return `${payload['resource_type']}:${payload['resource_id']}`;
}

function defectOf(kind: DefectKind, envelope: Published, text: string): TruthDefect {
  return { kind, eventType: envelope.eventType, resource: resourceOf(envelope), text };
}

function shown({ eventType, payload, partition, offset }: Published): string {
  const about = ['revision', 'occurred_at', 'observed_via', 'late', 'status', 'previous_status', 'metric', 'breach_at']
    .filter((name) => payload[name] !== undefined)
    .map((name) => `${name}=${JSON.stringify(payload[name])}`);
  return `${eventType} at ${partition}@${offset} (${about.join(' ')})`;
}
