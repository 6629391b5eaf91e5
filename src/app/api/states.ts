/**
 * Writes down what the role `poll` finds of each connection, so that every process can tell it. Only changes are written; what
 * cannot be written is tried again, and of several findings of one connection only the latest counts.
 */
import type { Table } from '../../api/ports.ts';
import type { Clock } from '../../base/clock.ts';
import { scopeKey } from '../../ingest/poll/cursor-record.ts';
import type { HealthChange } from '../../ingest/webhook-health/monitor.ts';
import type { Logger } from '../telemetry.ts';
import { type StateRecord, stateChange } from './records.ts';

export interface StateWriterOptions {
  readonly table: Table<StateRecord>;
  readonly logger: Logger;
  readonly clock: Clock;
}

export interface StateWriter {
  /** Returns at once. */
  changed(change: HealthChange): void;
  /** What is still to be written, one for each connection at most. */
  pending(): number;
  close(): Promise<void>;
}

const RETRY_MS = 5_000;

export function openStateWriter({ table, logger, clock }: StateWriterOptions): StateWriter {
  const due = new Map<string, HealthChange['to']>();
  const stop = new AbortController();
  let writing: Promise<void> | undefined;

  async function write(): Promise<void> {
    while (!stop.signal.aborted) {
      const [next] = due;
      if (next === undefined) return;
      const [key, found] = next;
      try {
        await table.update(key, (now) => stateChange(now, found, clock.nowMs()));
        // Another finding may have come meanwhile.
        if (due.get(key) === found) due.delete(key);
      } catch (err) {
        logger.warn({ event: 'connection.state_unwritten', err, key }, 'the state of a connection is not written yet');
        await clock.sleep(RETRY_MS, stop.signal);
      }
    }
  }

  return {
    changed(change) {
      due.set(scopeKey(change), change.to);
      writing ??= write().finally(() => {
        writing = undefined;
      });
    },
    pending: () => due.size,
    close: async () => {
      stop.abort();
      await writing;
    },
  };
}
