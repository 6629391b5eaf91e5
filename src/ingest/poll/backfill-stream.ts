/**
 * The backfill of one stream of one connection: page after page for as long as it is wanted. The next page is asked for
 * while the last one is being committed, so that the search limit and not our own waiting sets the pace.
 */
import { aborted } from '../../base/aborted.ts';
import { hasCode } from '../../base/errors.ts';
import type { Failure } from '../../kustomer/client/outcome.ts';
import {
  type BackfillPart,
  type BackfillSettings,
  type BackfillState,
  backfillAnswered,
  firstBackfillState,
  planBackfill,
} from './backfill-plan.ts';
import { backfillName, decodeBackfill, encodeBackfill } from './cursor-record.ts';
import type { BackfillNote } from './health.ts';
import { Ledger, type Progress } from './ledger.ts';
import type { StreamOptions } from './live-stream.ts';
import { type PageAnswered, readPage } from './page-reader.ts';
import { liveFromMs } from './plan.ts';
import type { PollOrigin } from './ports.ts';
import { RateMeter } from './rate-meter.ts';
import { reactTo } from './reaction.ts';
import { boundOf } from './walk.ts';

const DISORDER_WAIT_MS = 5_000;
const RETRY_MAX_MS = 30_000;

type Running = BackfillState & { readonly part: BackfillPart };
type Page = PageAnswered | { readonly failure: Failure };

/** Runs until the signal aborts. Rejects with what a commit rejects with. */
export async function backfillStream(options: StreamOptions, note: BackfillNote): Promise<void> {
  const { tenantId, connectionId } = options.connection;
  const origin: PollOrigin = { tenantId, connectionId, stream: options.spec.name, channel: 'backfill' };
  const ledger = openLedger(options, note, origin);
  if (ledger === undefined) return aborted(options.signal);
  await new BackfillRun(options, note, origin, ledger).run();
}

class BackfillRun {
  readonly #options: StreamOptions;
  readonly #note: BackfillNote;
  readonly #origin: PollOrigin;
  readonly #ledger: Ledger<BackfillState>;
  readonly #plan: BackfillSettings;
  readonly #rate = new RateMeter();
  #state: BackfillState;
  /** Aborts what waits for Kustomer or the budget when another order comes. */
  #order = new AbortController();
  /** That, or the end of everything. */
  #interrupted: AbortSignal;
  /** Asked for already; with the part it was asked for. */
  #ahead: { readonly of: BackfillPart; readonly page: Promise<Page> } | undefined;

  constructor(options: StreamOptions, note: BackfillNote, origin: PollOrigin, ledger: Ledger<BackfillState>) {
    const { connection, environment, signal } = options;
    const { startedAtMs } = connection;
    const { clock, settings } = environment;
    this.#options = options;
    this.#note = note;
    this.#origin = origin;
    this.#ledger = ledger;
    this.#plan = { ...settings, beforeMs: liveFromMs(startedAtMs, settings.overlapMs) };
    // Another beginning is another connection under the same id.
    const known = ledger.stored?.startedAtMs === startedAtMs ? ledger.stored : undefined;
    this.#state = known ?? firstBackfillState(startedAtMs, clock.nowMs());
    this.#interrupted = AbortSignal.any([signal, this.#order.signal]);
  }

