/** `cn-kustomer serve`: runs the roles until a signal comes. */
import { Option } from 'commander';
import { CodedError } from '../../base/errors.ts';
import { createEnvelopeType } from '../../fibric/avro.ts';
import type { Log } from '../../kafka/port.ts';
import { WireEncoder } from '../../kafka/wire.ts';
import { openControl } from '../control/open.ts';
import { lookUpSchemaId, openRegistry } from '../envelope-schema.ts';
import { openLog } from '../log.ts';
import { tellingMeanwhile } from '../patience.ts';
import { ROLE_NAMES, type RoleName } from '../roles/role.ts';
import { startService } from '../service.ts';
import type { Settings } from '../settings.ts';
import { createMetrics, type Logger } from '../telemetry.ts';
import { reconcileTopics, topicSettings } from '../topic-settings.ts';
import type { AddCommand } from './add-command.ts';
import { type CliContext, EXIT, explain } from './io.ts';

const REGISTRY_DEADLINE_MS = 300_000;
const LOG_CLOSE_MS = 3_000;

export const addServe: AddCommand = (program, context, finish) => {
  program
    .command('serve')
    .description('run the service until SIGINT or SIGTERM')
    .addOption(new Option('--roles <list>', 'which roles to run, comma-separated').default(ROLE_NAMES.join(',')))
    .action(async (options: { roles: string }) => {
      const roles = parseRoles(options.roles);
      const settings = context.settings();
      const logger = context.logger();
      const { signal } = context;
      const log = openLog(settings, logger);
      const crash = Promise.withResolvers<unknown>();
      const stopped = aborted(signal);
      try {
        const starting = startUp({ context, log, settings, logger, roles, crashed: crash.resolve });
        const running = await Promise.race([starting, stopped]).catch((error) => {
          if (signal.aborted) return undefined; // what an interrupted start failed of is no news
          throw error;
        });
        if (running === undefined) {
          logger.info({ event: 'service.stopping' }, 'stopped before it was up');
          starting.then(({ close }) => close()).catch(() => undefined);
          return;
        }
        const { address } = running.service;
        context.print(`cn-kustomer: listening on http://${address.address}:${address.port} (${roles.join(', ')})`);
        const outcome = await Promise.race([crash.promise.then((error) => ({ error })), stopped]);
        if (outcome !== undefined) {
          logger.fatal({ event: 'service.crashed', err: outcome.error }, 'the process ends: a part of it cannot go on');
          context.note(explain(outcome.error).text);
          finish(EXIT.failed);
        }
        logger.info({ event: 'service.stopping' }, 'stopping');
        await running.close();
      } finally {
        await withDeadline(log.close(), LOG_CLOSE_MS);
      }
    });
};

interface StartUp {
  readonly context: CliContext;
  readonly log: Log;
  readonly settings: Settings;
  readonly logger: Logger;
  readonly roles: readonly RoleName[];
  readonly crashed: (error: unknown) => void;
}

async function startUp({ context, log, settings, logger, roles, crashed }: StartUp) {
  const connections = await tellingMeanwhile(openKafkaSide({ log, settings, logger }), {
    clock: log.clock,
    signal: context.signal,
    tell: (waitedMs) =>
      logger.warn(
        { event: 'service.waiting', brokers: settings.kafkaBrokers, waitedMs },
        'Kafka does not answer yet, trying again…',
      ),
  });
  const schemaId = roles.includes('process')
    ? await lookUpSchemaId({
        registry: openRegistry(settings),
        clock: log.clock,
        logger,
        signal: context.signal,
        deadlineMs: REGISTRY_DEADLINE_MS,
      })
    : 0;
  const encoder = new WireEncoder({ schemaId, type: createEnvelopeType() });
  const encode = encoder.encode.bind(encoder);
  const metrics = createMetrics();
  const service = await startService({ settings, roles, log, logger, metrics, connections, encode, crashed });
  const close = async () => {
    await service.close();
    await connections.close();
  };
  return { service, close };
}

/** What a start needs of Kafka before anything else. */
async function openKafkaSide(options: Pick<StartUp, 'log' | 'settings' | 'logger'>) {
  await reconcileTopics(options.log, topicSettings(options.settings), []);
  return openControl(options);
}

/** Waits for `work`, but not for longer: the broker forgets clients that did not say goodbye. */
async function withDeadline(work: Promise<void>, deadlineMs: number): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, deadlineMs);
  await Promise.race([work, late.promise]).finally(() => clearTimeout(timer));
}

function parseRoles(list: string): readonly RoleName[] {
  const named = list.split(',').map((name) => name.trim());
  const known: readonly string[] = ROLE_NAMES;
  const unknown = named.filter((name) => !known.includes(name));
  if (unknown.length === 0) return named as RoleName[];
  throw new CodedError('config_invalid', `--roles: unknown ${unknown.join(', ')}; there are ${ROLE_NAMES.join(', ')}`);
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}
