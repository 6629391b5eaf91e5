/** A day of one organisation, simulated: our lanes, the server's windows and another consumer, event by event. */
import {
  type BudgetConfig,
  type BudgetState,
  initialBudget,
  observe,
  request,
} from '../../../../src/kustomer/budget/budget.ts';
import type { CallKind, Lane } from '../../../../src/kustomer/budget/lanes.ts';
import { type ModelOptions, ServerModel } from './server-model.ts';

export interface DayOptions {
  readonly seed: number;
  readonly hours: number;
  readonly server: ModelOptions;
  readonly budget?: Partial<BudgetConfig>;
  /** How many calls the others want in a window, and how fast, as parts of the limit. */
  readonly others: (random: () => number) => { readonly part: number; readonly spreadMs: number };
  /** Backfill that always has work: of this kind. */
  readonly backfill: CallKind;
  readonly writesPerMinute: number;
  /** One way, ms. */
  readonly latencyMs: (random: () => number) => number;
}

export interface DayReport {
  readonly share: number;
  /** Whole windows only. */
  readonly windows: number;
  /** Ours ÷ min(our share, what the others left), summed over the windows. */
  readonly used: number;
  /** 429s in windows where the others kept to their share. */
  readonly refusedByUsAlone: number;
  readonly refusedInOverdrawnWindows: number;
  readonly overdrawnWindows: number;
  readonly mostInAWindow: number;
  readonly mostSearchesInAWindow: number;
  /** Sorted. From the wish to write until the start of the call that was answered, whatever lay between. */
  readonly writeWaitsMs: readonly number[];
  /** Sorted; of each wait what lay outside the spans in which the server would have refused anybody: ours to answer for. */
  readonly ownWriteWaitsMs: readonly number[];
  /** Part of all waiting for writes that nobody could have avoided. */
  readonly unavoidable: number;
  readonly pollWaitsMs: readonly number[];
  readonly searches: number;
}

export function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
}

interface Wish {
  readonly kind: CallKind;
  readonly sinceMs: number;
}

interface Event {
  readonly atMs: number;
  readonly run: () => void;
}

/** Ours may hold this many calls open. */
const MAX_OPEN = 32;

