/**
 * `cn-kustomer verify`: reads the manifest and the topics side by side into the books until they are complete.
 *
 * Complete means: the manifest has ended, every expected envelope was seen, nothing that concerns the flood came for
 * `settleMs` (so that a late double is caught) and every partition was read to its end after that. Without progress for
 * `timeoutMs`, or at its deadline, it stops incomplete.
 */
import { CodedError } from '../../base/errors.ts';
import { HEADER } from '../../kafka/headers.ts';
import type { Clock, Log } from '../../kafka/port.ts';
import { topicNames } from '../../kafka/topics.ts';
import { Account } from './account.ts';
import { wireSchemaId } from './decode.ts';
import { type ManifestEntry, type ManifestHeader, readManifest } from './manifest.ts';
import { PartitionEnds } from './partition-ends.ts';
import { openReader } from './readers/open.ts';
import type { KafkaAccess, ReaderItem, ReaderName, ReadRecord, TopicReader } from './readers/reader.ts';
import { latencySummary, type VerifyReport } from './report.ts';
import { type RegistrySettings, type SchemaSource, schemaSource } from './schemas.ts';

export interface VerifyOptions {
  /** Path of the manifest. */
  readonly manifest: string;
  readonly access: KafkaAccess;
  /** Null = use the committed schema. */
  readonly registry: RegistrySettings | null;
  readonly topicPrefix: string;
  readonly reader: ReaderName | 'auto';
  /** The flood may still be running: wait for the end of its manifest, and measure accepted → visible. */
  readonly follow: boolean;
  /** Longest wait without any progress. */
  readonly timeoutMs: number;
  /** The whole of it ends by then, progress or not. */
  readonly deadlineMs: number;
  /** How long nothing new may have come before the books are closed. */
  readonly settleMs: number;
  readonly strict: boolean;
  readonly allowDead: boolean;
  /** Folder with Kafka's jars for the Java reader. */
  readonly kafkaLib?: string;
}

export const VERIFY_DEFAULTS = {
  reader: 'auto',
  follow: false,
  timeoutMs: 30_000,
  deadlineMs: 3_600_000,
  settleMs: 1_000,
  strict: false,
  allowDead: false,
} as const;

export interface VerifyIo {
  readonly clock: Clock;
  /** One line a second. */
  progress(line: string): void;
  /** Opens a log for the reader of last resort; verify closes it. */
  readonly openLog?: () => Promise<Log>;
  /** Ends it early; what is not seen by then counts as missing. */
  readonly signal?: AbortSignal;
}

/** Throws CodedError when it cannot begin (`manifest_invalid`, `reader_unavailable`) or go on (`reader_failed`). */
export async function runVerify(options: VerifyOptions, io: VerifyIo): Promise<VerifyReport> {
  const stop = new AbortController();
  const { manifest: path, follow } = options;
  const entries = readManifest({ path, follow, clock: io.clock, signal: stop.signal });
  try {
    const [header, first] = await firstEntries(entries, options, io);
    const run = new VerifyRun(options, io, header);
    run.entries(first);
    // Read after the fact the manifest is complete before the first envelope, so no payload has to be kept.
    if (!follow) await run.readManifest(entries);
    const reader = await openReader({ ...options, topics: run.topics, clock: io.clock, ...openLogOf(io) });
    try {
      return await run.untilDone(reader, follow ? entries : null, stop);
    } finally {
      await reader.close();
    }
  } finally {
    stop.abort();
  }
}

type ManifestBatches = AsyncGenerator<readonly ManifestEntry[]>;

/** The header names the topics, so nothing can begin without it. */
async function firstEntries(
  entries: ManifestBatches,
  options: VerifyOptions,
  io: VerifyIo,
): Promise<readonly [ManifestHeader, readonly ManifestEntry[]]> {
  const arrived = new AbortController();
  const timeout = io.clock.sleep(
    options.timeoutMs,
    AbortSignal.any([arrived.signal, ...(io.signal ? [io.signal] : [])]),
  );
  const first = await Promise.race([entries.next(), timeout.then(() => null)]).finally(() => arrived.abort());
  const header = first?.value?.[0];
  if (header?.kind !== 'header')
    throw new CodedError('manifest_invalid', `The manifest ${options.manifest} is empty or does not appear.`);
  return [header, first?.value ?? []];
}

const TICK_MS = 50;
const PROGRESS_MS = 1_000;
const number = new Intl.NumberFormat('en-US').format;

