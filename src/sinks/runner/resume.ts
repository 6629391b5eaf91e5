/**
 * What the last owner left of a partition. It stands in the ledger, so it is there also when the group has lost its offset, by
 * expiry or by hand, and finished commands come by once more: they are neither carried out nor answered again.
 *
 * F4 It is believed only of the log that it is of. In another one (the topic was made anew, or cut and written on) it would skip
 *    commands in silence. In its own log nothing below its end is later than the latest that was seen there; in another one
 *    something is. Where that cannot be told, it is not believed: the ledger still knows what was done
 */
import type { OwnedInput } from '../../kafka/input-feed.ts';
import type { OwnedPartition } from '../../kafka/owner-worker.ts';
import type { Progress } from '../lanes/offsets.ts';
import { decodeProgress } from '../lanes/progress-codec.ts';
import { PROGRESS_KEY } from './ledger-view.ts';

/** Null when there is none, or none to be believed. */
export async function lastProgress(
  owned: Pick<OwnedPartition, 'get'>,
  input: Pick<OwnedInput, 'position' | 'offsetSince'>,
): Promise<Progress | null> {
  const bytes = owned.get(PROGRESS_KEY);
  if (bytes === undefined) return null;
  const progress = decodeProgress(bytes);
  const { commitOffset, groupOffset = commitOffset, nextOffset, latestMs } = progress;
  if (groupOffset === input.position) return progress; // as nearly always
  if (latestMs === undefined) return null;
  return (await input.offsetSince(latestMs + 1)) >= nextOffset ? progress : null;
}