  async run(): Promise<void> {
    const { signal, environment, connection } = this.#options;
    const stopListening = environment.control.onChange(({ tenantId, connectionId }) => {
      if (connectionId === connection.connectionId && tenantId === connection.tenantId) this.#order.abort();
    });
    try {
      while (!signal.aborted) {
        this.#takeOrders();
        await this.#replan();
        this.#tell();
        if (isRunning(this.#state)) await this.#readOn(this.#state);
        else {
          this.#note.stream.progress('current');
          await aborted(this.#interrupted);
        }
      }
    } finally {
      stopListening();
      this.#order.abort();
      await this.#ahead?.page; // never rejects for what Kustomer does, and soon ends: its signal has aborted
    }
  }

  #takeOrders(): void {
    if (!this.#order.signal.aborted) return;
    this.#order = new AbortController();
    this.#interrupted = AbortSignal.any([this.#options.signal, this.#order.signal]);
  }

  async #replan(): Promise<void> {
    const { environment, connection } = this.#options;
    const nowMs = environment.clock.nowMs();
    const wish = { sinceMs: connection.settings.backfillSinceMs, ...environment.control.get(connection) };
    const state = planBackfill(this.#state, wish, this.#plan, nowMs);
    if (state === this.#state) return;
    const forgetBeforeMs = state.part === null ? Number.POSITIVE_INFINITY : boundOf(state.part.walk);
    await this.#commit({ state, publish: [], forgetBeforeMs, serverMs: nowMs, observedAtMs: nowMs });
  }

  /** One page, or what came instead of it. */
  async #readOn(state: Running): Promise<void> {
    const asked = this.#ahead?.of === state.part ? this.#ahead.page : this.#ask(state);
    this.#ahead = undefined;
    const page = await asked;
    if (this.#interrupted.aborted) return;
    if ('failure' in page) await this.#failed(page.failure);
    else await this.#advance(state, page);
  }

  #ask({ part }: Running): Promise<Page> {
    const { client, spec, environment } = this.#options;
    return readPage({
      ...{ client, spec, walk: part.walk, pageSize: this.#plan.pageSize, lane: 'backfill' },
      archive: part.phase === 'archive',
      signal: this.#interrupted,
      nowMs: () => environment.clock.nowMs(),
    });
  }

  async #advance(before: Running, page: PageAnswered): Promise<void> {
    const { clock, observer } = this.#options.environment;
    const step = backfillAnswered(before, page.answer, this.#ledger.seen, this.#plan, clock.nowMs());
    const { publish, duplicates, alarms, disordered, forgetBeforeMs } = step;
    const state = { ...step.state, rowsPerSecond: this.#rate.add(publish.length, clock.nowMs()) };
    if (!disordered && isRunning(state)) this.#ahead = { of: state.part, page: this.#ask(state) };
    const { serverMs, observedAtMs } = page;
    await this.#commit({ state, publish, forgetBeforeMs, serverMs, observedAtMs });
    for (const alarm of alarms) observer.alarm(this.#origin, alarm);
    observer.page(this.#origin, { rows: page.answer.rows.length, published: publish, duplicates });
    if (!disordered) {
      this.#note.stream.progress('reading');
      return;
    }
    this.#note.stream.trouble('disordered', alarms.map(({ message }) => message).join('; '));
    await clock.sleep(DISORDER_WAIT_MS, this.#interrupted);
  }

  async #failed(failure: Failure): Promise<void> {
    const { clock, random, observer } = this.#options.environment;
    const failuresInARow = this.#note.stream.failuresInARow + 1;
    const nowMs = clock.nowMs();
    const reaction = reactTo({ failure, failuresInARow, intervalMs: RETRY_MAX_MS, random: random(), nowMs });
    this.#note.stream.trouble(reaction.state, failure.message);
    observer.failed(this.#origin, failure, reaction);
    await clock.sleep(reaction.waitMs, this.#interrupted);
  }

  async #commit(progress: Progress<BackfillState>): Promise<void> {
    const crowdedOut = await this.#ledger.commit(progress);
    this.#state = progress.state;
    if (crowdedOut > 0) this.#options.environment.observer.crowdedOut(this.#origin, crowdedOut);
  }

  #tell(): void {
    const { status, rowsDone, rowsLeft, rowsPerSecond } = this.#state;
    this.#note.progress = { status, rowsDone, rowsLeft, rowsPerSecond };
    this.#options.environment.observer.backfill(this.#origin, this.#state);
  }
}

const isRunning = (state: BackfillState): state is Running => state.status === 'running' && state.part !== null;

function openLedger(
  { owned, connection, spec, environment }: StreamOptions,
  note: BackfillNote,
  origin: PollOrigin,
): Ledger<BackfillState> | undefined {
  const { rawTopic, observer, settings } = environment;
  const { stateRetentionMs } = settings;
  const common = { owned, connection, rawTopic, stateRetentionMs, stream: spec.name, channel: 'backfill' } as const;
  try {
    return new Ledger({ ...common, name: backfillName(spec.name), decode: decodeBackfill, encode: encodeBackfill });
  } catch (error) {
    if (!hasCode(error, 'cursor_unreadable')) throw error;
    note.stream.trouble('unreadable', error.message);
    const failure = { kind: 'config', code: error.code, message: error.message } as const;
    observer.failed(origin, failure, { state: 'unreadable', waitMs: Number.POSITIVE_INFINITY });
    return undefined;
  }
}