class VerifyRun {
  readonly #options: VerifyOptions;
  readonly #io: VerifyIo;
  readonly #books: Account;
  readonly #schemas: SchemaSource;
  readonly #ends: PartitionEnds;
  /** Tenant of each envelope topic. */
  readonly #tenants: ReadonlyMap<string, string>;
  readonly #deadTopic: string;
  readonly #startedAtMs: number;
  #lines = 0;
  #footer = false;
  #torn = false;
  #manifestEnded = false;
  #lastProgressMs: number;
  #lastChangeMs: number;
  #lastState = '';
  #lastEnvelopes = 0;
  #notice = '';
  #failure: { readonly error: unknown } | null = null;

  constructor(options: VerifyOptions, io: VerifyIo, header: ManifestHeader) {
    const names = topicNames(options.topicPrefix);
    this.#options = options;
    this.#io = io;
    this.#books = new Account({ strict: options.strict, allowDead: options.allowDead });
    this.#schemas = schemaSource(options.registry);
    this.#tenants = new Map(header.targets.map(({ tenantId }) => [names.events(tenantId), tenantId]));
    this.#deadTopic = names.dead;
    this.#ends = new PartitionEnds([...this.#tenants.keys(), names.dead]);
    this.#startedAtMs = io.clock.nowMs();
    this.#lastProgressMs = this.#startedAtMs;
    this.#lastChangeMs = this.#startedAtMs;
  }

