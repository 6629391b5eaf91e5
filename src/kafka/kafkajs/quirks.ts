/**
 * The changes made to KafkaJS itself, and only to the pinned version they were written against (2.2.4). Importing this
 * module applies them; index.ts and settings.ts import it before kafkajs.
 *
 * Idle timers: its request queue re-arms a timer of -1 ms for ever, on every connection, even when nothing is pending:
 * about 1,000 wake-ups a second each, and from Node 24 a TimeoutNegativeWarning on the user's terminal. The queue needs
 * the timer only while requests are pending, and `push` arms it then.
 *
 * Record encoder and decoder: replaced by ours (record-encoder.ts, record-decoder.ts) before KafkaJS loads the requests
 * that use them.
 *
 * Grouping by partition: its own copies the list of a partition for every message, quadratic in the size of a batch.
 *
 * Produce requests: of packed records (produce-request.ts) they are encoded by us, all others by KafkaJS.
 *
 * Coordinators: it asks where they are before each step of a transaction; here once (coordinator-memory.ts).
 *
 * Metadata: what kept each broker from answering is swallowed, and the answer is null, which its callers take apart: a lost
 * connection, or a topic deleted in between, looked like an error in the program. Here it is an error that passes.
 */
import { createRequire } from 'node:module';
import { type CreateSteps, rememberingCoordinators } from './coordinator-memory.ts';
import { groupByPartition } from './messages.ts';
import { encodePacked, type ProduceArguments } from './produce-request.ts';
import { decodeRecord } from './record-decoder.ts';
import { encodeRecord } from './record-encoder.ts';

interface RequestQueue {
  readonly pending: readonly unknown[];
}

interface Schedules {
  scheduleCheckPendingRequests(this: RequestQueue): void;
}

interface ProduceRequest {
  encode(): Promise<unknown>;
}

type CreateProduceRequest = (options: ProduceArguments) => ProduceRequest;

interface AsksMetadata {
  metadata(options?: unknown): Promise<unknown>;
}

const KNOWN_VERSION = '2.2.4';

/** Module of KafkaJS → what it exports from now on, given what it exported. */
const REPLACED: Readonly<Record<string, (own: unknown) => unknown>> = {
  'kafkajs/src/protocol/recordBatch/record/v0': () => encodeRecord,
  'kafkajs/src/protocol/recordBatch/record/v0/decoder': () => decodeRecord,
  'kafkajs/src/producer/groupMessagesPerPartition': () => groupByPartition,
  'kafkajs/src/producer/eosManager': (own) => rememberingCoordinators(own as CreateSteps),
  // After the record encoder: it keeps the one it finds. Later versions of the request are built on version 3.
  'kafkajs/src/protocol/requests/produce/v3/request': (own) => encodingPacked(own as CreateProduceRequest),
};

const require = createRequire(import.meta.url);
const { version } = require('kafkajs/package.json') as { version: string };

/** While this module loads, so that whoever imports it before kafkajs gets a KafkaJS that never saw its own version. */
if (version === KNOWN_VERSION) {
  for (const [module, replacement] of Object.entries(REPLACED)) {
    require(module);
    const loaded = require.cache[require.resolve(module)];
    if (loaded !== undefined) loaded.exports = replacement(loaded.exports);
  }
  quietIdleTimers();
  tellUnanswered();
}

function encodingPacked(create: CreateProduceRequest): CreateProduceRequest {
  return (options) => {
    const request = create(options);
    return { ...request, encode: async () => encodePacked(options) ?? request.encode() };
  };
}

function quietIdleTimers(): void {
  const { prototype } = require('kafkajs/src/network/requestQueue') as { prototype: Schedules };
  const schedule = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function (): void {
    if (this.pending.length > 0) schedule.call(this);
  };
}

function tellUnanswered(): void {
  const { prototype } = require('kafkajs/src/cluster') as { prototype: AsksMetadata };
  const { KafkaJSError } = require('kafkajs/src/errors') as { KafkaJSError: new (message: string) => Error };
  const { metadata } = prototype;
  prototype.metadata = async function (options): Promise<unknown> {
    const answer = await metadata.call(this, options);
    if (answer === null) throw new KafkaJSError('No broker answered with its metadata');
    return answer;
  };
}
