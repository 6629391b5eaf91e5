/** A command that has been taken from its lane, or is prepared ahead of its turn there. */
import type { Ticket } from '../lanes.ts';
import type { Basis } from '../ledger/entry.ts';
import type { Life } from '../lifecycle/life.ts';
import type { LimitPlace } from '../quota/limit-place.ts';
import type { CommandWork } from './admit.ts';
import type { SentTimes } from './receipts.ts';

export interface AtWork {
  readonly work: CommandWork;
  life: Life;
  ticket: Ticket;
  /** Of the last write that was handed over; null = not by this owner. */
  basis: Basis | null;
  sent: SentTimes;
  readonly place: LimitPlace;
}
