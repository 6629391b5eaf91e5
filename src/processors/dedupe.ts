/**
 * Which of the changes an event tells of are new. Pure: the same state and delivery give the same decision, and the
 * caller commits the decision, the envelopes and the offset in one transaction.
 *
 * I1  A webhook revision (type, id, rev) is processed once. Its second delivery emits nothing.
 * I2  Two webhooks of different revisions are never the same change. Should their identities collide (two moves to one
 *     status in one millisecond, a time that Kustomer did not move on), the second falls back to its revision, so that
 *     its event_id differs and nothing is lost.
 * I3  A change seen by a poll and by a webhook is emitted by whichever comes first. A webhook matches what a poll saw
 *     only if its revision is not above that of the polled record: a poll cannot have seen a later change.
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
 *     - Changes of state: those only a poll has seen are kept longest (8), for their webhook may be on its way for an
 *       hour; of those a webhook has seen the last 3, which serve only to recognise a poll. What is let go leaves its
 *       time behind as a horizon, and a poll emits nothing at or before the horizon: it shows the latest state only.
 */
import type { Channel } from '../kafka/headers.ts';
import type { Candidate, Derived, StateMove } from './change.ts';
import { withRevision } from './identity.ts';
import { hash48, type RecentChange, type ResourceState, type TrackedStatus } from './resource-state.ts';
import { addRevision, closeLowestGaps, forgetLowest, hasRevision } from './revisions.ts';

export const MAX_INTERVALS = 1024;
export const MAX_POLLED_INTERVALS = 64;
export const MAX_POLL_ONLY = 8;
export const MAX_TOKENS = 128;
export const MAX_WEBHOOK_SEEN = 3;

export interface Delivery {
  readonly derived: Derived;
  readonly rawOffset: number;
  readonly via: Channel;
}

/** A candidate to be emitted, under this identity (its own, or the fallback of I2). */
export interface Emission {
  readonly candidate: Candidate;
  readonly identity: string;
}

/** What became of the record as a whole. `nothing`: it tells of no change we emit. */
export type Verdict = 'emitted' | 'duplicate' | 'reprocessed' | 'nothing';

export interface Decision {
  readonly verdict: Verdict;
  readonly emit: readonly Emission[];
  /** Candidates dropped because the other path had seen them (I3, I5). */
  readonly collapsed: number;
  /** I4; the same for all candidates of one delivery. */
  readonly late: boolean;
  /** The very object given in when nothing is to be remembered. */
  readonly next: ResourceState;
}

const NONE: readonly Emission[] = Object.freeze([]);

/** A replay feeds webhook bodies again, a backfill polls: what counts is which kind of body it is. */
function isPolled(via: Channel): boolean {
  return via === 'poll' || via === 'backfill';
}

export function dedupe(state: ResourceState, delivery: Delivery): Decision {
  const { derived, rawOffset } = delivery;
  const isBehind = rawOffset <= state.lastRawOffset;
  const polled = isPolled(delivery.via);

  if (wasDelivered(state, derived, polled)) {
    const next = isBehind ? state : { ...state, lastRawOffset: rawOffset };
    return { verdict: isBehind ? 'reprocessed' : 'duplicate', emit: NONE, collapsed: 0, late: false, next };
  }

  const draft = new Draft(state, derived, isBehind);
  const emit: Emission[] = [];
  for (const candidate of derived.candidates) {
    const identity = polled ? draft.judgePolled(candidate) : draft.judgeWebhook(candidate);
    if (identity !== null) emit.push({ candidate, identity });
  }
  const collapsed = derived.candidates.length - emit.length;
  return {
    verdict: emit.length > 0 ? 'emitted' : collapsed === 0 ? 'nothing' : isBehind ? 'reprocessed' : 'duplicate',
    emit,
    collapsed: isBehind ? 0 : collapsed,
    late: isLate(state, derived),
    next: draft.finish(polled, rawOffset),
  };
}

/** I4. Whatever came before a creation came too early, which makes the creation late. */
function isLate(state: ResourceState, { created, revision }: Derived): boolean {
  return created ? state.topRevision !== -1 : revision !== null && revision < state.topRevision;
}

