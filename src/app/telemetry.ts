/** Logs and metrics: one wide log line per unit of work, and the metrics of metrics-table.ts. */
import { type Logger, pino } from 'pino';
import {
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type MetricObject,
  Registry,
} from 'prom-client';
import { METRICS, type MetricName, type MetricRow } from './metrics-table.ts';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

type Labels = Readonly<Record<string, string>>;

export interface Metrics {
  add(name: MetricName, amount?: number, labels?: Labels): void;
  /** For a count kept elsewhere: brings the counter up to `total`, which never falls within a process. */
  setTotal(name: MetricName, total: number, labels?: Labels): void;
  set(name: MetricName, value: number, labels?: Labels): void;
  observe(name: MetricName, value: number, labels?: Labels): void;
  /** Called before each scrape, to bring gauges up to date. */
  onScrape(refresh: () => void): void;
  text(): Promise<string>;
  /** The same as data, to be merged with what other threads have. */
  values(): Promise<MetricValues>;
  readonly contentType: string;
}

/** What a registry holds, as data. */
export type MetricValues = readonly MetricObject[];

/** `ofProcess`: with the metrics Node keeps of the process, which one thread of it is enough to report. */
export function createMetrics({ ofProcess = true }: { readonly ofProcess?: boolean } = {}): Metrics {
  const registry = new Registry();
  if (ofProcess) collectDefaultMetrics({ register: registry });
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  for (const [name, row] of Object.entries(METRICS) as [MetricName, MetricRow][]) {
    const aggregator: 'max' | 'sum' = row.across ?? 'sum';
    const common = { name, help: row.help, labelNames: [...row.labels], registers: [registry], aggregator };
    if (row.kind === 'counter') counters.set(name, new Counter(common));
    else if (row.kind === 'gauge') gauges.set(name, new Gauge(common));
    else histograms.set(name, new Histogram({ ...common, buckets: SECONDS }));
  }
  const refreshers: (() => void)[] = [];
  const totals = new Map<string, number>();
  const refresh = (): void => {
    for (const one of refreshers) one();
  };
  return {
    add: (name, amount = 1, labels = {}) => counters.get(name)?.inc(labels, amount),
    setTotal: (name, total, labels = {}) => {
      const series = `${name}${JSON.stringify(labels)}`;
      counters.get(name)?.inc(labels, total - (totals.get(series) ?? 0));
      totals.set(series, total);
    },
    set: (name, value, labels = {}) => gauges.get(name)?.set(labels, value),
    observe: (name, value, labels = {}) => histograms.get(name)?.observe(labels, value),
    onScrape: (refresher) => refreshers.push(refresher),
    text: () => {
      refresh();
      return registry.metrics();
    },
    values: () => {
      refresh();
      return registry.getMetricsAsJSON();
    },
    contentType: registry.contentType,
  };
}

/** The metrics of several threads as those of one process. */
export async function mergeMetrics(threads: readonly MetricValues[]): Promise<string> {
  return AggregatorRegistry.aggregate(
    threads as unknown as Parameters<typeof AggregatorRegistry.aggregate>[0],
  ).metrics();
}

export type { Logger };

/** JSON lines on stderr: stdout belongs to what a command prints. Redaction is a second wall, not the first. */
export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: { service: 'cn-kustomer' },
      redact: {
        paths: [
          'token',
          'tokens',
          'password',
          'apiKey',
          'authorization',
          '*.token',
          '*.tokens',
          '*.password',
          '*.apiKey',
          '*.authorization',
          'headers.authorization',
        ],
        censor: '[redacted]',
      },
    },
    pino.destination({ dest: 2, sync: false }),
  );
}
