/**
 * A flood of signed webhooks, open loop: the schedule does not wait for answers.
 *
 * Invariants (test/unit/simulator/flood.test.ts cites them):
 * F1 Send i of a flood at rate r is scheduled at start + i/r, whatever became of the sends before it. When it cannot be
 *    written in time (all connections busy, too much in flight) it goes out late and its lateness is recorded.
 * F2 Latency counts from the scheduled time, so a stalled receiver is not flattered (no coordinated omission).
 * F3 A send that was begun ends in exactly one manifest line: accepted (2xx), or with the last status after its retries.
 * F4 In flight (begun, not ended, waiting retries included) never exceeds `maxInFlight`; prepared sends, the manifest's
 *    backlog and the time the flood may take are bounded too.
 * F5 The token of a target leaves this process only as a signature.
 */
import type { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Fifo } from '../fifo.ts';
import { Heap } from '../heap.ts';
import { createRandom, type Random } from '../model/random.ts';
import { floodSends, type PlannedSend, plannedSends } from './deliveries.ts';
import { Lane } from './lane.ts';
import { ManifestWriter } from './manifest.ts';
import { type FloodOptions, type FloodSettings, type FloodTarget, floodSettings } from './options.ts';
import type { FloodOutcome, FloodProgress, FloodReport } from './report.ts';
import { RETRY_RULES, retryDelayMs } from './retry.ts';
import { Tally } from './tally.ts';

export interface FloodIo {
  /** Ended and flushed when `runFlood` resolves. */
  readonly manifest?: Writable | undefined;
  /** Called about once a second, and once at the end. */
  readonly progress?: ((progress: FloodProgress) => void) | undefined;
  /** Stops the flood; what is under way is reported as not accepted. */
  readonly signal?: AbortSignal | undefined;
}

/** Prepared sends: enough to ride out a slow moment of the generator, about 16 MiB of bodies. */
const PREPARED_SENDS = 8192;
/** Prepared in one go between two looks at the schedule: well under a millisecond. */
const PREPARE_CHUNK = 8;
const PROGRESS_MS = 1000;

/**
 * Runs a flood to its end. Rejects on invalid options and when the manifest cannot be written, never for what the
 * receiver does: that is in the report.
 */
export async function runFlood(
  options: FloodOptions,
  targets: readonly FloodTarget[],
  io: FloodIo = {},
): Promise<FloodReport> {
  return new Flood(floodSettings(options, targets), targets, io).run();
}

/** A send under way. */
interface Flight {
  readonly send: PlannedSend;
  readonly scheduledAtMs: number;
  sentAtMs: number | null;
  answeredAtMs: number | null;
  status: number;
  attempts: number;
  error: string | null;
}

interface Route {
  readonly lane: Lane;
  readonly path: string;
}

class Flood {
  readonly #settings: FloodSettings;
  readonly #io: FloodIo;
  readonly #planned: number;
  readonly #source: Iterator<PlannedSend>;
  readonly #lanes: readonly Lane[];
  /** By target. */
  readonly #routes: readonly Route[];
  readonly #manifest: ManifestWriter | null;
  readonly #tally = new Tally();
  readonly #jitter: Random;
  readonly #prepared = new Fifo<PlannedSend>();
  readonly #retries = new Heap<Flight>();
  #exhausted = false;
  #startMs = 0;
  #admitted = 0;
  #inFlight = 0;
  #outcome: FloodOutcome | null = null;
  #wake: (() => void) | null = null;
  #wakeAtMs = 0;

  constructor(settings: FloodSettings, targets: readonly FloodTarget[], io: FloodIo) {
    this.#settings = settings;
    this.#io = io;
    this.#planned = plannedSends(settings);
    this.#source = floodSends(settings, targets);
    this.#jitter = createRandom(`jitter:${settings.seed}`);
    this.#manifest = io.manifest === undefined ? null : new ManifestWriter(io.manifest, targets);
    const urls = targets.map((target) => new URL(target.url));
    const origins = [...new Set(urls.map((url) => url.origin))];
    const connections = Math.max(1, Math.floor(settings.connections / origins.length));
    const lanes = new Map(
      origins.map((origin) => [origin, new Lane({ origin, connections, answerTimeoutMs: settings.answerTimeoutMs })]),
    );
    this.#lanes = [...lanes.values()];
    this.#routes = urls.map((url) => ({ lane: lanes.get(url.origin) as Lane, path: url.pathname + url.search }));
  }

