/** `cn-kustomer serve`: runs the roles until a signal comes. */
import type { AddressInfo } from 'node:net';
import { Option } from 'commander';
import { CodedError } from '../../base/errors.ts';
import { ROLE_NAMES, type RoleName } from '../roles/role.ts';
import { createMetrics } from '../telemetry.ts';
import { runThreads } from '../threads/supervisor.ts';
import { runUnit } from '../unit.ts';
import type { AddCommand } from './add-command.ts';
import { EXIT, explain } from './io.ts';

export const addServe: AddCommand = (program, context, finish) => {
  program
    .command('serve')
    .description('run the service until SIGINT or SIGTERM')
    .addOption(new Option('--roles <list>', 'which roles to run, comma-separated').default(ROLE_NAMES.join(',')))
    .action(async (options: { roles: string }) => {
      const roles = parseRoles(options.roles);
      const settings = context.settings();
      const logger = context.logger();
      const { env, signal } = context;
      const up = ({ address, port }: AddressInfo) =>
        context.print(`cn-kustomer: listening on http://${address}:${port} (${roles.join(', ')})`);
      const crash =
        settings.threads === 1
          ? await runUnit({
              settings,
              roles,
              logger,
              signal,
              metrics: createMetrics(),
              up: ({ address }) => up(address),
              announce: context.print,
            })
          : await runThreads({ settings, env, roles, logger, signal, up });
      if (crash === undefined) return;
      context.note(explain(crash.error).text);
      finish(EXIT.failed);
    });
};

function parseRoles(list: string): readonly RoleName[] {
  const named = list.split(',').map((name) => name.trim());
  const known: readonly string[] = ROLE_NAMES;
  const unknown = named.filter((name) => !known.includes(name));
  if (unknown.length === 0) return named as RoleName[];
  throw new CodedError('config_invalid', `--roles: unknown ${unknown.join(', ')}; there are ${ROLE_NAMES.join(', ')}`);
}
