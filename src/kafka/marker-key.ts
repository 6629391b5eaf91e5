/**
 * The one key no record may have: KafkaJS takes four zero bytes for an abort marker, whatever record they stand in, and
 * lets everything after it leak out of an aborted transaction.
 */
import type { Append } from './port.ts';

/** Throws RangeError for the key no record may have. */
export function refuseMarkerKey({ key, topic }: Append): void {
  if (key !== null && key.length === 4 && key.readInt32BE() === 0) {
    throw new RangeError(`A record key of four zero bytes is not safe to read (topic ${topic})`);
  }
}
