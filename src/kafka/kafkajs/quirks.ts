/**
 * The two changes made to KafkaJS itself, and only to the pinned version they were written against (2.2.4).
 *
 * Idle timers: its request queue re-arms a timer of -1 ms for ever, on every connection, even when nothing is pending:
 * about 1,000 wake-ups a second each, and from Node 24 a TimeoutNegativeWarning on the user's terminal. The queue needs
 * the timer only while requests are pending, and `push` arms it then.
 *
 * Record encoder: replaced by ours (record-encoder.ts), before KafkaJS loads its produce requests.
 */
import { createRequire } from 'node:module';
import { encodeRecord } from './record-encoder.ts';

interface RequestQueue {
  readonly pending: readonly unknown[];
}

interface Schedules {
  scheduleCheckPendingRequests(this: RequestQueue): void;
}

const KNOWN_VERSION = '2.2.4';
const RECORD_ENCODER = 'kafkajs/src/protocol/recordBatch/record/v0';
let applied = false;

/** Applies the changes once per process; does nothing to another version of KafkaJS. */
export function applyQuirks(): void {
  if (applied) return;
  applied = true;
  const require = createRequire(import.meta.url);
  const { version } = require('kafkajs/package.json') as { version: string };
  if (version !== KNOWN_VERSION) return;
  quietIdleTimers(require);
  require(RECORD_ENCODER);
  const loaded = require.cache[require.resolve(RECORD_ENCODER)];
  if (loaded !== undefined) loaded.exports = encodeRecord;
}

function quietIdleTimers(require: NodeJS.Require): void {
  const { prototype } = require('kafkajs/src/network/requestQueue') as { prototype: Schedules };
  const schedule = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function (): void {
    if (this.pending.length > 0) schedule.call(this);
  };
}
