/**
 * One unit of the service: a log of its own, the connections, and the roles, from start to orderly end. A process is one
 * unit, or several on threads of their own (threads/).
 */
import { aborted } from '../base/aborted.ts';
import { withDeadline } from '../base/deadline.ts';
import { createEnvelopeType } from '../fibric/avro.ts';
import type { Log } from '../kafka/port.ts';
import { WireEncoder } from '../kafka/wire.ts';
import { createActCodec } from './acting.ts';
import { masterKeysOf, openControl } from './control/open.ts';
import { openLog } from './log.ts';
import { tellingMeanwhile } from './patience.ts';
import type { RoleName } from './roles/role.ts';
import { lookUpSchemaIds, openRegistry, type SchemaKind } from './schemas.ts';
import { type Service, startService, type WholeProcess } from './service.ts';
import type { Settings } from './settings.ts';
import type { Logger, Metrics } from './telemetry.ts';
import { reconcileTopics, topicSettings } from './topic-settings.ts';

const REGISTRY_DEADLINE_MS = 300_000;
const LOG_CLOSE_MS = 3_000;

export interface UnitOptions {
  readonly settings: Settings;
  readonly roles: readonly RoleName[];
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Ends it in order. */
  readonly signal: AbortSignal;
  /** Where to listen, if not where the settings say; and whether others of this process listen there too. */
  readonly at?: { readonly host: string; readonly port: number; readonly shared: boolean };
  readonly whole?: WholeProcess;
  readonly up: (service: Service) => void;
  /** Tells a person, once, what can be told only now. */
  readonly announce: (text: string) => void;
}

/** Resolves when it has stopped: with what made it crash, or undefined. Rejects when it could not start. */
export async function runUnit(options: UnitOptions): Promise<{ readonly error: unknown } | undefined> {
  const { settings, logger, signal, up } = options;
  const log = openLog(settings, logger);
  const crash = Promise.withResolvers<unknown>();
  const stopped = aborted(signal);
  let isInterrupted = false;
  try {
    const starting = startUp(options, log, crash.resolve);
    const running = await Promise.race([starting, stopped]).catch((error) => {
      if (signal.aborted) return undefined; // what an interrupted start failed of is no news
      throw error;
    });
    if (running === undefined) {
      isInterrupted = true;
      logger.info({ event: 'service.stopping' }, 'stopped before it was up');
      starting.then(({ close }) => close()).catch(() => undefined);
      return undefined;
    }
    up(running.service);
    const outcome = await Promise.race([crash.promise.then((error) => ({ error })), stopped]);
    if (outcome !== undefined) {
      logger.fatal({ event: 'service.crashed', err: outcome.error }, 'the process ends: a part of it cannot go on');
    }
    logger.info({ event: 'service.stopping' }, 'stopping');
    await running.close();
    return outcome;
  } finally {
    const closing = log.close();
    // Clients that were still looking for a broker cannot take leave of it: no news either. And none is waited for long, since
    // the broker forgets those that did not say goodbye.
    await withDeadline(isInterrupted ? closing.catch(() => undefined) : closing, LOG_CLOSE_MS, () => undefined);
  }
}

async function startUp(options: UnitOptions, log: Log, crashed: (error: unknown) => void) {
  const { settings, logger, roles, signal, metrics, at, whole, announce } = options;
  const connections = await tellingMeanwhile(openKafkaSide({ log, settings, logger }), {
    clock: log.clock,
    signal,
    tell: (waitedMs) =>
      logger.warn(
        { event: 'service.waiting', brokers: settings.kafkaBrokers, waitedMs },
        'Kafka does not answer yet, trying again…',
      ),
  });
  const kinds: readonly SchemaKind[] = [
    ...(roles.includes('process') ? (['envelope'] as const) : []),
    ...(roles.includes('sink') || roles.includes('api') ? (['receipt'] as const) : []),
    ...(roles.includes('api') ? (['command'] as const) : []),
  ];
  const registry = openRegistry(settings);
  const ids = await lookUpSchemaIds(kinds, {
    registry,
    clock: log.clock,
    logger,
    signal,
    deadlineMs: REGISTRY_DEADLINE_MS,
  });
  const encoder = new WireEncoder({ schemaId: ids.envelope ?? 0, type: createEnvelopeType() });
  const encode = encoder.encode.bind(encoder);
  const act =
    ids.receipt === undefined
      ? undefined
      : createActCodec({ registry, ids: { receipt: ids.receipt }, masterKeys: await masterKeysOf(settings) });
  const api = ids.command === undefined ? undefined : { registry, ids: { command: ids.command }, announce };
  const shared = { settings, roles, log, logger, metrics, connections, encode, crashed };
  const parts = { ...(act && { act }), ...(api && { api }) };
  const service = await startService({ ...shared, ...parts, ...(at && { at }), ...(whole && { whole }) });
  const close = async () => {
    await service.close();
    await connections.close();
  };
  return { service, close };
}

/** What a start needs of Kafka before anything else. */
async function openKafkaSide(options: { log: Log; settings: Settings; logger: Logger }) {
  await reconcileTopics(options.log, topicSettings(options.settings), []);
  return openControl(options);
}
