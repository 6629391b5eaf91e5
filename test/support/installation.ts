/**
 * A whole cn-kustomer under a topic prefix of its own: its roles as processes, floods against it, and the account of what
 * became of them, read by a client that is not the service's.
 */
import { randomBytes } from 'node:crypto';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, inject, onTestFinished } from 'vitest';
import { verifyAccess } from '../../src/app/cli/verify.ts';
import { openControl } from '../../src/app/control/open.ts';
import type { ConnectionStore } from '../../src/app/control/store.ts';
import { floodTargets, floodTenants, receiverUrl } from '../../src/app/demo/targets.ts';
import { PROCESSOR_GROUP } from '../../src/app/roles/process.ts';
import { openRegistry, registerSchemas } from '../../src/app/schemas.ts';
import { loadSettings, type Settings } from '../../src/app/settings.ts';
import { createLogger } from '../../src/app/telemetry.ts';
import { reconcileTopics, topicSettings } from '../../src/app/topic-settings.ts';
import { runVerify, VERIFY_DEFAULTS, type VerifyOptions, type VerifyReport } from '../../src/app/verify/index.ts';
import { realClock } from '../../src/base/clock.ts';
import type { Log, TopicPartition } from '../../src/kafka/port.ts';
import { type TopicNames, topicNames } from '../../src/kafka/topics.ts';
import type { FloodOptions, FloodTarget } from '../../src/simulator/flood/options.ts';
import type { FloodProgress, FloodReport } from '../../src/simulator/flood/report.ts';
import { runFlood } from '../../src/simulator/flood/run-flood.ts';
import { readToEnd, type TopicContent } from './independent-reader.ts';
import { openTestLog } from './log-fixtures.ts';
import { startProcess, type TestProcess } from './process.ts';
import { type WaitForOptions, waitFor } from './wait-for.ts';

export type Env = Readonly<Record<string, string>>;

export interface InstallationOptions {
  /** Default: those of the run. */
  readonly brokers?: readonly string[];
  readonly env?: Env;
  readonly tenants?: number;
}

export interface Serving {
  readonly process: TestProcess;
  /** http://127.0.0.1:<port> */
  readonly url: string;
  /** JSON log lines of this event so far, parsed. */
  lines(event: string): readonly Readonly<Record<string, unknown>>[];
  /** SIGTERM; fails unless it exits 0 within the ten seconds it promises. */
  stop(): Promise<void>;
}

export interface ServeOptions {
  readonly roles: string;
  readonly env?: Env;
  /** Another entry script than the service's own. */
  readonly script?: string;
  readonly endWith?: 'SIGTERM' | 'SIGKILL';
  /** Default true: resolves once /readyz says so. */
  readonly untilReady?: boolean;
}

export interface Flood {
  readonly manifest: string;
  /** Latest progress; null before the first, about one a second. */
  progress(): FloodProgress | null;
  readonly done: Promise<FloodReport>;
  abort(): void;
}

interface Parts {
  readonly log: Log;
  readonly env: Env;
  readonly settings: Settings;
  readonly folder: string;
  readonly store: ConnectionStore;
  readonly targets: readonly Omit<FloodTarget, 'url'>[];
}

const SHUTDOWN_DEADLINE_MS = 10_000;
const START_DEADLINE_MS = 45_000;

export class Installation {
  readonly prefix: string;
  readonly names: TopicNames;
  readonly log: Log;
  readonly env: Env;
  readonly settings: Settings;
  /** Removed after the test. */
  readonly folder: string;
  readonly store: ConnectionStore;
  readonly #targets: readonly Omit<FloodTarget, 'url'>[];
  #floods = 0;

  private constructor(parts: Parts) {
    this.prefix = parts.settings.topicPrefix;
    this.names = topicNames(parts.settings.topicPrefix);
    this.log = parts.log;
    this.env = parts.env;
    this.settings = parts.settings;
    this.folder = parts.folder;
    this.store = parts.store;
    this.#targets = parts.targets;
  }

