/** Stands in for thread.ts: the environment tells what it does. */
import { parentPort, workerData } from 'node:worker_threads';
import type { FromThread, ThreadData, ToThread } from '../../../../src/app/threads/protocol.ts';

const { env, index, port } = workerData as ThreadData;
const acts = env[`THREAD_${index}`] ?? '';
const say = (message: FromThread): void => parentPort?.postMessage(message);

parentPort?.on('message', (message: ToThread) => {
  if (message.kind === 'stop') {
    if (!acts.includes('DEAF')) say({ kind: 'stopped' });
  } else if (message.kind === 'report') {
    if (acts.includes('SILENT')) return;
    if (acts.includes('EXIT')) process.exit(3);
    const health = { ready: true, roles: { index, port } };
    say({ kind: 'report', id: message.id, report: { health, metrics: [] } });
  } else {
    // What this thread learns of the whole process ends it, so that the test hears of it.
    const error = { code: 'log_fatal', message: JSON.stringify(message.report.healths), detail: {} };
    say({ kind: 'failed', error });
  }
});

if (acts.includes('REFUSE'))
  say({ kind: 'failed', error: { code: 'schema_unknown', message: 'not registered', detail: {} } });
else if (acts.includes('THROW')) throw new Error('the thread broke');
else if (!acts.includes('SLOW')) say({ kind: 'up' });
if (acts.includes('ASK')) say({ kind: 'whole', id: 7 });
