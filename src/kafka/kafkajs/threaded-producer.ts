/**
 * A LogProducer whose KafkaJS client lives on a thread of its own. This side only packs records and waits.
 *
 *   append ─► pack ─► copy to shared memory ─► thread: group, compress, CRC, send, acks=all ─► settle
 *
 * Packing has memory of its own: V8 writes to shared memory with atomic stores, byte by byte unless source and target
 * are aligned alike. One copy of the whole batch is, and costs a tenth of what packing into it would.
 *
 * N1 one batch at a time is with the thread, and its memory is written again only after it was acknowledged: after a
 *    failure KafkaJS may still be repeating the request, so the next batch gets other memory
 * N2 every append settles: by the thread's answer, by the thread's end, or by a deadline a little after the thread's own
 * N3 a thread that died or fell silent is thrown away, and the next append starts a new one; what was with it may or may
 *    not have been written, which is what `log_unavailable` says of an append
 * N4 close() lets the batch under way settle first
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { CodedError } from '../../base/errors.ts';
import { fromPlain, type PlainError } from '../../base/plain-error.ts';
import type { Append, LogProducer } from '../port.ts';
import { coded, messageOf } from './failures.ts';
import { packBatch, roomFor } from './packed.ts';
import type { ClientOptions } from './settings.ts';
import type { FromThread, ThreadData, ToThread } from './thread-protocol.ts';
import { withDeadline } from './waiting.ts';

/** What the thread gets beyond its own deadline before it counts as silent. */
const GRACE_MS = 5_000;
/** Memory that has grown beyond this is not kept; a batch of ordinary size never gets there. */
const MAX_KEPT_BYTES = 8 << 20;
const NOTHING: Buffer = Buffer.alloc(0);
const NO_MEMORY: Buffer<SharedArrayBuffer> = Buffer.from(new SharedArrayBuffer(0));

interface Thread {
  readonly worker: Worker;
  readonly port: MessagePort;
  /** What batches are copied to, known to both sides. */
  memory: Buffer<SharedArrayBuffer>;
  /** Settles the question put to the thread: open, append or close; one at a time. */
  answer: PromiseWithResolvers<void> | undefined;
  /** Why it is gone. */
  ended: CodedError | undefined;
}

export interface ThreadedOptions extends ClientOptions {
  /** The program of the thread; another one in tests. */
  readonly program?: URL;
}

export class ThreadedProducer implements LogProducer {
  readonly #options: ThreadedOptions;
  #thread: Thread | undefined;
  #scratch = NOTHING;
  #underWay: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(options: ThreadedOptions) {
    this.#options = options;
  }

  static async open(options: ThreadedOptions): Promise<ThreadedProducer> {
    const producer = new ThreadedProducer(options);
    await producer.#started();
    return producer;
  }

  append(records: readonly Append[]): Promise<void> {
    if (this.#closed) return Promise.reject(new CodedError('shutting_down', 'The producer is closed'));
    if (records.length === 0) return Promise.resolve();
    const appended = this.#append(records);
    this.#underWay = appended.catch(() => undefined);
    return appended;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#underWay; // N4; bounded by N2
    const thread = this.#thread;
    if (thread === undefined) return;
    try {
      await this.#ask(thread, { kind: 'close' }, 'Closing a producer');
    } finally {
      this.#discard(thread, new CodedError('shutting_down', 'The producer is closed'));
    }
  }

  async #append(records: readonly Append[]): Promise<void> {
    const thread = this.#thread ?? (await this.#started());
    const { bytes, length } = packBatch(records, Date.now(), this.#scratch);
    const known = thread.memory;
    const memory = known.length >= length ? known : Buffer.from(new SharedArrayBuffer(roomFor(length)));
    memory.set(bytes.subarray(0, length));
    this.#scratch = bytes.length > MAX_KEPT_BYTES ? NOTHING : bytes;
    thread.memory = memory.length > MAX_KEPT_BYTES ? NO_MEMORY : memory;
    const news = memory === known ? {} : { memory: memory.buffer };
    await this.#ask(thread, { kind: 'append', length, ...news }, 'Appending');
  }

  /** A connected thread. */
  async #started(): Promise<Thread> {
    const { settings, clientId, program } = this.#options;
    const { port1, port2 } = new MessageChannel();
    const data: ThreadData = { settings, clientId, port: port2 };
    const worker = new Worker(program ?? new URL('./producer-thread.ts', import.meta.url), {
      name: 'producer',
      workerData: data,
      transferList: [port2],
    });
    const thread: Thread = { worker, port: port1, memory: NO_MEMORY, answer: undefined, ended: undefined };
    this.#thread = thread;
    port1.on('message', (message: FromThread) => this.#heard(thread, message));
    worker.on('error', (error) => this.#discard(thread, coded(error, "The producer's thread failed")));
    worker.on('exit', () => this.#discard(thread, new CodedError('log_unavailable', "The producer's thread ended")));
    await this.#ask(thread, undefined, 'Opening a producer').catch((error) => {
      this.#discard(thread, coded(error, 'Opening a producer'));
      throw error;
    });
    return thread;
  }

  async #ask(thread: Thread, question: ToThread | undefined, doing: string): Promise<void> {
    if (thread.ended !== undefined) throw thread.ended;
    const answer = Promise.withResolvers<void>();
    thread.answer = answer;
    if (question !== undefined) thread.port.postMessage(question);
    const timeoutMs = this.#options.settings.operationTimeoutMs + GRACE_MS;
    try {
      await withDeadline(answer.promise, timeoutMs, doing);
    } catch (error) {
      // Not the thread's own answer, so it is silent or gone: N3
      if (thread.answer === answer) this.#discard(thread, coded(error, doing));
      throw error;
    }
  }

  #heard(thread: Thread, message: FromThread): void {
    if (message.kind === 'log') {
      this.#options.logger[message.level](message.fields, message.message);
      return;
    }
    if (message.error !== undefined) thread.memory = NO_MEMORY; // N1
    const answer = thread.answer;
    thread.answer = undefined;
    settle(answer, message.error);
  }

  #discard(thread: Thread, why: CodedError): void {
    if (thread.ended !== undefined) return;
    thread.ended = why;
    if (this.#thread === thread) this.#thread = undefined;
    thread.answer?.reject(why);
    thread.answer = undefined;
    thread.port.close();
    thread.worker.terminate().catch((error) => {
      this.#options.logger.warn({ error: messageOf(error) }, "the producer's thread could not be ended");
    });
  }
}

function settle(answer: PromiseWithResolvers<void> | undefined, error: PlainError | undefined): void {
  if (error === undefined) answer?.resolve();
  else answer?.reject(fromPlain(error));
}
