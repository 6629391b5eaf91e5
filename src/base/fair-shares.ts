/**
 * Shares of a bounded room, so that who asks for much is told "no room" while there is still room for the others. Pure.
 *
 * A party may take more while what it has then is at most `greed` times what is left free then (a dynamic threshold: the
 * share is large while few ask, and shrinks by itself as others come). Nobody's share is set aside and unused.
 *
 * S1 what is held in all never exceeds `max`
 * S2 a party alone gets greed / (greed + 1) of the room
 * S3 who holds nothing is refused only for want of room, never for its share
 * S4 what is given back can be taken again, and first by those with less: n parties that always take all they get come to
 *    leave 1 / (1 + n × greed) of the room free. Those that come one after another, while nothing is given back, leave less
 */
export interface FairShares {
  readonly max: number;
  readonly held: number;
  /** `share`: there is room, but not for this party, which has much of it. Nothing is taken then, nor when `full`. */
  take(party: string, amount: number): 'taken' | 'share' | 'full';
  give(party: string, amount: number): void;
  of(party: string): number;
}

/** One party alone has two thirds of the room; ten that ask for all they can get have a twenty-first each, and leave as much. */
export const GREED = 2;

export interface Ask {
  /** By who asks. */
  readonly held: number;
  /** By all, who asks included. */
  readonly inAll: number;
  readonly max: number;
  readonly amount: number;
  readonly greed: number;
}

/** S2, S3: for whoever counts elsewhere. True means that there is room as well. */
export function isWithinShare({ held, inAll, max, amount, greed }: Ask): boolean {
  const free = max - inAll - amount;
  return free >= 0 && (held === 0 || !(held + amount > greed * free));
}

export function createFairShares(max: number, greed = GREED): FairShares {
  /** Of those that hold something, so it is no larger than what is held. */
  const parties = new Map<string, number>();
  let held = 0;
  return {
    max,
    get held() {
      return held;
    },
    take(party, amount) {
      if (held + amount > max) return 'full';
      const before = parties.get(party) ?? 0;
      if (!isWithinShare({ held: before, inAll: held, max, amount, greed })) return 'share';
      parties.set(party, before + amount);
      held += amount;
      return 'taken';
    },
    give(party, amount) {
      const left = (parties.get(party) ?? 0) - amount;
      if (left > 0) parties.set(party, left);
      else parties.delete(party);
      held -= amount;
    },
    of: (party) => parties.get(party) ?? 0,
  };
}
