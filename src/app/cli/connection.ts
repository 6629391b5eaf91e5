/** `cn-kustomer connection …`: the commands that are short; `add` and `webhook` have files of their own. */
import { CodedError } from '../../base/errors.ts';
import { removeConnection } from '../control/connection-commands.ts';
import { describeResealed, listConnections, showConnection } from '../control/connection-text.ts';
import type { AddCommand } from './add-command.ts';
import { addAddCommand } from './connection-add.ts';
import { noteProblems, withConnection, withExisting } from './connection-store.ts';
import { addWebhookCommands } from './connection-webhook.ts';
import { EXIT } from './io.ts';

export const addConnectionCommands: AddCommand = (program, context, finish) => {
  const connection = program.command('connection').description('the Kustomer organisations this service listens to');
  addAddCommand(connection, context);
  connection
    .command('list')
    .description('list the connections; secrets are shown by fingerprint only')
    .action(() => withExisting(context, async (store) => context.print(listConnections(store))));
  connection
    .command('show')
    .description('show one connection with its settings; secrets are shown by fingerprint only')
    .argument('<connection>', 'the connection id, cn_…')
    .option('--tenant <id>', 'only if it belongs to this tenant')
    .action((connectionId: string, { tenant }: { tenant?: string }) =>
      withConnection(context, { connectionId, tenant }, async (one) => {
        for (const line of showConnection(one)) context.print(line);
      }),
    );
  connection
    .command('remove')
    .description('remove a connection; its webhooks are answered 404 from then on')
    .argument('<connection>', 'the connection id, cn_…')
    .option('--tenant <id>', 'only if it belongs to this tenant')
    .action((connectionId: string, options: { tenant?: string }) =>
      withExisting(context, async (store) => {
        if (store === undefined) throw new CodedError('connection_unknown', 'no connection has this id');
        const webhookId = store.get(connectionId)?.webhookId;
        await removeConnection({ store, connectionId, tenant: options.tenant });
        context.print(`removed ${connectionId}`);
        if (typeof webhookId === 'string')
          context.note(`its webhook ${webhookId} is still in Kustomer: delete it there`);
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
  addWebhookCommands(connection, context, finish);
};
