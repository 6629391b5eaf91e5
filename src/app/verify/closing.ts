/**
 * Closing the books: what is only certain once all has been read. Missing and unexpected envelopes, and their order (I3–I5 of
 * account.ts). Pure.
 */
import type { DefectKind } from './defects.ts';
import { place, type Resource, type Resources, type Sighting, subject } from './resource.ts';

export interface OpenBooks {
  readonly resources: Resources;
  /** Of the flood. */
  readonly tenants: ReadonlySet<string>;
  readonly connections: ReadonlySet<string>;
  readonly startedAtMs: number;
  readonly strict: boolean;
  readonly defect: (kind: DefectKind, where: string | null, about: string, detail: string) => void;
}

export interface Closed {
  readonly byType: ReadonlyMap<string, number>;
  readonly latenciesMs: readonly number[];
  readonly foreign: number;
  readonly earlier: number;
}

export function closeBooks(books: OpenBooks): Closed {
  const totals = { foreign: 0, earlier: 0 };
  const latenciesMs: number[] = [];
  const byType = new Map<string, number>();
  for (const resource of books.resources.all()) {
    reportMissing(books, resource, latenciesMs);
    reportOrder(books, resource);
    for (const sighting of resource.sightings) {
      const { verdict, eventType } = sighting;
      if (verdict === 'filled') byType.set(eventType, (byType.get(eventType) ?? 0) + 1);
      if (verdict === 'pending' || verdict === 'unexpected') reportUnexpected(books, resource, sighting, totals);
    }
  }
  return { byType, latenciesMs, ...totals };
}

function reportMissing(books: OpenBooks, resource: Resource, latenciesMs: number[]): void {
  for (const change of resource.changes.values()) {
    if (change.acceptedAtMs === null) continue;
    for (const { expectation, filledBy } of change.slots) {
      if (filledBy === null)
        books.defect('missing', null, subject(resource, change.rev, expectation.event_type), change.connection);
      else if (filledBy.arrivalMs !== null && wasWatched(change.acceptedAtMs, filledBy))
        latenciesMs.push(filledBy.arrivalMs - change.acceptedAtMs);
    }
  }
}

function reportOrder(books: OpenBooks, resource: Resource): void {
  let highest: Sighting | null = null;
  for (const sighting of resource.sightings) {
    if (sighting.verdict !== 'filled') continue;
    const about = subject(resource, sighting.rev, sighting.eventType);
    if (highest !== null && highest.partition !== sighting.partition) {
      const detail = `another envelope of the resource is at ${place(highest)}: order across partitions is undefined`;
      books.defect('out_of_order', place(sighting), about, detail);
    } else if (highest !== null && highest.rev > sighting.rev) {
      if (!sighting.late)
        books.defect('out_of_order', place(sighting), about, `revision ${highest.rev} is at ${place(highest)}`);
    } else if (sighting.late && !mayHaveFollowedUnseen(resource, sighting.rev)) {
      books.defect('late_unfounded', place(sighting), about, 'no higher revision precedes it');
    }
    if (highest === null || sighting.rev > highest.rev) highest = sighting;
  }
}

function reportUnexpected(
  books: OpenBooks,
  resource: Resource,
  sighting: Sighting,
  totals: { foreign: number; earlier: number },
): void {
  const elsewhere = [...books.tenants].find(
    (tenant) => tenant !== resource.tenant && books.resources.named(tenant, resource.name)?.changes.has(sighting.rev),
  );
  const about = subject(resource, sighting.rev, sighting.eventType);
  if (elsewhere !== undefined && !resource.changes.has(sighting.rev)) {
    books.defect('wrong_topic', place(sighting), about, `the change is ${elsewhere}'s`);
    return;
  }
  const ours =
    resource.changes.size > 0 || (sighting.connectionId !== null && books.connections.has(sighting.connectionId));
  const earlier = !resource.changes.has(sighting.rev) && sighting.timestampMs < books.startedAtMs;
  if (ours && earlier) totals.earlier += 1;
  else if (!ours) totals.foreign += 1;
  if ((ours && !earlier) || books.strict)
    books.defect('unexpected', place(sighting), about, sighting.connectionId ?? 'connection unknown');
}

/** I5: a higher revision that the processor may have had before without our seeing an envelope of it. */
function mayHaveFollowedUnseen(resource: Resource, rev: number): boolean {
  for (const change of resource.changes.values())
    if (change.rev > rev && (change.slots.length === 0 || change.slots.some((slot) => slot.filledBy === null)))
      return true;
  return false;
}

/** The reader had caught up by then: what came later than it might have was late, not waiting to be read. */
function wasWatched(acceptedAtMs: number, { watchedSinceMs }: Sighting): boolean {
  return Number.isFinite(acceptedAtMs) && acceptedAtMs >= watchedSinceMs;
}
