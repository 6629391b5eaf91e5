/**
 * A KafkaJS consumer that does not fall over: what group members and the partition reader have in common.
 *
 *   connecting ─► joined ⇄ rebalancing        any ── passing error ─► waiting ─► connecting (a new client)
 *                                             any ── hopeless error ─► gone
 *
 * C1 every assigned partition is paused synchronously when the group is joined, before the first fetch
 * C2 records are handed on only for partitions that are assigned and resumed now, with no seek pending; anything else is
 *    left where it is and fetched again
 * C3 exactly the last record handed on is resolved, which makes KafkaJS step over trailing markers too; nothing is committed
 * C4 a handler that throws does not reach KafkaJS, which would stop for good on a TypeError and say so to nobody: the
 *    partition is paused with the records unread and the error is reported
 * C5 after a crash the client is replaced by a new one; KafkaJS's own restart keeps state that may be what broke it
 * C6 a client that goes silent is replaced too: without an accepted heartbeat for a session timeout the group has given our
 *    partitions away, while KafkaJS may wait through minutes of request timeouts on a dead connection
 */
import type { Consumer, EachBatchPayload, PartitionAssigner } from 'kafkajs';
import { CodedError } from '../../base/errors.ts';
import type { LogRecord, TopicPartition } from '../port.ts';
import { coded, isHopeless, isUnknownTopic, messageOf } from './failures.ts';
import { toRecords } from './messages.ts';
import { type ClientOptions, createKafka } from './settings.ts';
import { retrying, withDeadline } from './waiting.ts';

/** A fetcher with nothing to fetch sleeps this long before it sees a resume. */
const MAX_WAIT_MS = 100;
/** So much is handed over at once, whatever the delay. */
const MAX_DELAYED_BYTES = 262_144;
const RESTART_MIN_MS = 250;
const RESTART_MAX_MS = 5_000;
const CLOSE_TIMEOUT_MS = 15_000;
const WATCHES_PER_SESSION = 4;
const MIN_REBALANCE_TIMEOUT_MS = 10_000;

/** Each call returns at once. */
export interface ConsumerEvents {
  /** All of them paused (C1). */
  joined(partitions: readonly TopicPartition[]): void;
  /** A rebalance has begun, or the client was lost and is being replaced. */
  rebalancing(): void;
  /** A heartbeat sent at or after `atMs`, in the current generation, was accepted. */
  heartbeat(atMs: number): void;
  records(topic: string, partition: number, records: LogRecord[]): void;
  /** Of the offsets `from` to before `to`, those that can be read have been handed on, or there are none. */
  passed?(topic: string, partition: number, from: number, to: number): void;
  /** The fetch position was outside the log; reading goes on at the log start. */
  positionReset(topic: string, partition: number): void;
  /** Fatal: nothing follows. */
  gone(error: CodedError): void;
  /** `records` threw (C4). */
  handlerFailed(partition: TopicPartition, error: unknown): void;
}

export interface ConsumerOptions {
  readonly client: ClientOptions;
  readonly groupId: string;
  /**
   * A private group: each client joins one of its own, `groupId` with a number behind. In the old one a client that
   * replaces a dead one would wait until the broker has noticed the death, a whole session.
   */
  readonly isPrivate?: boolean;
  readonly topics: readonly string[];
  readonly assigner: PartitionAssigner;
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly maxBytesPerPartition: number;
  readonly maxBytes: number;
  /** See GroupOptions. */
  readonly fetchDelayMs?: number | undefined;
  readonly events: ConsumerEvents;
}

interface PartitionState {
  paused: boolean;
}

export class ManagedConsumer {
  readonly #options: ConsumerOptions;
  readonly #partitions = new Map<string, PartitionState>();
  #consumer: Consumer | undefined;
  #joined = false;
  #joinedAtMs = 0;
  /** When the coordinator last let us join or accepted a heartbeat. */
  #aliveAtMs = 0;
  #heartbeatSentAtMs = 0;
  #closed = false;
  #established = false;
  #restart: NodeJS.Timeout | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #starting: Promise<void> = Promise.resolve();
  #restarts = 0;
  #clients = 0;

  private constructor(options: ConsumerOptions) {
    this.#options = options;
  }