  /** Topics, schemas and the connections of the flood's tenants are there when it resolves; nothing runs yet. */
  static async open({ brokers, env = {}, tenants = 2 }: InstallationOptions = {}): Promise<Installation> {
    const { log, prefix } = openTestLog(brokers === undefined ? {} : { brokers });
    const folder = mkdtempSync(join(tmpdir(), 'cn-kustomer-test-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const all: Env = {
      KAFKA_BROKERS: brokers?.join(',') ?? inject('kafkaBrokers'),
      SCHEMA_REGISTRY_URL: inject('schemaRegistryUrl'),
      CN_MASTER_KEY: randomBytes(32).toString('hex'),
      TOPIC_PREFIX: prefix,
      HOST: '127.0.0.1',
      PORT: '0',
      GROUP_SESSION_TIMEOUT_MS: '6000',
      ...env,
    };
    const settings = loadSettings(all);
    const tenantIds = floodTenants(tenants);
    await reconcileTopics(log, topicSettings(settings), tenantIds);
    await registerSchemas(openRegistry(settings), topicNames(prefix), tenantIds);
    const store = await openControl({ log, settings, logger: createLogger('silent') });
    onTestFinished(() => store.close());
    const targets = await floodTargets(store, tenantIds);
    return new Installation({ log, env: all, settings, folder, store, targets });
  }

  /** A process of the service, or of another script with the same arguments. */
  launch(args: readonly string[], options: Partial<Omit<ServeOptions, 'roles'>> = {}): TestProcess {
    return startProcess({
      script: options.script ?? 'src/main.ts',
      args,
      env: { ...this.env, ...options.env },
      cwd: this.folder,
      ...(options.endWith === undefined ? {} : { endWith: options.endWith }),
    });
  }

  async serve(options: ServeOptions): Promise<Serving> {
    const process = this.launch(['serve', '--roles', options.roles], options);
    const [, url = ''] = await process.waitForOutput(/listening on (http:\S+)/, START_DEADLINE_MS);
    if (options.untilReady !== false) await ready(url);
    return {
      process,
      url,
      lines: (event) => logLines(process, event),
      stop: async () => {
        process.signal('SIGTERM');
        expect(await process.waitForExit(SHUTDOWN_DEADLINE_MS)).toEqual({ code: 0, signal: null });
      },
    };
  }

  target(index: number, url: string): FloodTarget {
    const target = this.#targets[index] as FloodTarget;
    return { ...target, url: receiverUrl(url, target.connectionId) };
  }

  /** Begins at once; what is still unanswered when the test ends is given up. */
  flood(url: string, options: Partial<FloodOptions> & { readonly count: number }): Flood {
    const manifest = join(this.folder, `flood-${this.#floods++}.jsonl`);
    const stop = new AbortController();
    let latest: FloodProgress | null = null;
    const done = runFlood(
      { seed: randomBytes(4).toString('hex'), duplicates: 0.2, reorder: 0.2, ...options },
      this.#targets.map((_, index) => this.target(index, url)),
      {
        manifest: createWriteStream(manifest),
        signal: stop.signal,
        progress: (progress) => {
          latest = progress;
        },
      },
    );
    onTestFinished(async () => {
      stop.abort();
      await done.catch(() => undefined);
    });
    return { manifest, done, progress: () => latest, abort: () => stop.abort() };
  }

  /** The account of a flood, by a reader that is not KafkaJS; complete when everything expected was seen. */
  verify(manifest: string, options: Partial<VerifyOptions> = {}): Promise<VerifyReport> {
    return runVerify(
      { ...VERIFY_DEFAULTS, ...verifyAccess(this.settings, process.env), manifest, timeoutMs: 60_000, ...options },
      { clock: realClock, progress: () => undefined },
    );
  }

  /** Every accepted change has its envelopes exactly once and in order, and there is nothing else on the topics. */
  async expectExactlyOnce(manifest: string, options: Partial<VerifyOptions> = {}): Promise<VerifyReport> {
    const report = await this.verify(manifest, { strict: true, ...options });
    const { ok, defectTotal, samples, stoppedBecause } = report;
    expect({ ok, defectTotal, samples, stoppedBecause }).toEqual({
      ok: true,
      defectTotal: 0,
      samples: [],
      stoppedBecause: 'complete',
    });
    expect(report.counts.expected).toBeGreaterThan(0);
    return report;
  }

  get rawPartitions(): readonly TopicPartition[] {
    return this.partitions(this.names.raw, this.settings.rawPartitions);
  }

  partitions(topic: string, count: number): readonly TopicPartition[] {
    return Array.from({ length: count }, (_, partition) => ({ topic, partition }));
  }

  /** Next offsets of the processor group on the raw topic, 0 where none is committed. */
  async committed(): Promise<readonly number[]> {
    const group = `${this.prefix}${PROCESSOR_GROUP}`;
    return (await this.log.admin.committed(group, this.rawPartitions)).map((offset) => offset ?? 0);
  }

  async ends(partitions: readonly TopicPartition[]): Promise<readonly number[]> {
    return Promise.all(partitions.map(async (at) => (await this.log.admin.watermarks(at)).high));
  }

  /** Ends of the envelope topics of the flood's tenants, `topic/partition` → offset: whatever was appended counts. */
  async envelopeEnds(): Promise<ReadonlyMap<string, number>> {
    const topics = this.#targets.map(({ tenantId }) => this.names.events(tenantId));
    const all = topics.flatMap((topic) => this.partitions(topic, this.settings.eventPartitions));
    const ends = await this.ends(all);
    return new Map(all.map(({ topic, partition }, index) => [`${topic}/${partition}`, ends[index] as number]));
  }

  /** The flood's tenants' envelopes that a reader of committed records gets. */
  visibleEnvelopes(): Promise<TopicContent> {
    return this.read(this.#targets.map(({ tenantId }) => this.names.events(tenantId)));
  }

  read(topics: readonly string[], options: { readonly headersOnly?: boolean } = {}): Promise<TopicContent> {
    return readToEnd({ brokers: this.settings.kafkaBrokers, topics, ...options });
  }

  /** Waits until the log cleaner has been over a topic: no key twice, except one. Resolves to how many records it left. */
  async cleaned(topic: string, exceptKey: string): Promise<number> {
    // Every start of the service sets it back to what the table of topics says.
    await this.log.admin.alterConfig(topic, { 'min.cleanable.dirty.ratio': '0.01' });
    const check = async () => {
      const { records } = await this.read([topic]);
      const keys = records.map(({ partition, key }) => `${partition}/${key}`).filter((key) => !key.endsWith(exceptKey));
      return keys.length > 0 && new Set(keys).size === keys.length ? records.length : null;
    };
    return waitFor(check, { message: `the cleaner to go over ${topic}`, deadlineMs: 60_000, everyMs: 500 });
  }

  /** Nothing of the raw topic is left to process. */
  async caughtUp(deadlineMs = 60_000): Promise<void> {
    const wanted = await this.ends(this.rawPartitions);
    const check = async () => expect(await this.committed()).toEqual(wanted);
    await eventually(check, { message: 'the processor at the end of the raw topic', deadlineMs, everyMs: 100 });
  }
}

/** Waits until the service says it does its work. */
export async function ready(url: string, deadlineMs = START_DEADLINE_MS): Promise<void> {
  const check = async () => expect(await readiness(url)).toMatchObject({ httpStatus: 200 });
  await eventually(check, { message: `${url} ready`, deadlineMs, everyMs: 50 });
}

/** Waits until `check` no longer throws. */
export async function eventually(check: () => void | Promise<void>, options: WaitForOptions): Promise<void> {
  const holds = async () => {
    await check();
    return true;
  };
  await waitFor(holds, options);
}

export async function readiness(url: string): Promise<Readonly<Record<string, unknown>>> {
  const response = await fetch(`${url}/readyz`);
  return { httpStatus: response.status, ...((await response.json()) as object) };
}

export function logLines(process: TestProcess, event: string): readonly Readonly<Record<string, unknown>>[] {
  return process
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}') && line.includes(`"event":"${event}"`))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