  async run(): Promise<FloodReport> {
    while (this.#prepare()) await nextTurn();
    const cpu = process.cpuUsage();
    this.#startMs = nowMs();
    this.#manifest?.header(this.#settings, this.#startMs);
    const progress = setInterval(() => this.#report(), PROGRESS_MS);
    const abort = (): void => this.#stop('aborted');
    this.#io.manifest?.on('drain', () => this.#wake?.());
    this.#io.signal?.addEventListener('abort', abort, { once: true });
    if (this.#io.signal?.aborted) abort();
    try {
      await this.#loop();
    } finally {
      clearInterval(progress);
      this.#io.signal?.removeEventListener('abort', abort);
    }
    const elapsedMs = nowMs() - this.#startMs;
    for (const flight of this.#retries.clear()) this.#settle(flight);
    await Promise.all(this.#lanes.map((lane) => lane.close()));
    this.#report();
    const { user, system } = process.cpuUsage(cpu);
    const report = this.#tally.report(this.#outcome ?? 'complete', this.#settings, {
      planned: this.#planned,
      startedAtMs: this.#startMs,
      elapsedMs,
      cpuUs: user + system,
    });
    await this.#manifest?.close(report);
    return report;
  }

  async #loop(): Promise<void> {
    const endMs = this.#startMs + this.#settings.deadlineMs;
    while (this.#outcome === null && this.#tally.sent < this.#planned) {
      if (nowMs() >= endMs) return this.#stop('deadline');
      if (this.#manifest !== null && this.#manifest.error !== null) return this.#stop('aborted');
      this.#admit();
      if (this.#prepare()) await nextTurn();
      else await this.#untilSomethingIsDue(endMs);
    }
  }

  #stop(outcome: FloodOutcome): void {
    this.#outcome ??= outcome;
    this.#wake?.();
  }

  /** Prepares a few more sends; false when there is nothing to prepare or no room. */
  #prepare(): boolean {
    if (this.#exhausted || this.#prepared.size >= PREPARED_SENDS) return false;
    for (let made = 0; made < PREPARE_CHUNK; made += 1) {
      const { value, done } = this.#source.next();
      if (done) {
        this.#exhausted = true;
        return false;
      }
      this.#prepared.push(value);
    }
    return true;
  }

  /** Begins whatever is due: retries first, then the schedule. */
  #admit(): void {
    if (this.#outcome !== null) return;
    const now = nowMs();
    while ((this.#retries.peekKey() ?? Number.POSITIVE_INFINITY) <= now) this.#attempt(this.#retries.pop() as Flight);
    while (this.#inFlight < this.#settings.maxInFlight && this.#manifest?.isBehind !== true) {
      const scheduledAtMs = this.#scheduledAtMs(now);
      if (scheduledAtMs > now) break;
      const send = this.#prepared.shift();
      if (send === undefined) break;
      this.#admitted += 1;
      this.#inFlight += 1;
      const unsent = { sentAtMs: null, answeredAtMs: null, status: 0, attempts: 0, error: null };
      this.#attempt({ send, scheduledAtMs, ...unsent });
    }
    if (!this.#exhausted && this.#prepared.size < PREPARED_SENDS / 2) this.#wake?.();
  }

  /** When the next send is due (F1); flat out, now. */
  #scheduledAtMs(now: number): number {
    return this.#settings.rate === 0 ? now : this.#startMs + (this.#admitted / this.#settings.rate) * 1000;
  }

  #attempt(flight: Flight): void {
    const { delivery } = flight.send;
    const route = this.#routes[delivery.target] as Route;
    route.lane.submit({
      path: route.path,
      headers: [
        'content-type',
        'application/json',
        'x-kustomer-webhook-event',
        delivery.event.name,
        'x-kustomer-webhook-signature',
        delivery.signature,
      ],
      body: delivery.body,
      writing: () => {
        flight.attempts += 1;
        flight.sentAtMs = nowMs();
        if (flight.attempts === 1) this.#tally.began(flight, flight.sentAtMs);
      },
      answered: (status, retryAfter, error) => this.#answered(flight, status, retryAfter, error),
    });
  }

  #answered(flight: Flight, status: number, retryAfter: string | null, error: string | null): void {
    const now = nowMs();
    flight.status = status;
    flight.error = error;
    flight.answeredAtMs = status === 0 ? null : now;
    if (flight.sentAtMs !== null) this.#tally.attempted(flight.attempts, status, error);
    const rules = { ...RETRY_RULES, maxAttempts: this.#settings.maxAttempts };
    const delayMs = retryDelayMs({ status, attempts: flight.attempts, retryAfter }, rules, now, this.#jitter.next());
    if (delayMs === null || this.#outcome !== null) this.#settle(flight);
    else this.#retries.push(now + delayMs, flight);
    this.#admit();
    // What an answer makes possible may be due before the loop meant to look again.
    if (this.#tally.sent === this.#planned || this.#nextDueMs(now) < this.#wakeAtMs) this.#wake?.();
  }

  #settle(flight: Flight): void {
    this.#inFlight -= 1;
    this.#tally.settled(flight);
    this.#manifest?.send(flight);
  }

  /** When the loop has something to do that no answer will do for it. */
  #nextDueMs(now: number): number {
    const retryMs = this.#retries.peekKey() ?? Number.POSITIVE_INFINITY;
    const isFull = this.#inFlight >= this.#settings.maxInFlight || this.#manifest?.isBehind === true;
    const isBlocked = isFull || this.#prepared.size === 0;
    return isBlocked ? retryMs : Math.min(retryMs, this.#scheduledAtMs(now));
  }

  async #untilSomethingIsDue(endMs: number): Promise<void> {
    const now = nowMs();
    this.#wakeAtMs = Math.min(endMs, now + PROGRESS_MS, this.#nextDueMs(now));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, this.#wakeAtMs - now));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }

  #report(): void {
    this.#io.progress?.(this.#tally.progress(this.#planned, this.#inFlight, nowMs() - this.#startMs));
  }
}

/** The wall clock with the resolution and the steadiness of the monotonic one. */
function nowMs(): number {
  return performance.timeOrigin + performance.now();
}
