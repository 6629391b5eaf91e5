/**
 * A read position that delivers what becomes readable, one batch a turn.
 *
 * R1 Records come in offset order, each at most once between two seeks.
 * R2 After `pause` or `stop` returns nothing is delivered.
 * R3 A position outside the log is moved to the log start, as KafkaJS does with `fromBeginning`.
 */
import type { LogRecord } from '../port.ts';
import type { Partition } from './partition.ts';

export interface CursorOptions {
  readonly log: Partition;
  readonly position: number;
  readonly maxBytes: number;
  /** False while the process is suspended or the broker down; whoever changes that calls `wake`. */
  readonly mayRun: () => boolean;
  readonly defer: (work: () => void) => void;
  /** Must not throw. */
  readonly deliver: (records: readonly LogRecord[]) => void;
  /** Everything readable below this offset was delivered. Must not throw. */
  readonly passed?: (nextOffset: number) => void;
}

export class Cursor {
  readonly #options: CursorOptions;
  readonly #unwatch: () => void;
  #position: number;
  #paused: boolean;
  #stopped = false;
  #scheduled = false;

  constructor(options: CursorOptions, initially: 'paused' | 'running') {
    this.#options = options;
    this.#position = options.position;
    this.#paused = initially === 'paused';
    this.#unwatch = options.log.watch(() => this.wake());
    this.wake();
  }

  seek(offset: number): void {
    this.#position = offset;
    this.wake();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.wake();
  }

  stop(): void {
    this.#stopped = true;
    this.#unwatch();
  }

  wake(): void {
    if (this.#scheduled || !this.#mayRun()) return;
    this.#scheduled = true;
    this.#options.defer(() => {
      this.#scheduled = false;
      this.#deliverNext();
    });
  }

  #deliverNext(): void {
    if (!this.#mayRun()) return;
    const { log, maxBytes, deliver, passed } = this.#options;
    const { low, high } = log.watermarks;
    if (this.#position < low || this.#position > high) this.#position = low; // R3
    const records = log.read(this.#position, maxBytes);
    const last = records.at(-1);
    if (last === undefined) {
      this.#position = Math.max(this.#position, log.lastStableOffset); // over markers and what was aborted
      passed?.(this.#position);
      return;
    }
    // Moved before the delivery, so that a seek made inside it stands.
    this.#position = last.offset + 1;
    deliver(records);
    this.wake();
  }

  #mayRun(): boolean {
    return !this.#stopped && !this.#paused && this.#options.mayRun();
  }
}
