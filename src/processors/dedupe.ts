/**
 * Which of the changes an event tells of are new. Pure: the same state and delivery give the same decision, and the
 * caller commits the decision, the envelopes and the offset in one transaction.
 *
 * I1  A webhook revision (type, id, rev) is processed once. Its second delivery emits nothing.
 * I2  Two webhooks of different revisions are never the same change. Should their identities collide (two moves to one
 *     status in one millisecond, a time that Kustomer did not move on), the second falls back to its revision, so that
 *     its event_id differs and nothing is lost.
 * I3  A change seen by a poll and by a webhook is emitted by whichever comes first. A webhook matches what a poll saw
 *     only if its revision is not above that of the polled record: a poll cannot have seen a later change. A deadline that
 *     passed (basis `once`) is one change whoever tells of it, and however often.
 * I4  A lower revision that was not seen is emitted with late = true, never dropped for being late.
 * I5  A resource is created once, whichever path says so and however often. A creation takes no part in I1: the
 *     revision it carries is that of its snapshot, which may belong to an update that follows. It is late (I4) when any
 *     update came before it.
 * I6  A record at or below the last raw offset of its resource was decided before, and its envelopes committed with
 *     that decision: what it tells of is counted as reprocessed and not emitted again. A webhook whose revision or
 *     token is unseen is emitted even so, for then the offset is of another raw topic.
 * I7  Everything remembered is bounded:
 *     - Webhook revisions: MAX_INTERVALS. Beyond it the lowest gap is closed. That gap is the oldest: for a webhook in
 *       it to come after all, it must be overtaken by more than MAX_INTERVALS later gaps of the same resource, while
 *       Kustomer gives up on a delivery after an hour. So it stands for deliveries lost for good; closing it cannot
 *       double anything, which forgetting the interval below it would. A gap costs two bytes, and a resource whose every
 *       second change is answered 503 for that hour makes hundreds.
 *     - Tokens of deliveries without revision: MAX_TOKENS, for the same hour. A repetition after as many others of its
 *       resource is taken for new.
 *     - Polled revisions: MAX_POLLED_INTERVALS, one per poll at most: an hour of polling at 60 s, as long as Kustomer
 *       retries the webhooks they stand for. The oldest is forgotten.
 *     - Changes of state: those only a poll has seen are kept longest (MAX_POLL_ONLY), for their webhook may be on its
 *       way for an hour; of those a webhook has seen the latest 3, which serve only to recognise a poll. The earliest
 *       goes first and leaves its time behind as a horizon, and a poll emits nothing at or before the horizon: it shows
 *       the latest state only.
 *     - Breaches: MAX_BREACHES and a horizon, as above.
 * I8  What a poll shows but may not publish (it happened before the connection began) is remembered as known, never as
 *     published: its webhook, or a backfill that reaches further back, still emits it.
 */
import type { Candidate, Derived, KnownBefore, StateMove } from './change.ts';
import { withRevision } from './identity.ts';
import { hash48, type RecentChange, type ResourceState, type TrackedStatus } from './resource-state.ts';
import { addRevision, closeLowestGaps, countRevisions, forgetLowest, hasRevision } from './revisions.ts';

export const MAX_INTERVALS = 1024;
export const MAX_POLLED_INTERVALS = 64;
export const MAX_POLL_ONLY = 32;
export const MAX_TOKENS = 128;
export const MAX_WEBHOOK_SEEN = 3;
export const MAX_BREACHES = 16;

export interface Delivery {
  readonly derived: Derived;
  readonly rawOffset: number;
}

/** A candidate to be emitted, under this identity (its own, or the fallback of I2). */
export interface Emission {
  readonly candidate: Candidate;
  readonly identity: string;
  /** I4 */
  readonly late: boolean;
  /** Of a move of the status that a poll showed; null for everything else. */
  readonly known: KnownBefore | null;
}

/** What became of the record as a whole. `nothing`: it tells of no change we emit. */
export type Verdict = 'emitted' | 'duplicate' | 'reprocessed' | 'nothing';

