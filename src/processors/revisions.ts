/**
 * A bounded set of revision numbers as ascending, disjoint, non-adjacent intervals: [low, high, low, high, …].
 * Revisions go up by one, so in order it is one interval whatever its size; each one missing or ahead opens a gap.
 */
export type Revisions = readonly number[];

export const NO_REVISIONS: Revisions = Object.freeze([]);

export function hasRevision(set: Revisions, revision: number): boolean {
  for (let i = set.length - 2; i >= 0; i -= 2) {
    if (revision >= (set[i] as number)) return revision <= (set[i + 1] as number);
  }
  return false;
}

/** How many of the revisions from `low` to `high` are in the set. */
export function countRevisions(set: Revisions, low: number, high: number): number {
  let count = 0;
  for (let i = 0; i < set.length; i += 2) {
    count += Math.max(0, Math.min(high, set[i + 1] as number) - Math.max(low, set[i] as number) + 1);
  }
  return count;
}

export function addRevision(set: Revisions, revision: number): Revisions {
  const last = set.length - 1;
  if (last >= 0 && revision === (set[last] as number) + 1) {
    const next = set.slice();
    next[last] = revision;
    return next;
  }
  if (hasRevision(set, revision)) return set;
  let at = 0;
  while (at < set.length && (set[at] as number) < revision) at += 2;
  const joinsBelow = at > 0 && set[at - 1] === revision - 1;
  const joinsAbove = at < set.length && set[at] === revision + 1;
  const next = set.slice();
  if (joinsBelow && joinsAbove) next.splice(at - 1, 2);
  else if (joinsBelow) next[at - 1] = revision;
  else if (joinsAbove) next[at] = revision;
  else next.splice(at, 0, revision, revision);
  return next;
}

/** Closes the lowest gaps until at most `maxIntervals` remain: what lies in them counts as contained from then on. */
export function closeLowestGaps(set: Revisions, maxIntervals: number): Revisions {
  const surplus = set.length / 2 - maxIntervals;
  return surplus <= 0 ? set : [set[0] as number, ...set.slice(2 * surplus + 1)];
}

/** Forgets the lowest intervals until at most `maxIntervals` remain. */
export function forgetLowest(set: Revisions, maxIntervals: number): Revisions {
  const surplus = set.length / 2 - maxIntervals;
  return surplus <= 0 ? set : set.slice(2 * surplus);
}
