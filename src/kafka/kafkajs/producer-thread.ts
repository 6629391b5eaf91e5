/** The thread of a threaded producer: a KafkaProducer that is told what to send. One batch at a time. */
import './quirks.ts'; // before kafkajs
import { workerData } from 'node:worker_threads';
import { type PlainError, toPlain } from '../../base/plain-error.ts';
import { coded } from './failures.ts';
import type { Logger } from './logging.ts';
import { packedTopicMessages } from './produce-request.ts';
import { KafkaProducer } from './producer.ts';
import type { FromThread, LogLevel, ThreadData, ToThread } from './thread-protocol.ts';

const { settings, clientId, port } = workerData as ThreadData;

const say = (message: FromThread): void => port.postMessage(message);
let memory: Buffer = Buffer.alloc(0);

const told =
  (level: LogLevel) =>
  (fields: object, message: string): void =>
    say({ kind: 'log', level, fields, message });
const logger: Logger = { debug: told('debug'), info: told('info'), warn: told('warn'), error: told('error') };

/** Undefined when it went well. */
async function failure(work: Promise<unknown>, doing: string): Promise<{ error?: PlainError }> {
  try {
    await work;
    return {};
  } catch (error) {
    return { error: toPlain(coded(error, doing)) };
  }
}

const opening = KafkaProducer.open({ settings, logger, ...(clientId === undefined ? {} : { clientId }) });
// Listening at once, so that nothing said meanwhile is lost; the main side appends only after `opened`.
port.on('message', (message: ToThread) => {
  if (message.kind === 'close') return void close();
  if (message.memory !== undefined) memory = Buffer.from(message.memory);
  void append(message.length);
});
say({ kind: 'opened', ...(await failure(opening, 'Opening a producer')) });

async function append(length: number): Promise<void> {
  const send = async (): Promise<void> => {
    const producer = await opening;
    await producer.sendPacked(packedTopicMessages(memory, length));
  };
  say({ kind: 'settled', ...(await failure(send(), 'Appending')) });
}

/** The other side ends this thread when it has heard; by itself it might be gone before its last word is. */
async function close(): Promise<void> {
  const closing = opening.then((producer) => producer.close());
  say({ kind: 'closed', ...(await failure(closing, 'Closing a producer')) });
}
