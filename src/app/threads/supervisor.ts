/**
 * Runs the service on several threads of one process. Each thread is a whole unit with a log, group members and a socket
 * of its own, so what is proved for several processes holds for threads; they share the port and the reports.
 *
 * V1 the process is up when all threads are, and ends when one cannot go on: the group would hide the loss, at half the
 *    speed, and whoever runs the process restarts it whole
 * V2 the port is ours alone: it is bound alone before it is shared, for sharing would let a second process join in unheard
 * V3 a stop reaches every thread once; what has not stopped in time is ended, which loses no more than a kill does
 * V4 a report waits for a thread no longer than a second; one that is silent is not ready
 */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { aborted } from '../../base/aborted.ts';
import type { RoleName } from '../roles/role.ts';
import { addressRefused } from '../service.ts';
import type { Settings } from '../settings.ts';
import { type Logger, mergeMetrics } from '../telemetry.ts';
import { type Ending, ThreadHandle } from './handle.ts';
import type { ProcessReport } from './protocol.ts';

/** What a thread may take beyond its orderly shutdown, to close the log and to say so. */
const STOP_GRACE_MS = 5_000;

export interface SupervisorOptions {
  readonly settings: Settings;
  /** The settings as the process got them: each thread reads them again. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly roles: readonly RoleName[];
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly up: (address: AddressInfo) => void;
  /** The program of the threads; another one in tests. */
  readonly program?: URL;
  readonly stopGraceMs?: number;
}

/** Resolves when all threads have ended: with what made one crash, or undefined. Rejects when one could not start. */
export async function runThreads(options: SupervisorOptions): Promise<{ readonly error: unknown } | undefined> {
  const { settings, env, roles, logger, signal, up } = options;
  const address = await claimPort(settings);
  const at = { host: settings.host, port: address.port };
  const program = options.program ?? new URL('./thread.ts', import.meta.url);
  const crew: ThreadHandle[] = [];
  for (let index = 0; index < settings.threads; index += 1) {
    const data = { index, count: settings.threads, roles, env, ...at };
    crew.push(new ThreadHandle({ data, program, whole: () => reportOf(crew) }));
  }
  const ended = Promise.race(crew.map((thread) => thread.ended));
  const stopped = aborted(signal);
  try {
    const begun = await Promise.race([Promise.all(crew.map((thread) => thread.up)), ended, stopped]);
    if (isEnding(begun)) throw causeOf(begun);
    if (signal.aborted) return undefined;
    up(address);
    const ending = await Promise.race([ended, stopped]);
    if (!isEnding(ending)) return undefined;
    logger.fatal({ event: 'service.crashed', err: causeOf(ending) }, 'the process ends: a thread of it cannot go on');
    return { error: causeOf(ending) };
  } finally {
    await stopAll(crew, settings.shutdownMs + (options.stopGraceMs ?? STOP_GRACE_MS), logger);
  }
}

/** V2. Also finds the port when any free one will do. */
async function claimPort(settings: Settings): Promise<AddressInfo> {
  const server = createServer();
  try {
    server.listen({ host: settings.host, port: settings.port, exclusive: true });
    await once(server, 'listening');
  } catch (error) {
    throw addressRefused(error as NodeJS.ErrnoException, settings);
  }
  const address = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return address;
}

async function reportOf(crew: readonly ThreadHandle[]): Promise<ProcessReport> {
  const reports = await Promise.all(crew.map((thread) => thread.report()));
  const told = reports.filter((report) => report !== null);
  return {
    healths: reports.map((report) => report?.health ?? null),
    metrics: await mergeMetrics(told.map((report) => report.metrics)),
  };
}

/** V3 */
async function stopAll(crew: readonly ThreadHandle[], deadlineMs: number, logger: Logger): Promise<void> {
  for (const thread of crew) thread.stop();
  const late = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => late.resolve('late'), deadlineMs);
  const done = await Promise.race([Promise.all(crew.map((thread) => thread.ended)), late.promise]);
  clearTimeout(timer);
  if (done === 'late')
    logger.warn({ event: 'service.cut', deadlineMs }, 'threads did not stop in time; they are ended');
  await Promise.all(crew.map((thread) => thread.terminate()));
}

function isEnding(value: unknown): value is Ending {
  return typeof value === 'object' && value !== null && 'kind' in value;
}

function causeOf(ending: Ending): unknown {
  return ending.kind === 'failed' ? ending.error : new Error('a thread stopped without being told to');
}
