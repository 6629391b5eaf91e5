/**
 * Server-sent events of one tenant's topic.
 *
 * Every frame's `id` is the cursor behind it, so that a client which comes back with it (EventSource does so by itself, as
 * Last-Event-ID) goes on with the next one. A stream holds no queue: it is a place in the log (topic/flow.ts), and what the
 * client does not take stays there. All streams of a topic share one follow (topic/tail.ts).
 *
 * E1 From a cursor on each matching record is sent once, in the order of its partition; none twice, none left out.
 * E2 A client that reads slowly holds up nobody, and at most one piece per partition and the socket's buffer in memory.
 * E3 It ends when the service stops or the token has lost its right, soon and with a comment that says so.
 * E4 The place it begins at is told at once. Silence is broken every KEEP_ALIVE_MS, and where records went by that do not
 *    match, the place moves on with it.
 * E5 Who asks for what comes from now on gets what came after asking, however long it takes to open the topic.
 */
import { Readable } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import { CodedError } from '../../base/errors.ts';
import type { LogRecord } from '../../kafka/port.ts';
import { type Filter, mayMatch, type Shelf } from './shelf.ts';
import { Watch } from './stream-watch.ts';
import { Flow } from './topic/flow.ts';
import type { Positions } from './topic/positions.ts';
import type { Lease } from './topic/views.ts';

export interface StreamRequest<T> {
  readonly tenantId: string;
  /** `envelope` or `receipt`. */
  readonly event: string;
  readonly filter: Filter<T>;
  readonly start: StreamStart;
  /** False: what there is now, and no more. */
  readonly follow: boolean;
  /** The service stops, or the client is gone. */
  readonly signal: AbortSignal;
  readonly isLive: () => boolean;
  readonly clock: Clock;
}

export type StreamStart =
  | { readonly kind: 'now' }
  | { readonly kind: 'since'; readonly sinceMs: number }
  | { readonly kind: 'cursor'; readonly positions: Positions };

/** For a topic that is not there yet, and for what passes. */
const AGAIN_MS = 1_000;
/** Before a topic is opened again that has ended, or grown. */
const STALE_MS = 100;
const HIGH_WATER_BYTES = 65_536;
/** Partitions that are not named are read from their beginning. */
const BEGINNING: Positions = [0];
/** Records that do not match before somebody else has a turn. */
const TURN_RECORDS = 500;

export function eventStream<T, R>(shelf: Shelf<T, R>, request: StreamRequest<T>): Readable {
  return Readable.from(frames(shelf, request, request.clock.nowMs()), {
    objectMode: false,
    highWaterMark: HIGH_WATER_BYTES,
  });
}

async function* frames<T, R>(shelf: Shelf<T, R>, request: StreamRequest<T>, askedAtMs: number): AsyncGenerator<string> {
  const over = new AbortController();
  const watch = new Watch(request, over.signal);
  let place: Positions | StreamStart = request.start;
  try {
    yield ': stream open\n\n';
    while (watch.ending === null) {
      const lease = yield* patiently(watch, () => shelf.lease(request.tenantId));
      if (watch.ending !== null) {
        lease?.release();
        break;
      }
      if (lease === undefined) {
        if (!request.follow) return yield ': end\n\n';
        // Nothing was ever written: whatever comes is new.
        if (isStart(place) && place.kind === 'now') {
          place = BEGINNING;
          yield placeFrame(shelf.streamCursor(request.tenantId, place));
        }
        yield* waitFor(watch, request.clock.sleep(AGAIN_MS, watch.signal));
        continue;
      }
      try {
        const start: Positions | StreamStart = place;
        const from: Positions | undefined = isStart(start)
          ? yield* patiently(watch, () => positionsOf(start, lease, askedAtMs))
          : start;
        if (from === undefined) break;
        const { positions, isDone }: Pumped = yield* pump(shelf, request, { lease, watch, from });
        if (isDone) return yield ': end\n\n';
        place = positions;
      } finally {
        lease.release();
      }
      await watch.pause(STALE_MS);
    }
    yield watch.ending === 'revoked' ? ': the token is no longer valid\n\n' : ': the service is stopping\n\n';
  } finally {
    over.abort();
  }
}

