/** The poller's part against the model: a store that survives crashes, and what was published. */
import { decodeLive, encodeLive } from '../../../../src/ingest/poll/cursor-record.ts';
import {
  answered,
  beginWindow,
  firstLiveState,
  type LiveSettings,
  type LiveState,
  type LiveStep,
} from '../../../../src/ingest/poll/plan.ts';
import { queryOf } from '../../../../src/ingest/poll/query.ts';
import { Seen, type SeenChange, type SeenRange } from '../../../../src/ingest/poll/seen.ts';
import { type Row, STREAM_SPECS } from '../../../../src/ingest/poll/streams.ts';
import type { Alarm } from '../../../../src/ingest/poll/walk.ts';
import type { ModelServer, Version } from './model-server.ts';

export interface Window {
  readonly fromMs: number;
  readonly beganAtMs: number;
  readonly endedAtMs: number;
  readonly unread: boolean;
}

/** `ok` goes through; `fail`: no answer; `lose`: the answer is lost with the process; `die`: the process ends after the commit. */
export type Fate = 'ok' | 'fail' | 'lose' | 'die';

export class ModelPoller {
  readonly published: { readonly id: string; readonly rev: number; readonly atMs: number }[] = [];
  readonly known = new Map<string, number>();
  readonly windows: Window[] = [];
  readonly alarms: Alarm[] = [];
  crowdedOut = 0;
  disordered = 0;
  readonly #server: ModelServer;
  readonly #settings: LiveSettings;
  readonly #serverMs: () => number;
  readonly #maxSeen: number;
  readonly #slots = new Map<number, Buffer>();
  #record: Buffer;
  #state: LiveState;
  #seen: Seen;
  /** Not the poller's knowledge: the test's, so it outlives crashes. */
  #beganAtMs: number | null = null;
  #unread = false;

  constructor(
    server: ModelServer,
    settings: LiveSettings,
    options: { readonly serverMs: () => number; readonly maxSeen?: number },
  ) {
    this.#server = server;
    this.#settings = settings;
    this.#serverMs = options.serverMs;
    this.#maxSeen = options.maxSeen ?? 10_000;
    this.#state = firstLiveState(server.nowMs, settings.overlapMs);
    this.#seen = new Seen(this.#maxSeen);
    this.#record = encodeLive({ state: this.#state, seen: this.#seen.range });
  }

  get state(): LiveState {
    return this.#state;
  }

  get seenRows(): number {
    return this.#seen.size;
  }

  /** One request with its consequences. */
  step(fate: Fate = 'ok'): void {
    const state = beginWindow(this.#state, this.#settings, this.#serverMs());
    if (this.#beganAtMs === null || this.#state.walk === null) {
      this.#beganAtMs = this.#server.nowMs;
      this.#unread = false;
    }
    if (fate === 'fail') return;
    const spec = STREAM_SPECS.conversations;
    const answer = this.#server.search(queryOf(spec, state.walk, this.#settings.pageSize));
    if (fate === 'lose') {
      this.restart();
      return;
    }
    const step = answered(state, answer, this.#seen, this.#settings, this.#serverMs());
    this.#commit(step, state.walk.fromMs);
    if (fate === 'die') this.restart();
  }

  /** Until a window has been read to its end. */
  poll(maxSteps = 10_000): void {
    const windows = this.windows.length;
    for (let step = 0; this.windows.length === windows; step += 1) {
      if (step >= maxSteps) throw new Error('the window does not end');
      this.step();
    }
  }

  restart(): void {
    const { state, seen } = decodeLive('key', this.#record);
    this.#state = state;
    this.#seen = Seen.restore(seen, (slot) => this.#slots.get(slot), this.#maxSeen);
  }

  #commit(step: LiveStep<unknown>, fromMs: number): void {
    const change = this.#seen.plan(step.publish, step.forgetBeforeMs);
    this.#write(step.state, change);
    for (const row of step.publish) this.#publish(row);
    this.alarms.push(...step.alarms);
    this.crowdedOut += change.crowdedOut;
    if (step.alarms.some(({ code }) => code === 'poll_rows_unread')) this.#unread = true;
    if (step.disordered) {
      this.disordered += 1;
      this.#beganAtMs = null;
    }
    if (!step.complete) return;
    this.windows.push({
      fromMs,
      beganAtMs: this.#beganAtMs ?? this.#server.nowMs,
      endedAtMs: this.#server.nowMs,
      unread: this.#unread,
    });
    this.#beganAtMs = null;
  }

  #write(state: LiveState, change: SeenChange): void {
    const range: SeenRange = change.range;
    this.#record = encodeLive({ state, seen: range });
    for (const [slot, value] of change.slots) {
      if (value === null) this.#slots.delete(slot);
      else this.#slots.set(slot, value);
    }
    this.#seen.apply(change);
    this.#state = state;
  }

  #publish({ id, rev }: Row): void {
    this.published.push({ id, rev: rev as number, atMs: this.#server.nowMs });
    this.known.set(id, Math.max(this.known.get(id) ?? 0, rev as number));
  }
}

/** Versions that were to be seen all through a window and were not published, at this revision or a later one. */
export function missed(server: ModelServer, poller: ModelPoller): readonly Version[] {
  return poller.windows.flatMap((window) => {
    if (window.unread) return [];
    return [...server.versions.values()].flatMap((versions) =>
      versions.filter((version, index) => {
        const supersededAtMs = Math.min(
          ...versions.slice(index + 1).map(({ visibleAtMs }) => visibleAtMs),
          Number.POSITIVE_INFINITY,
        );
        const isThere = version.visibleAtMs <= window.beganAtMs && supersededAtMs > window.endedAtMs;
        if (!isThere || version.timeMs < window.fromMs) return false;
        return !poller.published.some(
          ({ id, rev, atMs }) => id === version.id && rev >= version.rev && atMs <= window.endedAtMs,
        );
      }),
    );
  });
}