  /** Resolves when the group has been joined for the first time; a coordinator that is not there yet is waited for. */
  static async start(options: ConsumerOptions): Promise<ManagedConsumer> {
    const managed = new ManagedConsumer(options);
    const doing = `Joining group ${options.groupId}`;
    const attempt = async () => {
      managed.#starting = managed.#start();
      await managed.#starting.catch((error) => {
        managed.#discard();
        throw error;
      });
    };
    try {
      const timeoutMs = options.client.settings.operationTimeoutMs;
      const worthRetrying = (error: unknown) => !isHopeless(error) && !isUnknownTopic(error);
      await retrying(attempt, { doing, timeoutMs, firstPauseMs: 100, maxPauseMs: 1_000, worthRetrying });
      managed.#established = true;
      managed.#watchdog = setInterval(() => managed.#watch(), options.sessionTimeoutMs / WATCHES_PER_SESSION);
    } catch (error) {
      managed.#closed = true;
      managed.#discard();
      throw coded(error, doing);
    }
    return managed;
  }

  seek({ topic, partition }: TopicPartition, offset: number): void {
    if (this.#stateOf(topic, partition) === undefined) return;
    this.#consumer?.seek({ topic, partition, offset: String(offset) });
  }

  pause({ topic, partition }: TopicPartition): void {
    const state = this.#stateOf(topic, partition);
    if (state === undefined || state.paused) return;
    state.paused = true;
    this.#consumer?.pause([{ topic, partitions: [partition] }]);
  }

  resume({ topic, partition }: TopicPartition): void {
    const state = this.#stateOf(topic, partition);
    if (state === undefined || !state.paused) return;
    state.paused = false;
    this.#consumer?.resume([{ topic, partitions: [partition] }]);
  }

  isAssigned({ topic, partition }: TopicPartition): boolean {
    return this.#stateOf(topic, partition) !== undefined;
  }

  get joined(): boolean {
    return this.#joined;
  }

  /** The group its present client is in. */
  get groupId(): string {
    const { groupId, isPrivate } = this.#options;
    return isPrivate === true ? `${groupId}-${this.#clients}` : groupId;
  }

  /** Leaves the group; no event follows. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#end();
    const doing = `Leaving group ${this.#options.groupId}`;
    const leave = async () => {
      // KafkaJS forgets to leave when stopped while it joins. A private group nobody waits for need not be left.
      if (this.#options.isPrivate !== true) await this.#starting.catch(() => undefined);
      const consumer = this.#consumer;
      this.#consumer = undefined;
      await consumer?.disconnect();
    };
    await withDeadline(leave(), CLOSE_TIMEOUT_MS, doing).catch((error) => {
      throw coded(error, doing);
    });
  }

  #stateOf(topic: string, partition: number): PartitionState | undefined {
    return this.#joined ? this.#partitions.get(`${topic}/${partition}`) : undefined;
  }

  async #start(): Promise<void> {
    const { client, topics, assigner, sessionTimeoutMs, heartbeatIntervalMs, fetchDelayMs } = this.#options;
    this.#clients += 1;
    const { groupId } = this;
    const hooks = { offsetReset: (topic: string, partition: number) => this.#offsetReset(topic, partition) };
    const consumer = createKafka({ ...client, hooks }).consumer({
      groupId,
      partitionAssigners: [assigner],
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: this.#rebalanceTimeoutMs,
      heartbeatInterval: heartbeatIntervalMs,
      maxWaitTimeInMs: fetchDelayMs ?? MAX_WAIT_MS,
      minBytes: fetchDelayMs === undefined ? 1 : MAX_DELAYED_BYTES,
      maxBytesPerPartition: this.#options.maxBytesPerPartition,
      maxBytes: this.#options.maxBytes,
      metadataMaxAge: 60_000,
      allowAutoTopicCreation: false,
      retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 5, restartOnFailure: async () => false }, // C5
    });
    const failedToJoin = Promise.withResolvers<never>();
    this.#consumer = consumer;
    this.#listen(consumer, (error) => failedToJoin.reject(error));
    const join = async () => {
      await consumer.connect();
      await consumer.subscribe({ topics: [...topics], fromBeginning: true });
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        eachBatch: async (payload) => this.#batch(consumer, payload),
      });
    };
    // A crash while joining makes run() resolve, and the CRASH event comes without anyone waiting for it.
    await Promise.race([join(), failedToJoin.promise]);
  }

  #listen(consumer: Consumer, failedToJoin: (error: Error) => void): void {
    const { events } = this.#options;
    const current = () => this.#consumer === consumer && !this.#closed;
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      if (!current()) return;
      this.#joinedAtMs = Date.now();
      this.#aliveAtMs = this.#joinedAtMs;
      const assignment = Object.entries(payload.memberAssignment);
      consumer.pause(assignment.map(([topic, partitions]) => ({ topic, partitions: [...partitions] }))); // C1
      this.#partitions.clear();
      const partitions = assignment
        .flatMap(([topic, numbers]) => numbers.map((partition) => ({ topic, partition })))
        .sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1));
      for (const { topic, partition } of partitions) this.#partitions.set(`${topic}/${partition}`, { paused: true });
      this.#joined = true;
      this.#restarts = 0;
      this.#guarded('joined', () => events.joined(partitions));
    });
    consumer.on(consumer.events.REBALANCING, () => {
      if (current()) this.#lost();
    });
    consumer.on(consumer.events.REQUEST, ({ payload }) => {
      // Emitted when the answer is in, just before HEARTBEAT; createdAt is no later than the moment of sending.
      if (payload.apiName === 'Heartbeat') this.#heartbeatSentAtMs = payload.createdAt;
    });
    consumer.on(consumer.events.HEARTBEAT, () => {
      if (!current() || !this.#joined) return;
      this.#aliveAtMs = Date.now();
      const atMs = this.#heartbeatSentAtMs;
      if (atMs >= this.#joinedAtMs) this.#guarded('heartbeat', () => events.heartbeat(atMs));
    });
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
      // Markers and aborted records alone: KafkaJS steps over them and calls nobody.
      if (!current() || payload.batchSize > 0 || payload.firstOffset === null) return;
      const { topic, partition, firstOffset, lastOffset } = payload;
      this.#passed(topic, partition, Number(firstOffset), Number(lastOffset) + 1);
    });
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      failedToJoin(payload.error);
      if (current()) this.#crashed(payload.error);
    });
  }

  #lost(): void {
    if (!this.#joined) return;
    this.#joined = false;
    this.#guarded('rebalancing', () => this.#options.events.rebalancing());
  }

  #batch(consumer: Consumer, { batch, resolveOffset, isStale }: EachBatchPayload): void {
    const { topic, partition, messages } = batch;
    const state = this.#stateOf(topic, partition);
    const last = messages.at(-1);
    if (this.#consumer !== consumer || this.#closed || last === undefined) return;
    if (state === undefined || state.paused || isStale()) return; // C2
    try {
      this.#options.events.records(topic, partition, toRecords(topic, partition, messages));
    } catch (error) {
      this.pause({ topic, partition }); // C4
      this.#guarded('handlerFailed', () => this.#options.events.handlerFailed({ topic, partition }, error));
      return;
    }
    resolveOffset(last.offset); // C3
    this.#passed(topic, partition, Number(last.offset) + 1, Number(batch.lastOffset()) + 1);
  }

  #passed(topic: string, partition: number, from: number, to: number): void {
    const { events } = this.#options;
    if (events.passed !== undefined) this.#guarded('passed', () => events.passed?.(topic, partition, from, to));
  }

  #offsetReset(topic: string, partition: number): void {
    if (!this.#closed) this.#guarded('positionReset', () => this.#options.events.positionReset(topic, partition));
  }

  #crashed(error: Error): void {
    if (!this.#established) return; // start() reports it
    this.#lost();
    this.#discard();
    if (isHopeless(error)) {
      this.#end();
      this.#guarded('gone', () =>
        this.#options.events.gone(coded(error, `The consumer of ${this.#options.groupId} stopped`)),
      );
      return;
    }
    this.#scheduleRestart(error);
  }

  /** C6. Joining may take as long as the slowest member has, and the request its own time. */
  #watch(): void {
    if (this.#consumer === undefined) return; // a new one is already on its way
    const { sessionTimeoutMs, client } = this.#options;
    const joiningMs = 2 * this.#rebalanceTimeoutMs + client.settings.requestTimeoutMs;
    const silentMs = Date.now() - this.#aliveAtMs;
    if (silentMs <= (this.#joined ? sessionTimeoutMs : joiningMs)) return;
    this.#crashed(new CodedError('log_unavailable', `The group coordinator has been silent for ${silentMs} ms`));
  }

  get #rebalanceTimeoutMs(): number {
    return Math.max(this.#options.sessionTimeoutMs, MIN_REBALANCE_TIMEOUT_MS);
  }

  #end(): void {
    this.#closed = true;
    clearTimeout(this.#restart);
    clearInterval(this.#watchdog);
  }

  #discard(): void {
    const consumer = this.#consumer;
    this.#consumer = undefined;
    this.#partitions.clear();
    this.#joined = false;
    consumer?.disconnect().catch(() => undefined); // given up; its errors say nothing new
  }

  #scheduleRestart(error: unknown): void {
    const delayMs = Math.min(RESTART_MAX_MS, RESTART_MIN_MS * 2 ** this.#restarts);
    this.#restarts = Math.min(this.#restarts + 1, 10);
    const { logger } = this.#options.client;
    const { groupId } = this.#options;
    logger.warn(
      { groupId, delayMs, restarts: this.#restarts, error: messageOf(error) },
      'Kafka consumer lost, rejoining',
    );
    this.#restart = setTimeout(() => {
      this.#aliveAtMs = Date.now();
      this.#starting = this.#start();
      this.#starting.catch((failure) => {
        if (this.#closed || this.#consumer === undefined) return; // closed, or CRASH has already dealt with it
        this.#crashed(failure instanceof Error ? failure : new Error(messageOf(failure)));
      });
    }, delayMs);
  }

  /** An event handler that throws is a programming error; it must not surface inside KafkaJS. */
  #guarded(event: string, call: () => void): void {
    try {
      call();
    } catch (error) {
      const { logger } = this.#options.client;
      logger.error(
        { groupId: this.#options.groupId, event, error: messageOf(error) },
        'A consumer event handler threw',
      );
      if (event !== 'gone') {
        this.#end();
        this.#discard();
        const fatal = new CodedError(
          'log_fatal',
          `The handler of ${event} threw: ${messageOf(error)}`,
          {},
          { cause: error },
        );
        this.#guarded('gone', () => this.#options.events.gone(fatal));
      }
    }
  }
}