/** I1, I5, I6: nothing in this delivery can be new. The raw offset alone proves nothing: the topic may be another. */
function wasDelivered(state: ResourceState, derived: Derived, polled: boolean): boolean {
  if (polled) return false;
  if (derived.created) return state.created;
  if (derived.revision !== null) return hasRevision(state.revisions, derived.revision);
  return findRecent(state.recents, 'token', hash48(derived.token ?? '')) !== -1;
}

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
  #movedStatus = false;
  #created: boolean;

  constructor(before: ResourceState, derived: Derived, isBehind: boolean) {
    this.#before = before;
    this.#derived = derived;
    this.#isBehind = isBehind;
    this.#polledRevisions = before.polledRevisions;
    this.#status = before.status;
    this.#created = before.created;
  }

  /** The identity to emit a webhook's candidate under, or null. Its delivery is not one of I1. */
  judgeWebhook(candidate: Candidate): string | null {
    const { revision, token } = this.#derived;
    if (candidate.basis === 'created') return this.#create(candidate);
    if (candidate.basis === 'revision') {
      return revision !== null && hasRevision(this.#polledRevisions, revision) ? null : candidate.identity;
    }
    this.#track(candidate.moves);
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

  /** The identity to emit a polled record's candidate under, or null. */
  judgePolled(candidate: Candidate): string | null {
    if (candidate.basis === 'created') return this.#create(candidate);
    if (candidate.basis === 'revision') return this.#isNewPolledRevision() ? candidate.identity : null;
    this.#track(candidate.moves);
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

  finish(polled: boolean, rawOffset: number): ResourceState {
    const before = this.#before;
    const { revision, token, created, observed } = this.#derived;
    if (revision === null && token !== null && !created) this.#rememberToken(hash48(token));
    const baseline = before.status === null && !this.#movedStatus ? (observed?.status ?? null) : null;
    if (baseline !== null) {
      this.#status = { value: baseline, atMs: observed?.statusAtMs ?? 0, revision: revision ?? -1 };
    }
    const isNewest = revision === null || revision >= before.topRevision;
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
      reopenCount: (isNewest ? observed?.reopenCount : null) ?? before.reopenCount,
      // A status that stood before we first saw the conversation is no news to a poll.
      statusHorizonMs: Math.max(
        trimmed?.statusHorizonMs ?? before.statusHorizonMs,
        baseline === null ? 0 : (observed?.statusAtMs ?? 0),
      ),
      satisfactionHorizonMs: trimmed?.satisfactionHorizonMs ?? before.satisfactionHorizonMs,
      recents: trimmed?.recents ?? before.recents,
    };
  }

  /** The latest status by time, by revision where a time is missing: deliveries come in any order. */
  #track(move: StateMove): void {
    if (move.attribute !== 'status' || move.status === null) return;
    this.#movedStatus = true;
    const known = this.#status;
    const revision = this.#derived.revision ?? -1;
    const isLater =
      known === null ||
      (known.atMs > 0 && move.atMs > 0 && known.atMs !== move.atMs
        ? move.atMs > known.atMs
        : revision === -1 || revision >= known.revision);
    if (isLater) this.#status = { value: move.status, atMs: move.atMs, revision };
  }

  #find(kind: RecentChange['kind'], hash: number): number {
    return findRecent(this.#recents ?? this.#before.recents, kind, hash);
  }

  #remember({ attribute, atMs }: StateMove, hash: number, pollOnly: boolean): void {
    this.#recents ??= this.#before.recents.slice();
    const revision = pollOnly ? (this.#derived.revision ?? -1) : -1;
    this.#recents.push({ kind: attribute, hash, atMs, pollOnly, revision });
  }

  #rememberToken(hash: number): void {
    if (this.#find('token', hash) !== -1) return;
    this.#recents ??= this.#before.recents.slice();
    this.#recents.push({ kind: 'token', hash, atMs: 0, pollOnly: false, revision: -1 });
  }

  #forget(at: number): void {
    this.#recents ??= this.#before.recents.slice();
    this.#recents.splice(at, 1);
  }
}

/** I7: lets the oldest go, per class, and keeps their times as horizons. */
function trim(recents: readonly RecentChange[], before: ResourceState) {
  let { statusHorizonMs, satisfactionHorizonMs } = before;
  let pollOnly = 0;
  let tokens = 0;
  let webhookSeen = 0;
  const kept: RecentChange[] = [];
  for (let i = recents.length - 1; i >= 0; i--) {
    const recent = recents[i] as RecentChange;
    const fits = recent.pollOnly
      ? ++pollOnly <= MAX_POLL_ONLY
      : recent.kind === 'token'
        ? ++tokens <= MAX_TOKENS
        : ++webhookSeen <= MAX_WEBHOOK_SEEN;
    if (fits) kept.push(recent);
    else if (recent.kind === 'status') statusHorizonMs = Math.max(statusHorizonMs, recent.atMs);
    else if (recent.kind === 'satisfaction') satisfactionHorizonMs = Math.max(satisfactionHorizonMs, recent.atMs);
  }
  return { recents: kept.reverse(), statusHorizonMs, satisfactionHorizonMs };
}
