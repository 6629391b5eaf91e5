/** Stands in for producer-thread.ts: what it does with an append is written in the record's first value. */
import { workerData } from 'node:worker_threads';
import type { FromThread, ThreadData, ToThread } from '../../../../../src/kafka/kafkajs/thread-protocol.ts';

const { port, settings } = workerData as ThreadData;
const say = (message: FromThread): void => port.postMessage(message);
let memory: Buffer = Buffer.alloc(0);

port.on('message', (message: ToThread) => {
  if (message.kind === 'close') {
    say({ kind: 'closed' });
    return;
  }
  if (message.memory !== undefined) {
    memory = Buffer.from(message.memory);
    say({ kind: 'log', level: 'info', fields: { bytes: memory.length }, message: 'memory' });
  }
  const text = memory.toString('latin1', 0, message.length);
  if (text.includes('CRASH')) throw new Error('the thread broke');
  if (text.includes('EXIT')) process.exit(0);
  if (text.includes('SILENT')) return;
  if (text.includes('REFUSE')) {
    say({ kind: 'settled', error: { code: 'topic_invalid', message: 'no such topic', detail: { topic: 'raw' } } });
    return;
  }
  say({ kind: 'settled' });
});

if (settings.clientId === 'cannot-open') {
  say({ kind: 'opened', error: { code: 'log_fatal', message: 'wrong password', detail: {} } });
} else say({ kind: 'opened' });