interface Pumping {
  readonly lease: Lease;
  readonly watch: Watch;
  readonly from: Positions;
}

interface Pumped {
  /** Where it stands. */
  readonly positions: Positions;
  readonly isDone: boolean;
}

/** Until the lease is stale or the stream over (where it stands then), or, not following, until the present end is reached. */
async function* pump<T, R>(
  shelf: Shelf<T, R>,
  { tenantId, event, filter, start, follow, clock }: StreamRequest<T>,
  { lease, watch, from }: Pumping,
): AsyncGenerator<string, Pumped> {
  const { view, isStale } = lease;
  const flow = new Flow(view, from);
  const wanted = (record: LogRecord): boolean =>
    (start.kind !== 'since' || record.timestampMs >= start.sinceMs) && mayMatch(filter, record);
  const ends = follow ? null : (await view.bounds()).ends;
  const cursor = (): string => shelf.streamCursor(tenantId, flow.positions);
  let sent = from;
  let unmatched = 0;
  // Who loses the connection before anything came must know where to go on all the same.
  if (follow) yield placeFrame(cursor());
  while (watch.ending === null && !isStale()) {
    const { changed } = view.tail;
    const record = yield* patiently(watch, () => flow.next(watch.signal));
    if (record !== undefined && !isPast(record, ends)) {
      const entry = wanted(record) ? yield* patiently(watch, () => shelf.decode(record)) : undefined;
      if (watch.ending !== null) break;
      if (entry !== undefined && filter.matches(entry)) {
        const at = cursor();
        sent = flow.positions;
        unmatched = 0;
        yield frame(at, event, shelf.row(tenantId, entry, record, at));
      } else if (++unmatched % TURN_RECORDS === 0) await clock.sleep(0, watch.signal);
      continue;
    }
    if (ends !== null && flow.positions.every((position, partition) => position >= (ends[partition] ?? 0))) {
      return { positions: flow.positions, isDone: true };
    }
    if (record !== undefined) continue;
    yield* waitFor(watch, changed, () => {
      if (flow.positions.every((position, partition) => position === sent[partition])) return '';
      sent = flow.positions;
      return placeFrame(cursor());
    });
  }
  return { positions: flow.positions, isDone: false };
}

/** What passes is waited for: a stream that broke off would only begin again. Undefined when it is over meanwhile. */
async function* patiently<V>(watch: Watch, work: () => Promise<V>): AsyncGenerator<string, V | undefined> {
  while (watch.ending === null) {
    try {
      return await work();
    } catch (error) {
      const passes = error instanceof CodedError && (error.disposition === 'retry' || error.disposition === 'wait');
      if (!passes) throw error;
    }
    yield ': delayed\n\n';
    await watch.pause(AGAIN_MS);
  }
  return undefined;
}

function isPast({ partition, offset }: LogRecord, ends: Positions | null): boolean {
  return ends !== null && offset >= (ends[partition] ?? 0);
}

function isStart(place: Positions | StreamStart): place is StreamStart {
  return 'kind' in place;
}

async function positionsOf(start: StreamStart, { view }: Lease, askedAtMs: number): Promise<Positions> {
  if (start.kind === 'since') return view.since(start.sinceMs);
  const { highs, ends } = await view.bounds();
  if (start.kind === 'now') {
    // E5. A clock that is behind ours moves nothing: then it is the end.
    const since = await view.since(askedAtMs + 1);
    return ends.map((end, partition) => Math.min(end, since[partition] ?? end));
  }
  // A cursor of a topic that was made anew lies beyond its end.
  return start.positions.map((offset, partition) => Math.min(offset, highs[partition] ?? 0));
}

/** Until something comes, with a sign of life whenever it takes long. */
async function* waitFor(watch: Watch, coming: Promise<void>, moved: () => string = () => ''): AsyncGenerator<string> {
  const here = watch.wait(coming);
  while (!here.aborted) {
    if (await watch.isQuiet(here)) yield `: keep-alive\n\n${moved()}`;
  }
}

/** No event: only where the stream stands. */
function placeFrame(cursor: string): string {
  return `id: ${cursor}\n\n`;
}

function frame(cursor: string, event: string, row: unknown): string {
  return `id: ${cursor}\nevent: ${event}\ndata: ${JSON.stringify(row)}\n\n`;
}