export interface Decision {
  readonly verdict: Verdict;
  readonly emit: readonly Emission[];
  /** Candidates dropped because the other path had seen them (I3, I5). */
  readonly collapsed: number;
  /** The very object given in when nothing is to be remembered. */
  readonly next: ResourceState;
}

const NONE: readonly Emission[] = Object.freeze([]);

export function dedupe(state: ResourceState, delivery: Delivery): Decision {
  const { derived, rawOffset } = delivery;
  const isBehind = rawOffset <= state.lastRawOffset;

  if (wasDelivered(state, derived)) {
    const next = isBehind ? state : { ...state, lastRawOffset: rawOffset };
    return { verdict: isBehind ? 'reprocessed' : 'duplicate', emit: NONE, collapsed: 0, next };
  }

  const draft = new Draft(state, derived, isBehind);
  const emit: Emission[] = [];
  for (const candidate of derived.candidates) {
    const identity = draft.judge(candidate);
    if (identity === null) continue;
    const known = derived.polled && candidate.basis === 'state' ? draft.knownBefore(candidate.moves) : null;
    emit.push({ candidate, identity, late: isLate(state, derived, candidate), known });
  }
  const collapsed = derived.candidates.length - emit.length;
  return {
    verdict: emit.length > 0 ? 'emitted' : collapsed === 0 ? 'nothing' : isBehind ? 'reprocessed' : 'duplicate',
    emit,
    collapsed: isBehind ? 0 : collapsed,
    next: draft.finish(rawOffset),
  };
}

/** I4. Whatever came before a creation came too early, which makes the creation late. */
function isLate({ topRevision }: ResourceState, { revision }: Derived, { basis }: Candidate): boolean {
  return basis === 'created' ? topRevision !== -1 : revision !== null && revision < topRevision;
}

/** I1, I5, I6: nothing in this delivery can be new. The raw offset alone proves nothing: the topic may be another. */
function wasDelivered(state: ResourceState, derived: Derived): boolean {
  if (derived.polled) return false;
  if (derived.created) return state.created;
  if (derived.revision !== null) return hasRevision(state.revisions, derived.revision);
  return findRecent(state.recents, 'token', hash48(derived.token ?? '')) !== -1;
}

/** What may be told of more than once, by several deliveries. */
type Repeated = Extract<Candidate, { readonly basis: 'revision' | 'state' }>;

function findRecent(recents: readonly RecentChange[], kind: RecentChange['kind'], hash: number): number {
  for (let i = recents.length - 1; i >= 0; i--) {
    const recent = recents[i] as RecentChange;
    if (recent.hash === hash && recent.kind === kind) return i;
  }
  return -1;
}

/** The next state while it is being made. */
class Draft {
  readonly #before: ResourceState;
  readonly #derived: Derived;
  readonly #isBehind: boolean;
  /** Copied before the first change. */
  #recents: RecentChange[] | null = null;
  #polledRevisions: ResourceState['polledRevisions'];
  #status: TrackedStatus | null;
  #reopenCount: number | null;
  #created: boolean;

  constructor(before: ResourceState, derived: Derived, isBehind: boolean) {
    this.#before = before;
    this.#derived = derived;
    this.#isBehind = isBehind;
    this.#polledRevisions = before.polledRevisions;
    this.#status = before.status;
    this.#reopenCount = before.reopenCount;
    this.#created = before.created;
  }

  /** The identity to emit a candidate under, or null. A webhook's delivery is not one of I1. */
  judge(candidate: Candidate): string | null {
    if (candidate.basis === 'created') return this.#create(candidate);
    if (candidate.basis === 'once')
      return this.#isNewBreach(candidate.identity, candidate.breach.atMs) ? candidate.identity : null;
    return this.#derived.polled ? this.#judgePolled(candidate) : this.#judgeWebhook(candidate);
  }

