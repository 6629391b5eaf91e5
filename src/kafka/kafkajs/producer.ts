/**
 * Plain producer: acks from all in-sync replicas, no transaction.
 *
 * P1 one request at a time is asked of KafkaJS
 * P2 after a failure the client is thrown away and the next append makes a new one: KafkaJS keeps dead connections, and
 *    one unknown topic would make every later request of the same client fail
 */
import { CompressionTypes, type Producer, type TopicMessages } from 'kafkajs';
import { CodedError } from '../../base/errors.ts';
import type { Append, LogProducer } from '../port.ts';
import { compressionFor } from './codecs.ts';
import { coded } from './failures.ts';
import { createPartitioner, toTopicMessages } from './messages.ts';
import { type ClientOptions, createKafka } from './settings.ts';
import { withDeadline } from './waiting.ts';

const SEND_RETRY = { initialRetryTime: 50, maxRetryTime: 1_000, factor: 0.2, multiplier: 2, retries: 8 };

export class KafkaProducer implements LogProducer {
  readonly #options: ClientOptions;
  #client: Producer | undefined;
  #closed = false;

  private constructor(options: ClientOptions) {
    this.#options = options;
  }

  static async open(options: ClientOptions): Promise<KafkaProducer> {
    const producer = new KafkaProducer(options);
    await producer.#connected().catch((error) => producer.#failed(error, 'Opening a producer'));
    return producer;
  }

  async append(records: readonly Append[]): Promise<void> {
    this.#refuseWhenClosed();
    if (records.length === 0) return;
    const bytes = records.reduce((sum, { key, value }) => sum + (key?.length ?? 0) + (value?.length ?? 0), 0);
    await this.#send(toTopicMessages(records, Date.now()), compressionFor(bytes));
  }

  /** The same for packed records: of each message a batch is made, and compressed or not, in produce-request.ts. */
  async sendPacked(topicMessages: TopicMessages[]): Promise<void> {
    this.#refuseWhenClosed();
    await this.#send(topicMessages, CompressionTypes.None);
  }

  async #send(topicMessages: TopicMessages[], compression: CompressionTypes): Promise<void> {
    const { operationTimeoutMs, requestTimeoutMs } = this.#options.settings;
    const send = async () => {
      const client = this.#client ?? (await this.#connected());
      await client.sendBatch({
        acks: -1,
        timeout: requestTimeoutMs,
        compression,
        topicMessages,
      });
    };
    await withDeadline(send(), operationTimeoutMs, 'Appending').catch((error) => this.#failed(error, 'Appending'));
  }

  async close(): Promise<void> {
    this.#closed = true;
    const client = this.#client;
    this.#client = undefined;
    if (client === undefined) return;
    await withDeadline(client.disconnect(), this.#options.settings.operationTimeoutMs, 'Closing a producer').catch(
      (error) => {
        throw coded(error, 'Closing a producer');
      },
    );
  }

  #refuseWhenClosed(): void {
    if (this.#closed) throw new CodedError('shutting_down', 'The producer is closed');
  }

  async #connected(): Promise<Producer> {
    const client = createKafka(this.#options).producer({
      createPartitioner,
      allowAutoTopicCreation: false,
      metadataMaxAge: 60_000,
      retry: SEND_RETRY,
    });
    this.#client = client;
    await withDeadline(client.connect(), this.#options.settings.operationTimeoutMs, 'Connecting');
    return client;
  }

  #failed(error: unknown, doing: string): never {
    const client = this.#client;
    this.#client = undefined;
    client?.disconnect().catch(() => undefined); // given up; its errors say nothing new
    throw coded(error, doing);
  }
}
