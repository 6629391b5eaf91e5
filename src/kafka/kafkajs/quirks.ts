/**
 * The one change made to KafkaJS itself (2.2.4, pinned).
 *
 * Its request queue re-arms a timer of -1 ms for ever, on every connection, even when nothing is pending: about 1,000
 * wake-ups a second each, and from Node 24 a TimeoutNegativeWarning on the user's terminal. A queue needs the timer only
 * while requests are pending, and `push` arms it then.
 */
import { createRequire } from 'node:module';

interface RequestQueue {
  readonly pending: readonly unknown[];
}

interface Schedules {
  scheduleCheckPendingRequests(this: RequestQueue): void;
}

const KNOWN_VERSION = '2.2.4';
let applied = false;

/** Applies the change once per process, and to no other version than the one it was written against. */
export function applyQuirks(): void {
  if (applied) return;
  applied = true;
  const require = createRequire(import.meta.url);
  const { version } = require('kafkajs/package.json') as { version: string };
  if (version !== KNOWN_VERSION) return;
  const { prototype } = require('kafkajs/src/network/requestQueue') as { prototype: Schedules };
  const schedule = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function (): void {
    if (this.pending.length > 0) schedule.call(this);
  };
}
