import type { KustomerEvent } from '../../kustomer/event.ts';
import { timeOf } from '../read.ts';

/** When an update happened: the change's own time, else that of the event; the snapshot's may be of a later change. */
export function changeTime(event: KustomerEvent): string | null {
  return timeOf(event.changedAttributes['updatedAt']?.after) ?? timeOf(event.createdAt);
}

/** Milliseconds since the epoch; 0 where there is no time. */
export function millisOf(time: string | null): number {
  const ms = time === null ? Number.NaN : Date.parse(time);
  return ms > 0 ? ms : 0;
}
