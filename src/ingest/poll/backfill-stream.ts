/**
 * The backfill of one stream of one connection: page after page for as long as it is wanted. The next page is asked for
 * while the last one is being committed, so that the search limit and not our own waiting sets the pace.
 */
import { hasCode } from '../../base/errors.ts';
import type { Failure } from '../../kustomer/client/outcome.ts';
import {
  type BackfillPart,
  type BackfillSettings,
  type BackfillState,
  type BackfillWish,
  backfillAnswered,
  firstBackfillState,
  planBackfill,
} from './backfill-plan.ts';
import { backfillName, decodeBackfill, encodeBackfill } from './cursor-record.ts';
import type { BackfillNote } from './health.ts';
import { Ledger, type Progress } from './ledger.ts';
import { type StreamOptions, sleepUntil } from './live-stream.ts';
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
  const { environment, connection, client, spec, signal } = options;
  const { clock, random, settings, observer, control } = environment;
  const { tenantId, connectionId, startedAtMs } = connection;
  const origin: PollOrigin = { tenantId, connectionId, stream: spec.name, channel: 'backfill' };
  const ledger = openLedger(options, note, origin);
  if (ledger === undefined) return sleepUntil(signal);
  const plan: BackfillSettings = { ...settings, beforeMs: liveFromMs(startedAtMs, settings.overlapMs) };
  const rate = new RateMeter();
  const wish = (): BackfillWish => ({ sinceMs: connection.settings.backfillSinceMs, ...control.get(connection) });
  /** Aborts what waits for Kustomer or the budget when another order comes. */
  let order = new AbortController();
  let either = AbortSignal.any([signal, order.signal]);
  const stopListening = control.onChange((scope) => {
    if (scope.connectionId === connectionId && scope.tenantId === tenantId) order.abort();
  });
  const ask = ({ part }: Running): Promise<Page> =>
    readPage({
      ...{ client, spec, walk: part.walk, pageSize: plan.pageSize, lane: 'backfill' as const },
      archive: part.phase === 'archive',
      signal: either,
      nowMs: () => clock.nowMs(),
    });
  const commit = async (progress: Progress<BackfillState>): Promise<void> => {
    const rows = await ledger.commit(progress);
    if (rows > 0) observer.crowdedOut(origin, rows);
  };
  const tell = (state: BackfillState): void => {
    const { status, rowsDone, rowsLeft, rowsPerSecond } = state;
    note.progress = { status, rowsDone, rowsLeft, rowsPerSecond };
    observer.backfill(origin, state);
  };

  const known = ledger.stored?.startedAtMs === startedAtMs ? ledger.stored : undefined;
  let state: BackfillState = known ?? firstBackfillState(startedAtMs, clock.nowMs());
  let ahead: { readonly of: BackfillPart; readonly page: Promise<Page> } | undefined;
  try {
    while (!signal.aborted) {
      if (order.signal.aborted) {
        order = new AbortController();
        either = AbortSignal.any([signal, order.signal]);
      }
      const planned = planBackfill(state, wish(), plan, clock.nowMs());
      if (planned !== state) {
        const bound = planned.part === null ? Number.POSITIVE_INFINITY : boundOf(planned.part.walk);
        await commit({ state: planned, publish: [], forgetBeforeMs: bound, observedAtMs: clock.nowMs() });
        state = planned;
      }
      tell(state);
      if (!isRunning(state)) {
        note.stream.progress('current');
        await sleepUntil(either);
        continue;
      }
      const asked = ahead?.of === state.part ? ahead.page : ask(state);
      ahead = undefined;
      const page = await asked;
      if (signal.aborted) return;
      if (order.signal.aborted) continue;
      if ('failure' in page) {
        const { failure } = page;
        const failuresInARow = note.stream.failuresInARow + 1;
        const nowMs = clock.nowMs();
        const reaction = reactTo({ failure, failuresInARow, intervalMs: RETRY_MAX_MS, random: random(), nowMs });
        note.stream.trouble(reaction.state, failure.message);
        observer.failed(origin, failure, reaction);
        await clock.sleep(reaction.waitMs, either);
        continue;
      }
      const step = backfillAnswered(state, page.answer, ledger.seen, plan, clock.nowMs());
      const next = { ...step.state, rowsPerSecond: rate.add(step.publish.length, clock.nowMs()) };
      if (!step.disordered && isRunning(next)) ahead = { of: next.part, page: ask(next) };
      await commit({ ...step, state: next, observedAtMs: page.observedAtMs });
      state = next;
      for (const alarm of step.alarms) observer.alarm(origin, alarm);
      observer.page(origin, {
        rows: page.answer.rows.length,
        published: step.publish,
        duplicates: step.duplicates,
      });
      if (step.disordered) {
        note.stream.trouble('disordered', step.alarms.map(({ message }) => message).join('; '));
        await clock.sleep(DISORDER_WAIT_MS, either);
      } else note.stream.progress('reading');
    }
  } finally {
    stopListening();
    order.abort();
    await ahead?.page; // never rejects for what Kustomer does, and soon ends: its signal has aborted
  }
}

const isRunning = (state: BackfillState): state is Running => state.status === 'running' && state.part !== null;

function openLedger(
  { owned, connection, spec, environment }: StreamOptions,
  note: BackfillNote,
  origin: PollOrigin,
): Ledger<BackfillState> | undefined {
  const { rawTopic, observer } = environment;
  const common = { owned, connection, rawTopic, stream: spec.name, channel: 'backfill' } as const;
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
