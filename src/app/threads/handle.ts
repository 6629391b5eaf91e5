/** One thread of the service, as the main thread sees it. */
import { Worker } from 'node:worker_threads';
import { fromPlain } from '../../base/plain-error.ts';
import type { FromThread, ProcessReport, ThreadData, ThreadReport, ToThread } from './protocol.ts';

/** How a thread ended: told to, or not. */
export type Ending = { readonly kind: 'stopped' } | { readonly kind: 'failed'; readonly error: unknown };

const REPORT_MS = 1_000;

export interface HandleOptions {
  readonly data: ThreadData;
  readonly program: URL;
  /** The thread was asked about the whole process. */
  readonly whole: () => Promise<ProcessReport>;
}

export class ThreadHandle {
  readonly #worker: Worker;
  readonly #up = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<Ending>();
  readonly #reports = new Map<number, (report: ThreadReport | null) => void>();
  #nextReport = 1;
  #told = false;
  #gone = false;

  constructor({ data, program, whole }: HandleOptions) {
    this.#worker = new Worker(program, { name: `service ${data.index}`, workerData: data, env: { ...data.env } });
    this.#worker.on('message', (message: FromThread) => {
      if (message.kind === 'up') this.#up.resolve();
      else if (message.kind === 'report') this.#answer(message.id, message.report);
      else if (message.kind === 'whole')
        void whole().then((report) => this.#tell({ kind: 'whole', id: message.id, report }));
      else if (message.kind === 'stopped') this.#end({ kind: 'stopped' });
      else this.#fail(message.error instanceof Error ? message.error : fromPlain(message.error));
    });
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', (code) => this.#fail(new Error(`thread ${data.index} ended with code ${code}`)));
  }

  /** Resolves once it is up; never if it does not get there. */
  get up(): Promise<void> {
    return this.#up.promise;
  }

  get ended(): Promise<Ending> {
    return this.#ended.promise;
  }

  stop(): void {
    if (this.#told) return;
    this.#told = true;
    this.#tell({ kind: 'stop' });
  }

  /** V3: for one that does not stop when told, and to clear away one that has. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  /** V4: null after REPORT_MS, or when the thread is gone. */
  report(): Promise<ThreadReport | null> {
    const id = this.#nextReport++;
    const { promise, resolve } = Promise.withResolvers<ThreadReport | null>();
    const timer = setTimeout(() => this.#answer(id, null), REPORT_MS);
    this.#reports.set(id, (report) => {
      clearTimeout(timer);
      resolve(report);
    });
    if (this.#gone) this.#answer(id, null);
    else this.#tell({ kind: 'report', id });
    return promise;
  }

  #tell(message: ToThread): void {
    if (!this.#gone) this.#worker.postMessage(message);
  }

  #answer(id: number, report: ThreadReport | null): void {
    this.#reports.get(id)?.(report);
    this.#reports.delete(id);
  }

  #fail(error: unknown): void {
    this.#end({ kind: 'failed', error });
  }

  /** The first reason counts: a thread that has failed exits as well. */
  #end(ending: Ending): void {
    this.#gone = true;
    for (const id of [...this.#reports.keys()]) this.#answer(id, null);
    this.#ended.resolve(ending);
  }
}