  #judgeWebhook(candidate: Repeated): string | null {
    const { revision, token } = this.#derived;
    if (candidate.basis === 'revision') {
      return revision !== null && hasRevision(this.#polledRevisions, revision) ? null : candidate.identity;
    }
    const { status, atMs } = candidate.moves;
    if (status !== null) this.#track(status, atMs);
    const hash = hash48(candidate.identity);
    const at = this.#find(candidate.moves.attribute, hash);
    if (at === -1) {
      this.#remember(candidate.moves, hash, false);
      return candidate.identity;
    }
    const seen = (this.#recents ?? this.#before.recents)[at] as RecentChange;
    const isPollsChange = seen.pollOnly && (revision === null || seen.revision === -1 || revision <= seen.revision);
    if (isPollsChange) {
      this.#forget(at);
      this.#remember(candidate.moves, hash, false);
      return null;
    }
    return withRevision(candidate.identity, revision ?? token ?? '');
  }

  #judgePolled(candidate: Repeated): string | null {
    if (candidate.basis === 'revision') return this.#isNewPolledRevision() ? candidate.identity : null;
    const { attribute, atMs } = candidate.moves;
    const hash = hash48(candidate.identity);
    const horizonMs = attribute === 'status' ? this.#before.statusHorizonMs : this.#before.satisfactionHorizonMs;
    if (this.#find(attribute, hash) !== -1 || (atMs > 0 && atMs <= horizonMs)) return null;
    this.#remember(candidate.moves, hash, true);
    return candidate.identity;
  }

  #create(candidate: Candidate): string | null {
    if (this.#created) return null;
    this.#created = true;
    return candidate.identity;
  }

  /** What a polled move of the status is compared with. Only what lies before the move says anything of it. */
  knownBefore({ status, atMs }: StateMove): KnownBefore | null {
    if (status === null) return null;
    const { status: tracked, reopenCount, revisions, created } = this.#before;
    const isBornHere = this.#created && !created;
    if (tracked === null) return { status: null, reopenCount: isBornHere ? 0 : null, missedRevisions: null };
    if (tracked.atMs >= atMs) return { status: null, reopenCount: null, missedRevisions: null };
    const revision = this.#derived.revision ?? -1;
    const passed = tracked.revision === -1 ? 0 : Math.max(0, revision - tracked.revision);
    const told = countRevisions(revisions, tracked.revision + 1, revision);
    return {
      // From open to open it must have been something else in between.
      status: tracked.value === status ? null : tracked.value,
      reopenCount: reopenCount ?? 0,
      missedRevisions: passed === 0 ? null : Math.max(0, passed - told - 1),
    };
  }

  #isNewBreach(identity: string, atMs: number): boolean {
    const hash = hash48(identity);
    if (atMs <= this.#before.breachHorizonMs || this.#find('breach', hash) !== -1) return false;
    this.#push({ kind: 'breach', hash, atMs, pollOnly: false, revision: -1 });
    return true;
  }

  #isNewPolledRevision(): boolean {
    const { revision, token } = this.#derived;
    if (revision === null) return !this.#isBehind && this.#find('token', hash48(token ?? '')) === -1;
    const lowest = this.#polledRevisions[0];
    const isForgotten = this.#isBehind && lowest !== undefined && revision < lowest;
    if (isForgotten || hasRevision(this.#before.revisions, revision)) return false;
    if (hasRevision(this.#polledRevisions, revision)) return false;
    this.#polledRevisions = forgetLowest(addRevision(this.#polledRevisions, revision), MAX_POLLED_INTERVALS);
    return true;
  }

  finish(rawOffset: number): ResourceState {
    const before = this.#before;
    const { revision, token, created, polled, observed } = this.#derived;
    if (revision === null && token !== null && !created) this.#rememberToken(hash48(token));
    // I8: a poll always shows how things stand. Of a webhook only what moved counts, unless nothing at all is known.
    const status = observed?.status ?? null;
    if (status !== null && (polled || this.#status === null)) this.#track(status, observed?.statusAtMs ?? 0);
    const trimmed = this.#recents === null ? null : trim(this.#recents, before);
    return {
      created: this.#created || created,
      lastRawOffset: Math.max(before.lastRawOffset, rawOffset),
      topRevision: created ? before.topRevision : Math.max(before.topRevision, revision ?? -1),
      revisions:
        polled || created || revision === null
          ? before.revisions
          : closeLowestGaps(addRevision(before.revisions, revision), MAX_INTERVALS),
      polledRevisions: this.#polledRevisions,
      status: this.#status,
      reopenCount: this.#reopenCount,
      statusHorizonMs: trimmed?.statusHorizonMs ?? before.statusHorizonMs,
      satisfactionHorizonMs: trimmed?.satisfactionHorizonMs ?? before.satisfactionHorizonMs,
      breachHorizonMs: trimmed?.breachHorizonMs ?? before.breachHorizonMs,
      recents: trimmed?.recents ?? before.recents,
    };
  }

  /** The latest status by time, by revision where a time is missing: deliveries come in any order. */
  #track(value: string, atMs: number): void {
    const known = this.#status;
    const revision = this.#derived.revision ?? -1;
    const isLater =
      known === null ||
      (known.atMs > 0 && atMs > 0 && known.atMs !== atMs
        ? atMs > known.atMs
        : revision === -1
          ? !this.#isBehind
          : revision >= known.revision);
    if (!isLater) return;
    this.#status = { value, atMs, revision };
    this.#reopenCount = this.#derived.observed?.reopenCount ?? this.#reopenCount;
  }

  #find(kind: RecentChange['kind'], hash: number): number {
    return findRecent(this.#recents ?? this.#before.recents, kind, hash);
  }

  #remember({ attribute, atMs }: StateMove, hash: number, pollOnly: boolean): void {
    const revision = pollOnly ? (this.#derived.revision ?? -1) : -1;
    this.#push({ kind: attribute, hash, atMs, pollOnly, revision });
  }

  #rememberToken(hash: number): void {
    if (this.#find('token', hash) === -1) this.#push({ kind: 'token', hash, atMs: 0, pollOnly: false, revision: -1 });
  }

  #push(recent: RecentChange): void {
    this.#recents ??= this.#before.recents.slice();
    this.#recents.push(recent);
  }

  #forget(at: number): void {
    this.#recents ??= this.#before.recents.slice();
    this.#recents.splice(at, 1);
  }
}

/** I7: lets the earliest go, per class, and keeps their times as horizons. */
function trim(recents: readonly RecentChange[], before: ResourceState) {
  let { statusHorizonMs, satisfactionHorizonMs, breachHorizonMs } = before;
  const kept = recents.slice();
  for (const [isOfClass, most] of CLASSES) {
    for (let surplus = count(kept, isOfClass) - most; surplus > 0; surplus--) {
      const [gone] = kept.splice(earliest(kept, isOfClass), 1) as [RecentChange];
      if (gone.kind === 'status') statusHorizonMs = Math.max(statusHorizonMs, gone.atMs);
      else if (gone.kind === 'satisfaction') satisfactionHorizonMs = Math.max(satisfactionHorizonMs, gone.atMs);
      else if (gone.kind === 'breach') breachHorizonMs = Math.max(breachHorizonMs, gone.atMs);
    }
  }
  return { recents: kept, statusHorizonMs, satisfactionHorizonMs, breachHorizonMs };
}

type Predicate = (recent: RecentChange) => boolean;

const CLASSES: readonly (readonly [isOfClass: Predicate, most: number])[] = [
  [({ pollOnly }) => pollOnly, MAX_POLL_ONLY],
  [({ kind }) => kind === 'token', MAX_TOKENS],
  [({ kind }) => kind === 'breach', MAX_BREACHES],
  [({ kind, pollOnly }) => !pollOnly && (kind === 'status' || kind === 'satisfaction'), MAX_WEBHOOK_SEEN],
];

function count(recents: readonly RecentChange[], isOfClass: Predicate): number {
  let found = 0;
  for (const recent of recents) if (isOfClass(recent)) found++;
  return found;
}

/** Index of the earliest by time; of those alike, or without time, the one seen first. */
function earliest(recents: readonly RecentChange[], isOfClass: Predicate): number {
  let found = -1;
  for (const [index, recent] of recents.entries()) {
    if (isOfClass(recent) && (found === -1 || recent.atMs < (recents[found] as RecentChange).atMs)) found = index;
  }
  return found;
}
