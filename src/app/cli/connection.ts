/** `cn-kustomer connection add|list|remove|reseal`. Tokens come from stdin or a prompt, never from argv. */
import type { Command } from 'commander';
import { CodedError } from '../../base/errors.ts';
import type { Log } from '../../kafka/port.ts';
import { topicNames } from '../../kafka/topics.ts';
import {
  addConnection,
  describeProblems,
  describeResealed,
  listConnections,
  removeConnection,
} from '../control/connection-commands.ts';
import { openControl, openExistingControl } from '../control/open.ts';
import type { ConnectionStore } from '../control/store.ts';
import { openRegistry, registerEnvelopeSchema } from '../envelope-schema.ts';
import { readSecret } from '../prompt.ts';
import { reconcileTopics, topicSettings } from '../topic-settings.ts';
import type { AddCommand } from './add-command.ts';
import { type CliContext, EXIT } from './io.ts';

export const addConnectionCommands: AddCommand = (program, context, finish) => {
  const connection = program.command('connection').description('the Kustomer organisations this service listens to');
  addCommand(connection, context);
  connection
    .command('list')
    .description('list the connections; tokens are shown by fingerprint only')
    .action(() => withExisting(context, async (store) => context.print(listConnections(store))));
  connection
    .command('remove')
    .description('remove a connection; its webhooks are answered 404 from then on')
    .argument('<connection>', 'the connection id, cn_…')
    .option('--tenant <id>', 'only if it belongs to this tenant')
    .action((connectionId: string, options: { tenant?: string }) =>
      withExisting(context, async (store) => {
        if (store === undefined) throw new CodedError('connection_unknown', 'no connection has this id');
        await removeConnection({ store, connectionId, tenant: options.tenant });
        context.print(`removed ${connectionId}`);
        noteProblems(context, store);
      }),
    );
  connection
    .command('reseal')
    .description('seal every connection again under the newest master key; exit code 1 when one cannot be opened')
    .action(() =>
      withExisting(context, async (store) => {
        context.print(describeResealed((await store?.reseal()) ?? { sealed: 0, stale: 0 }));
        if (store === undefined) return;
        noteProblems(context, store);
        if (store.health().unreadable > 0) finish(EXIT.failed);
      }),
    );
};

function addCommand(connection: Command, context: CliContext): void {
  connection
    .command('add')
    .description(
      'add a connection, or change the one of that id or name; the webhook token is read from stdin or asked for',
    )
    .requiredOption('--tenant <id>', 'the tenant its events belong to, such as t_acme')
    .option('--name <name>', 'name of the connection, such as kustomer-prod')
    .option('--subdomain <name>', 'the acme in acme.kustomerapp.com')
    .option('--org <id>', "Kustomer's organisation id; bodies of another organisation are then refused")
    .option('--id <id>', 'connection id, the last part of the webhook URL (default: generated)')
    .option('--reseller <id>', 'reseller of the tenant')
    .option('--workspace <id>', 'workspace within the tenant')
    .option('--machine-user <id>', 'Kustomer user our API key stands for; its changes are marked as echoes')
    .option('--extended-events', 'also emit the extended event types (docs/reference/events.md)')
    .option('--no-extended-events', 'stop emitting them')
    .option('--rotate', 'add a webhook token beside the live one')
    .option('--drop-old', 'keep only the newest webhook token')
    .action(async (options: { tenant: string }, command: Command) => {
      // Commander gives `--no-x` a default of true; what was not typed must stay undefined.
      const given = {
        ...options,
        extendedEvents:
          command.getOptionValueSource('extendedEvents') === 'cli' ? command.opts()['extendedEvents'] : undefined,
      };
      await withStore(context, async (store, log) => {
        const settings = context.settings();
        const { connection: added, created } = await addConnection({
          store,
          options: given,
          readToken: () => readSecret({ input: process.stdin, output: process.stderr, question: 'webhook token: ' }),
        });
        await reconcileTopics(log, topicSettings(settings), [added.tenantId]);
        await registerEnvelopeSchema(openRegistry(settings), topicNames(settings.topicPrefix), [added.tenantId]);
        context.print(`${created ? 'added' : 'changed'} ${added.connectionId} (${added.name} of ${added.tenantId})`);
        context.print(`webhook path: /webhooks/kustomer/${added.connectionId}`);
        noteProblems(context, store);
      });
    });
}

/** For `add` alone: makes what is missing. */
async function withStore(
  context: CliContext,
  work: (store: ConnectionStore, log: Log) => Promise<void>,
): Promise<void> {
  const settings = context.settings();
  await withLog(context, async (log) => {
    await reconcileTopics(log, topicSettings(settings), []);
    const store = await openControl({ ...quietly(context), log });
    await work(store, log).finally(() => store.close());
  });
}

/** For commands that find connections or do not: none was ever added where there is no control topic. */
async function withExisting(
  context: CliContext,
  work: (store: ConnectionStore | undefined) => Promise<void>,
): Promise<void> {
  await withLog(context, async (log) => {
    const store = await openExistingControl({ ...quietly(context), log });
    await work(store).finally(() => store?.close());
  });
}

async function withLog(context: CliContext, work: (log: Log) => Promise<void>): Promise<void> {
  const log = context.openLog();
  try {
    await work(log);
  } finally {
    await log.close();
  }
}

/** Problems are told once and for people, by each command when it is done, and not as log lines beside that. */
function quietly(context: CliContext) {
  return { settings: context.settings(), logger: context.logger(), onProblem: () => undefined };
}

function noteProblems(context: CliContext, store: ConnectionStore): void {
  for (const line of describeProblems(store)) context.note(`not usable: ${line}`);
}
