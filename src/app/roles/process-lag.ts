/** Asks the broker how far behind the processor is, and positions partitions again that stand still. */
import { LagWatch } from '../../kafka/lag-watch.ts';
import type { Log } from '../../kafka/port.ts';
import type { StreamWorker } from '../../kafka/stream-worker.ts';
import type { Logger, Metrics } from '../telemetry.ts';

export interface LagWatchOptions {
  readonly worker: StreamWorker;
  readonly log: Log;
  readonly topic: string;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface LagHealth {
  /** Null until the broker was asked for the first time. */
  readonly records: number | null;
  readonly askedAtMs: number | null;
  readonly lastError: string | null;
}

const ASK_EVERY_MS = 15_000;
const STALL_MS = 60_000;

export function watchLag(options: LagWatchOptions): { health(): LagHealth; stop(): void } {
  const { log, logger, metrics, worker } = options;
  const watch = new LagWatch({ stallMs: STALL_MS });
  const stop = new AbortController();
  let health: LagHealth = { records: null, askedAtMs: null, lastError: null };
  void (async () => {
    while (!stop.signal.aborted) {
      await log.clock.sleep(ASK_EVERY_MS, stop.signal);
      if (stop.signal.aborted) return;
      try {
        const { lag, stalled } = watch.observe(await progress(options), log.clock.nowMs());
        health = { records: lag, askedAtMs: log.clock.nowMs(), lastError: null };
        metrics.set('cnk_process_lag_records', lag);
        for (const partition of stalled) {
          metrics.add('cnk_process_stalls_total');
          logger.error(
            { event: 'process.stalled', partition, lag },
            'a partition stands still; it is positioned again',
          );
          const shard = worker.health.shards.find(({ partitions }) => partitions.includes(partition));
          if (shard !== undefined) worker.nudge(shard.shard);
        }
      } catch (error) {
        // The broker not answering is told by the shards themselves; here it only means that the lag is not known.
        health = { ...health, lastError: error instanceof Error ? error.message : String(error) };
      }
    }
  })();
  return { health: () => health, stop: () => stop.abort() };
}

async function progress({ worker, log, topic }: LagWatchOptions) {
  const shards = worker.health.shards.flatMap(({ phase, positions }) =>
    Object.entries(positions).map(([partition, position]) => ({
      partition: Number(partition),
      position,
      running: phase === 'running',
    })),
  );
  return Promise.all(
    shards.map(async (shard) => ({
      ...shard,
      end: (await log.admin.watermarks({ topic, partition: shard.partition })).high,
    })),
  );
}
