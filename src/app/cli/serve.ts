/** `cn-kustomer serve`: runs the roles until a signal comes. */
import { Option } from 'commander';
import { CodedError } from '../../base/errors.ts';
import { createEnvelopeType } from '../../fibric/avro.ts';
import { WireEncoder } from '../../kafka/wire.ts';
import { openControl } from '../control/open.ts';
import { lookUpSchemaId, openRegistry } from '../envelope-schema.ts';
import { openLog } from '../log.ts';
import { ROLE_NAMES, type RoleName } from '../roles/role.ts';
import { startService } from '../service.ts';
import { createMetrics } from '../telemetry.ts';
import { reconcileTopics, topicSettings } from '../topic-settings.ts';
import { EXIT, explain } from './io.ts';
import type { AddCommand } from './program.ts';

const REGISTRY_DEADLINE_MS = 300_000;

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
      try {
        await reconcileTopics(log, topicSettings(settings), []);
        const connections = await openControl({ log, settings, logger });
        const schemaId = roles.includes('process')
          ? await lookUpSchemaId({
              registry: openRegistry(settings),
              clock: log.clock,
              logger,
              signal,
              deadlineMs: REGISTRY_DEADLINE_MS,
            })
          : 0;
        const encoder = new WireEncoder({ schemaId, type: createEnvelopeType() });
        const metrics = createMetrics();
        const encode = encoder.encode.bind(encoder);
        const service = await startService({
          settings,
          roles,
          log,
          logger,
          metrics,
          connections,
          encode,
          crashed: crash.resolve,
        });
        context.print(
          `cn-kustomer: listening on http://${service.address.address}:${service.address.port} (${roles.join(', ')})`,
        );
        const outcome = await Promise.race([crash.promise.then((error) => ({ error })), aborted(signal)]);
        if (outcome !== undefined) {
          logger.fatal({ event: 'service.crashed', err: outcome.error }, 'the process ends: a part of it cannot go on');
          context.note(explain(outcome.error).text);
          finish(EXIT.failed);
        }
        logger.info({ event: 'service.stopping' }, 'stopping');
        await service.close();
        await connections.close();
      } finally {
        await log.close();
      }
    });
};

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
