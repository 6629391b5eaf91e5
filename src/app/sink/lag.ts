/**
 * How many commands of each partition of this process are not finished: those in hand, and those behind them in the log. Asks the
 * broker for the ends from time to time. A partition that has stopped, or is not open yet, counts from what the group has committed.
 */
import type { Log } from '../../kafka/port.ts';
import type { Metrics } from '../telemetry.ts';

export interface SinkLagOptions {
  /** Assigned to this process. */
  readonly partitions: () => readonly number[];
  /** Undefined for a partition that is not served. */
  readonly progress: (partition: number) => { readonly unfinished: number; readonly nextOffset: number } | undefined;
  readonly log: Pick<Log, 'admin' | 'clock'>;
  readonly groupId: string;
  /** The commands. */
  readonly topic: string;
  readonly metrics: Pick<Metrics, 'set'>;
}

export interface SinkLagHealth {
  /** By partition; null until the broker was asked for the first time. */
  readonly records: Readonly<Record<string, number>> | null;
  readonly askedAtMs: number | null;
  readonly lastError: string | null;
}

const FIRST_ASK_MS = 1_000;
const ASK_EVERY_MS = 15_000;
/** One offset may stay unread for ever: the marker of a transaction. */
const UNSEEN_MARKER = 1;

export function watchSinkLag(options: SinkLagOptions): { health(): SinkLagHealth; stop(): void } {
  const { log, metrics } = options;
  const { clock } = log;
  const stop = new AbortController();
  let health: SinkLagHealth = { records: null, askedAtMs: null, lastError: null };
  /** Whose lag was told, and so has to be taken back when somebody else has the partition. */
  let told: readonly number[] = [];
  const look = async (): Promise<void> => {
    const partitions = options.partitions();
    const lags = await Promise.all(partitions.map((partition) => lagOf(partition, options)));
    const records = Object.fromEntries(partitions.map((partition, index) => [partition, lags[index] as number]));
    for (const partition of told) metrics.set('cnk_sink_lag_records', 0, { partition: String(partition) });
    for (const [partition, lag] of Object.entries(records)) metrics.set('cnk_sink_lag_records', lag, { partition });
    told = partitions;
    health = { records, askedAtMs: clock.nowMs(), lastError: null };
  };
  void (async () => {
    await clock.sleep(FIRST_ASK_MS, stop.signal);
    while (!stop.signal.aborted) {
      await look().catch((error: unknown) => {
        // The broker not answering is told by the partitions themselves; here it only means that the lag is not known.
        health = { ...health, lastError: error instanceof Error ? error.message : String(error) };
      });
      await clock.sleep(ASK_EVERY_MS, stop.signal);
    }
  })();
  return { health: () => health, stop: () => stop.abort() };
}

async function lagOf(partition: number, { log, topic, groupId, progress }: SinkLagOptions): Promise<number> {
  const input = { topic, partition };
  const { low, high } = await log.admin.watermarks(input);
  const now = progress(partition);
  if (now !== undefined) return now.unfinished + behind(high - now.nextOffset);
  const [committed] = await log.admin.committed(groupId, [input]);
  return behind(high - Math.max(low, committed ?? low));
}

function behind(offsets: number): number {
  return offsets > UNSEEN_MARKER ? offsets : 0;
}