export function simulateDay(options: DayOptions): DayReport {
  const random = mulberry(options.seed);
  const server = new ServerModel(options.server);
  const startMs = 1_700_000_000_000;
  const endMs = startMs + options.hours * 3_600_000;
  const heap: Event[] = [];
  let nowMs = startMs;
  let state: BudgetState = initialBudget(options.budget);
  const waiting: Record<Lane, Wish[]> = {
    writes: [],
    probes: [],
    poll: [],
    backfill: [],
  };
  const waits: Record<Lane, { sinceMs: number; startedMs: number }[]> = {
    writes: [],
    probes: [],
    poll: [],
    backfill: [],
  };
  let wakeMs = Number.POSITIVE_INFINITY;

  const at = (atMs: number, run: () => void): void => {
    let child = heap.push({ atMs, run }) - 1;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if ((heap[parent] as Event).atMs <= (heap[child] as Event).atMs) break;
      [heap[parent], heap[child]] = [heap[child] as Event, heap[parent] as Event];
      child = parent;
    }
  };
  const next = (): Event | undefined => {
    const top = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return top;
    heap[0] = last;
    for (let parent = 0; ; ) {
      let least = parent;
      for (const child of [2 * parent + 1, 2 * parent + 2]) {
        if (child < heap.length && (heap[child] as Event).atMs < (heap[least] as Event).atMs) least = child;
      }
      if (least === parent) break;
      [heap[parent], heap[least]] = [heap[least] as Event, heap[parent] as Event];
      parent = least;
    }
    return top;
  };

  const call = (lane: Lane, { kind, sinceMs }: Wish): number | null => {
    const startedMs = nowMs;
    const answer = request(state, { lane, kind, nowMs });
    state = answer.state;
    if ('waitUntilMs' in answer) return answer.waitUntilMs;
    const { grant } = answer;
    at(nowMs + options.latencyMs(random), () => {
      const { status, headers } = server.ours(nowMs, kind === 'search');
      at(nowMs + options.latencyMs(random), () => {
        state = observe(state, { grant, status, headers, nowMs, random: random() });
        if (status === 429) waiting[lane].unshift({ kind, sinceMs });
        else waits[lane].push({ sinceMs, startedMs });
        pump();
      });
    });
    return null;
  };

  const pump = (): void => {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const lane of ['writes', 'probes', 'poll'] as const) {
      const queue = waiting[lane];
      while (queue.length > 0 && state.open.length < MAX_OPEN) {
        const untilMs = call(lane, queue[0] as Wish);
        if (untilMs !== null) {
          nextMs = Math.min(nextMs, untilMs);
          break;
        }
        queue.shift();
      }
    }
    while (state.open.length < MAX_OPEN) {
      const untilMs = call('backfill', waiting.backfill.shift() ?? { kind: options.backfill, sinceMs: nowMs });
      if (untilMs === null) continue;
      nextMs = Math.min(nextMs, untilMs);
      break;
    }
    nextMs = Math.max(nextMs, nowMs + 1);
    if (nextMs < wakeMs) {
      wakeMs = nextMs;
      at(nextMs, () => {
        if (wakeMs !== nextMs) return;
        wakeMs = Number.POSITIVE_INFINITY;
        pump();
      });
    }
  };

  const others = (): void => {
    const { part, spreadMs } = options.others(random);
    const calls = Math.floor(part * options.server.limit);
    for (let index = 0; index < calls; index += 1) at(nowMs + random() * spreadMs, () => server.theirs(nowMs));
    at(server.endOfWindow(nowMs), others);
  };
  const writes = (): void => {
    // One in ten comes with four more: a rule that closes conversations in a batch.
    const burst = random() < 0.1 ? 5 : 1;
    for (let index = 0; index < burst; index += 1) waiting.writes.push({ kind: 'call', sinceMs: nowMs });
    pump();
    at(nowMs + (-Math.log(1 - random()) * 60_000) / options.writesPerMinute, writes);
  };
  const poll = (): void => {
    for (let index = 0; index < 4; index += 1) waiting.poll.push({ kind: 'search', sinceMs: nowMs });
    pump();
    at(nowMs + 60_000, poll);
  };
  at(startMs, others);
  at(startMs + 10, writes);
  at(startMs + 20, poll);
  at(startMs + 30, pump);
  for (let event = next(); event !== undefined && event.atMs < endMs; event = next()) {
    nowMs = event.atMs;
    event.run();
  }

  const whole = [...server.windows.values()].slice(1, -1);
  const share = state.calls.limit;
  const { limit } = options.server;
  const othersShare = limit - share;
  const kept = (window: { theirs: number }): boolean => window.theirs <= othersShare;
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const waitsOf = (lane: Lane): number[] => waits[lane].map(({ sinceMs, startedMs }) => startedMs - sinceMs);
  const ownWaits = waits.writes.map(
    ({ sinceMs, startedMs }) => startedMs - sinceMs - server.exhaustedMs(sinceMs, startedMs),
  );
  const ascending = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
  return {
    share,
    windows: whole.length,
    used: sum(whole.map(({ ours }) => ours)) / sum(whole.map(({ theirs }) => Math.min(share, limit - theirs))),
    refusedByUsAlone: sum([...server.windows.values()].filter(kept).map(({ ourRefusals }) => ourRefusals)),
    refusedInOverdrawnWindows: sum(
      [...server.windows.values()].filter((window) => !kept(window)).map(({ ourRefusals }) => ourRefusals),
    ),
    overdrawnWindows: whole.filter((window) => !kept(window)).length,
    mostInAWindow: Math.max(...[...server.windows.values()].map(({ ours }) => ours)),
    mostSearchesInAWindow: Math.max(...[...server.windows.values()].map(({ ourSearches }) => ourSearches)),
    writeWaitsMs: ascending(waitsOf('writes')),
    ownWriteWaitsMs: ascending(ownWaits),
    unavoidable: 1 - sum(ownWaits) / Math.max(1, sum(waitsOf('writes'))),
    pollWaitsMs: ascending(waitsOf('poll')),
    searches: sum(whole.map(({ ourSearches }) => ourSearches)),
  };
}
