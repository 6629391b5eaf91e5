/** The live poll of one stream of one connection: window after window, each page committed before the next is asked for. */
import { aborted } from '../../base/aborted.ts';
import { hasCode } from '../../base/errors.ts';
import type { ConnectionWithTokens } from '../../fibric/connection.ts';
import type { KustomerClient } from '../../kustomer/client/client.ts';
import { decodeLive, encodeLive } from './cursor-record.ts';
import type { StreamNote } from './health.ts';
import { Ledger } from './ledger.ts';
import { readPage } from './page-reader.ts';
import { answered, beginWindow, firstLiveState, type LiveState } from './plan.ts';
import type { Owned, PollEnvironment, PollOrigin } from './ports.ts';
import { reactTo } from './reaction.ts';
import type { StreamSpec } from './streams.ts';

export interface StreamOptions {
  readonly environment: PollEnvironment;
  readonly owned: Owned;
  readonly connection: ConnectionWithTokens;
  readonly client: KustomerClient;
  readonly spec: StreamSpec;
  /** Aborts when the connection or the partition is let go. */
  readonly signal: AbortSignal;
}

/** Never sooner than the interval would have it, and never all streams of all connections in the same moment. */
const JITTER = 0.15;
const FIRST_SPREAD_MS = 500;

/** Runs until the signal aborts. Rejects with what a commit rejects with; Kustomer's failures are its own to deal with. */
export async function pollStream(options: StreamOptions, note: StreamNote): Promise<void> {
  const { environment, connection, spec, signal } = options;
  const { clock, random, settings, observer } = environment;
  const { tenantId, connectionId, startedAtMs } = connection;
  const { pollIntervalMs } = connection.settings;
  const origin: PollOrigin = { tenantId, connectionId, stream: spec.name, channel: 'poll' };
  const live = { ...settings, overlapMs: settings.overlapMs + spec.lookbackMs };
  const ledger = openLedger(options, note);
  if (ledger === undefined) return aborted(signal);
  // Another beginning is another connection under the same id: what the one before had read is none of its business.
  const known = ledger.stored?.startedAtMs === startedAtMs ? ledger.stored : undefined;
  let state: LiveState = known ?? firstLiveState(startedAtMs, settings.overlapMs);
  let beganAtMs = 0;
  let searches = 0;
  let published = 0;
  await clock.sleep(random() * FIRST_SPREAD_MS, signal);
  while (!signal.aborted) {
    if (state.walk === null || searches === 0) {
      beganAtMs = clock.nowMs();
      searches = 0;
      published = 0;
    }
    const open = beginWindow(state, live, clock.nowMs());
    const page = await readPage({
      ...{ client: options.client, spec, walk: open.walk, pageSize: live.pageSize, lane: 'poll', signal },
      nowMs: () => clock.nowMs(),
    });
    if (signal.aborted) return;
    if ('failure' in page) {
      const failuresInARow = note.failuresInARow + 1;
      const { failure } = page;
      const nowMs = clock.nowMs();
      const reaction = reactTo({ failure, failuresInARow, intervalMs: pollIntervalMs, random: random(), nowMs });
      note.trouble(reaction.state, failure.message);
      observer.failed(origin, failure, reaction);
      await clock.sleep(reaction.waitMs, signal);
      continue;
    }
    const step = answered(open, page.answer, ledger.seen, live, page.serverMs);
    searches += 1;
    published += step.publish.length;
    const crowdedOut = await ledger.commit({ ...step, serverMs: page.serverMs, observedAtMs: page.observedAtMs });
    state = step.state;
    for (const alarm of step.alarms) observer.alarm(origin, alarm);
    if (crowdedOut > 0) observer.crowdedOut(origin, crowdedOut);
    observer.page(origin, {
      rows: page.answer.rows.length,
      published: step.publish,
      duplicates: step.duplicates,
    });
    if (!step.complete && !step.disordered) {
      note.progress('reading');
      continue;
    }
    if (step.disordered) note.trouble('disordered', step.alarms.map(({ message }) => message).join('; '));
    else {
      note.complete(open.walkStartedAtMs, clock.nowMs());
      observer.polled(origin, { searches, published, durationMs: clock.nowMs() - beganAtMs });
    }
    const dueMs = beganAtMs + pollIntervalMs * (1 - JITTER * random());
    searches = 0;
    await clock.sleep(Math.max(0, dueMs - clock.nowMs()), signal);
  }
}

function openLedger(options: StreamOptions, note: StreamNote): Ledger<LiveState> | undefined {
  const { owned, connection, spec, environment } = options;
  const { rawTopic, settings } = environment;
  const { stateRetentionMs } = settings;
  const common = {
    owned,
    connection,
    rawTopic,
    stateRetentionMs,
    stream: spec.name,
    channel: 'poll',
    name: spec.name,
  } as const;
  try {
    return new Ledger({ ...common, decode: decodeLive, encode: encodeLive });
  } catch (error) {
    if (!hasCode(error, 'cursor_unreadable')) throw error;
    note.trouble('unreadable', error.message);
    const { tenantId, connectionId } = connection;
    const origin: PollOrigin = { tenantId, connectionId, stream: spec.name, channel: 'poll' };
    environment.observer.failed(
      origin,
      { kind: 'config', code: error.code, message: error.message },
      {
        state: 'unreadable',
        waitMs: Number.POSITIVE_INFINITY,
      },
    );
    return undefined;
  }
}
