/**
 * The manifest of a flood, JSON Lines: a header, one line per send with its outcome, a footer. Written as the outcomes
 * come in, in batches, so memory does not grow with the count. Holds no tokens and no bodies.
 */
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { PlannedSend } from './deliveries.ts';
import type { FloodSettings, FloodTarget } from './options.ts';

export interface SendOutcome {
  readonly send: PlannedSend;
  readonly scheduledAtMs: number;
  /** When the last attempt was written; null when none was. */
  readonly sentAtMs: number | null;
  /** When the answer to the last attempt was in; null without an answer. */
  readonly answeredAtMs: number | null;
  /** HTTP status of the last attempt; 0 = no answer. */
  readonly status: number;
  readonly attempts: number;
  readonly error: string | null;
}

const BATCH_BYTES = 128 * 1024;
/** A reader may follow the manifest while it is written. */
const BATCH_MS = 100;
/** With more than this unwritten the flood stops sending until the disk has caught up. */
const MAX_BACKLOG_BYTES = 16 * 1024 * 1024;

export class ManifestWriter {
  readonly #stream: Writable;
  readonly #targets: readonly FloodTarget[];
  #batch = '';
  #timer: NodeJS.Timeout | null = null;
  #error: Error | null = null;

  constructor(stream: Writable, targets: readonly FloodTarget[]) {
    this.#stream = stream;
    this.#targets = targets;
    stream.on('error', (error) => {
      this.#error ??= error;
    });
  }

  /** The first write error; the flood must not go on without its manifest. */
  get error(): Error | null {
    return this.#error;
  }

  get isBehind(): boolean {
    return this.#stream.writableLength > MAX_BACKLOG_BYTES;
  }

  header(settings: FloodSettings, startedAtMs: number): void {
    const { seed, ...options } = settings;
    this.#line({
      kind: 'header',
      version: 1,
      seed,
      startedAtMs: rounded(startedAtMs),
      options,
      targets: this.#targets.map(({ tenantId, connectionId }) => ({ tenantId, connectionId })),
    });
    this.#flush();
  }

  send(outcome: SendOutcome): void {
    const { seq, delivery, duplicate } = outcome.send;
    const target = this.#targets[delivery.target] as FloodTarget;
    this.#line({
      kind: 'send',
      seq,
      tenant: target.tenantId,
      connection: target.connectionId,
      resource_type: delivery.event.type,
      resource_id: delivery.event.id,
      rev: delivery.event.rev,
      event_name: delivery.event.name,
      duplicate,
      scheduledAtMs: rounded(outcome.scheduledAtMs),
      sentAtMs: outcome.sentAtMs === null ? null : rounded(outcome.sentAtMs),
      answeredAtMs: outcome.answeredAtMs === null ? null : rounded(outcome.answeredAtMs),
      status: outcome.status,
      attempts: outcome.attempts,
      ...(outcome.error === null ? {} : { error: outcome.error }),
      expect: delivery.expect,
    });
  }

  /** Writes the footer and ends the stream; resolves when all of it is handed to the system. */
  async close(totals: object): Promise<void> {
    this.#line({ kind: 'footer', ...totals });
    this.#flush();
    if (this.#error !== null) throw this.#error;
    this.#stream.end();
    await finished(this.#stream);
  }

  #line(line: object): void {
    this.#batch += `${JSON.stringify(line)}\n`;
    if (this.#batch.length >= BATCH_BYTES) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), BATCH_MS);
  }

  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#batch === '' || this.#error !== null) return;
    this.#stream.write(this.#batch);
    this.#batch = '';
  }
}

/** Whole microseconds: finer than the clock is, and short to write. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
