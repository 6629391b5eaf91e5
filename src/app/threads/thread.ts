/** The program of one thread of the service: a unit, told when to stop, asked how it is. */
import { isMainThread, type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { CodedError } from '../../base/errors.ts';
import { toPlain } from '../../base/plain-error.ts';
import type { Service } from '../service.ts';
import { loadSettings } from '../settings.ts';
import { createLogger, createMetrics } from '../telemetry.ts';
import { runUnit } from '../unit.ts';
import type { FromThread, ProcessReport, ThreadData, ToThread } from './protocol.ts';
import { settingsOfThread } from './share.ts';

if (isMainThread) throw new Error('this is the program of a thread');
const port = parentPort as MessagePort;
const { index, count, roles, env, host, port: listenPort } = workerData as ThreadData;
const settings = settingsOfThread(loadSettings(env), count);
const logger = createLogger(settings.logLevel).child({ thread: index });
const metrics = createMetrics({ ofProcess: index === 0 });
const stop = new AbortController();
const asked = new Map<number, (report: ProcessReport) => void>();
let service: Service | undefined;
let nextId = 1;

const say = (message: FromThread): void => port.postMessage(message);

port.on('message', (message: ToThread) => {
  if (message.kind === 'stop') stop.abort();
  else if (message.kind === 'report') {
    const health = service?.health() ?? { ready: false, roles: {} };
    void metrics.values().then((values) => {
      say({ kind: 'report', id: message.id, report: { health, metrics: values } });
    });
  } else {
    asked.get(message.id)?.(message.report);
    asked.delete(message.id);
  }
});

/** The main thread answers in any case, with what it could learn in time. */
function wholeProcess(): Promise<ProcessReport> {
  const id = nextId++;
  const { promise, resolve } = Promise.withResolvers<ProcessReport>();
  asked.set(id, resolve);
  say({ kind: 'whole', id });
  return promise;
}

try {
  const crash = await runUnit({
    settings,
    roles,
    logger,
    metrics,
    signal: stop.signal,
    at: { host, port: listenPort, shared: true },
    whole: {
      async health() {
        const { healths } = await wholeProcess();
        return { ready: healths.every((health) => health?.ready === true), threads: healths };
      },
      metrics: async () => (await wholeProcess()).metrics,
    },
    // A thread's stdout is that of the process.
    announce: (text) => void process.stdout.write(`${text}\n`),
    up(started) {
      service = started;
      say({ kind: 'up' });
    },
  });
  say(crash === undefined ? { kind: 'stopped' } : { kind: 'failed', error: plain(crash.error) });
} catch (error) {
  say({ kind: 'failed', error: plain(error) });
}
// The main thread ends this one when it has heard; by itself it might be gone before its last word is.

function plain(error: unknown) {
  if (error instanceof CodedError) return toPlain(error);
  return error instanceof Error ? error : new Error(String(error));
}