  get topics(): readonly { readonly name: string; readonly headersOnly: boolean }[] {
    const events = [...this.#tenants.keys()].map((name) => ({ name, headersOnly: false }));
    return [...events, { name: this.#deadTopic, headersOnly: true }];
  }

  entries(batch: readonly ManifestEntry[]): void {
    this.#lines += batch.length;
    for (const entry of batch) {
      this.#footer ||= entry.kind === 'footer';
      this.#torn ||= entry.kind === 'torn';
      this.#books.entry(entry);
    }
  }

  async readManifest(entries: ManifestBatches): Promise<void> {
    for await (const batch of entries) this.entries(batch);
    this.#manifestEnded = true;
    this.#books.manifestEnded();
  }

  async untilDone(reader: TopicReader, entries: ManifestBatches | null, stop: AbortController): Promise<VerifyReport> {
    this.#lastProgressMs = this.#io.clock.nowMs();
    const loops = [this.#background(this.#readTopics(reader))];
    if (entries !== null) loops.push(this.#background(this.readManifest(entries)));
    let reportedAtMs = 0;
    for (;;) {
      if (this.#failure !== null) throw this.#failure.error;
      const nowMs = this.#io.clock.nowMs();
      const stopped = this.#stoppedBecause(nowMs);
      if (stopped !== null) {
        stop.abort();
        await reader.close();
        await Promise.all(loops);
        return this.#report(reader, stopped);
      }
      if (nowMs - reportedAtMs >= PROGRESS_MS) {
        reportedAtMs = nowMs;
        this.#io.progress(this.#progressLine(reader));
      }
      await this.#io.clock.sleep(TICK_MS, this.#io.signal);
    }
  }

  /** Failures of the loops surface in `untilDone`, which alone decides when it is over. */
  #background(loop: Promise<void>): Promise<void> {
    return loop.catch((error: unknown) => {
      this.#failure ??= { error };
    });
  }

  async #readTopics(reader: TopicReader): Promise<void> {
    for await (const items of reader.items) {
      for (const item of items) {
        if (item.kind === 'record' && item.topic !== this.#deadTopic) {
          const schemaId = wireSchemaId(item.value);
          // Only the first record of a schema waits; the rest of the loop never leaves the event loop's turn.
          if (schemaId !== null && this.#schemas.known(schemaId) === undefined) await this.#schemas.decoder(schemaId);
        }
        this.#item(item);
      }
    }
  }

  #item(item: ReaderItem): void {
    if (item.kind === 'topic') this.#ends.topic(item.topic, item.partitions);
    else if (item.kind === 'end') this.#ends.end(item.topic, item.partition, this.#io.clock.nowMs());
    else if (item.kind === 'notice') this.#notice = item.text;
    else {
      if (item.topic === this.#deadTopic) this.#deadLetter(item);
      else this.#envelope(item);
      this.#ends.record(item.topic, item.partition);
    }
  }

  #envelope(record: ReadRecord): void {
    const { topic, partition, offset, timestampMs } = record;
    const watchedSinceMs = this.#options.follow ? this.#ends.followedSinceMs(topic) : null;
    const observed = {
      topicTenant: this.#tenants.get(topic) ?? '',
      topic,
      partition,
      offset,
      timestampMs,
      key: record.key?.toString('utf8') ?? null,
      arrivalMs: watchedSinceMs === null ? null : record.arrivalMs,
      ...(watchedSinceMs !== null && { watchedSinceMs }),
      payloadRecord: null,
    };
    const schemaId = wireSchemaId(record.value);
    const decode = schemaId === null ? undefined : this.#schemas.known(schemaId);
    if (decode === undefined || record.value === null) {
      this.#books.undecodable(observed, 'it does not begin with the wire header of Avro');
      return;
    }
    try {
      this.#books.envelope({ ...observed, ...decode(record.value) });
    } catch (error) {
      this.#books.undecodable(observed, error instanceof Error ? error.message : String(error));
    }
  }

  #deadLetter({ topic, partition, offset, timestampMs, headers }: ReadRecord): void {
    this.#books.deadLetter({
      topic,
      partition,
      offset,
      timestampMs,
      connectionId: headers[HEADER.connection] ?? null,
      errorCode: headers[HEADER.errorCode] ?? null,
    });
  }

  /** 'complete', why it stops without being complete, or null to go on. */
  #stoppedBecause(nowMs: number): string | null {
    const { expected, seen, envelopes, defectsSoFar } = this.#books;
    const state = `${this.#lines} ${this.#manifestEnded} ${expected} ${seen} ${defectsSoFar}`;
    if (state !== this.#lastState) {
      this.#lastChangeMs = nowMs;
      this.#lastProgressMs = nowMs;
    }
    // Any record is progress while the backlog is read, and while the manifest, which is written in batches, may yet
    // explain it. After that records that do not concern the flood are not: they may never end.
    const mayConcern = !this.#ends.backlogRead || !this.#manifestEnded;
    if (envelopes !== this.#lastEnvelopes && mayConcern) this.#lastProgressMs = nowMs;
    this.#lastState = state;
    this.#lastEnvelopes = envelopes;
    const allSeen = this.#manifestEnded && seen >= expected;
    const settledAtMs = this.#lastChangeMs + this.#options.settleMs;
    if (allSeen && nowMs >= settledAtMs && this.#ends.readSince(settledAtMs)) return COMPLETE;
    if (this.#io.signal?.aborted) return 'it was stopped from outside';
    const overdue = nowMs - this.#startedAtMs >= this.#options.deadlineMs;
    if (!overdue && nowMs - this.#lastProgressMs < this.#options.timeoutMs) return null;
    const waitedFor = !this.#manifestEnded
      ? 'the manifest to end'
      : allSeen
        ? 'the reader to reach the end of the topics'
        : `${number(expected - seen)} envelopes`;
    const notice = this.#notice === '' ? '' : ` (the reader last said: ${this.#notice})`;
    const why = overdue ? 'the deadline has passed' : `no progress for ${this.#options.timeoutMs} ms`;
    return `${why}, waiting for ${waitedFor}${notice}`;
  }

  #progressLine(reader: TopicReader): string {
    const { expected, seen, defectsSoFar } = this.#books;
    const { atEnd, all } = this.#ends.tally;
    const manifest = this.#manifestEnded ? '' : `, manifest at ${number(this.#lines)} lines`;
    const defects = defectsSoFar === 0 ? '' : `, ${number(defectsSoFar)} defects`;
    return `verify: ${number(seen)} of ${number(expected)} envelopes${defects}${manifest}; ${reader.name} at the end of ${atEnd} of ${all} partitions`;
  }

  #report(reader: TopicReader, stoppedBecause: string): VerifyReport {
    const { latenciesMs, ...books } = this.#books.report();
    const complete = stoppedBecause === COMPLETE;
    return {
      manifest: { path: this.#options.manifest, footer: this.#footer, torn: this.#torn },
      reader: { name: reader.name, client: reader.client, endIsProven: reader.endIsProven },
      schemas: { ...this.#schemas.used },
      complete,
      stoppedBecause,
      elapsedMs: this.#io.clock.nowMs() - this.#startedAtMs,
      ...books,
      latency: latencySummary(latenciesMs),
      ok: complete && books.defectTotal === 0,
    };
  }
}

const COMPLETE = 'complete';

function openLogOf(io: VerifyIo): { openLog?: () => Promise<Log> } {
  return io.openLog === undefined ? {} : { openLog: io.openLog };
}
