/** `cn-kustomer connection webhook create|check|enable|rotate|drop-old`: the connection's own webhook in Kustomer. */
import type { Command } from 'commander';
import { CodedError, hasCode } from '../../base/errors.ts';
import type { ConnectionWithTokens } from '../../fibric/connection.ts';
import { withClient } from '../control/kustomer-client.ts';
import type { ConnectionStore } from '../control/store.ts';
import { checkWebhooks } from '../control/webhook-check.ts';
import {
  byHand,
  createWebhook,
  dropOldWebhook,
  enableWebhooks,
  rotateWebhook,
  type WebhookWork,
} from '../control/webhook-commands.ts';
import type { AddCommand } from './add-command.ts';
import { withConnection } from './connection-store.ts';
import { type CliContext, EXIT } from './io.ts';

interface Flags {
  readonly tenant?: string;
  readonly publicUrl?: string;
}

type Work = (work: WebhookWork, publicUrl: string | undefined) => Promise<readonly string[]>;

export const addWebhookCommands: AddCommand = (connection, context, finish) => {
  const webhook = connection.command('webhook').description("a connection's own webhook in Kustomer; needs an API key");
  const command = (name: string, description: string): Command =>
    webhook
      .command(name)
      .description(description)
      .argument('<connection>', 'the connection id, cn_…')
      .option('--tenant <id>', 'only if it belongs to this tenant');
  const urlOption = ['--public-url <url>', 'where Kustomer reaches this service (default: PUBLIC_URL)'] as const;

  command('create', 'make the webhook, or adopt and mend the one that is there; stores its token')
    .option(...urlOption)
    .action((id: string, flags: Flags) =>
      change(context, id, flags, (work, publicUrl) => createWebhook(work, needed(publicUrl))),
    );
  command('enable', 'switch the webhook on again').action((id: string, flags: Flags) =>
    change(context, id, flags, (work) => enableWebhooks(work)),
  );
  command('rotate', 'make a second webhook with a token of its own; both are accepted from then on')
    .option(...urlOption)
    .action((id: string, flags: Flags) => change(context, id, flags, rotateWebhook));
  command('drop-old', 'end a rotation: delete the old webhook, and accept its token no longer').action(
    (id: string, flags: Flags) => change(context, id, flags, (work) => dropOldWebhook(work)),
  );
  command('check', 'look at the webhook and its deliveries; exit code 3 unless they are as they should be').action(
    (connectionId: string, { tenant }: Flags) =>
      withConnection(context, { connectionId, tenant }, (one) =>
        withClient(one, async (client) => {
          const { finding, lines } = await checkWebhooks(client, one, Date.now());
          for (const line of lines) context.print(line);
          if (finding.reason === 'not_permitted') tellByHand(context, one, undefined);
          if (finding.state !== 'connected') finish(EXIT.differs);
        }),
      ),
  );
};

/** For `connection add --create-webhook`. */
export function createOwnWebhook(
  context: CliContext,
  options: { readonly connection: ConnectionWithTokens; readonly store: ConnectionStore; readonly publicUrl: string },
): Promise<void> {
  const { connection, store, publicUrl } = options;
  return perform(context, { connection, store }, publicUrl, (work) => createWebhook(work, publicUrl));
}

function change(context: CliContext, connectionId: string, flags: Flags, work: Work): Promise<void> {
  const { tenant, publicUrl } = flags;
  return withConnection(context, { connectionId, tenant }, (connection, store) =>
    perform(context, { connection, store }, publicUrl, work),
  );
}

/** While no other process changes the tenant's connections. Where the key may not do it, says how to do it by hand. */
async function perform(
  context: CliContext,
  { connection: found, store }: Pick<WebhookWork, 'connection' | 'store'>,
  given: string | undefined,
  work: Work,
): Promise<void> {
  const publicUrl = given ?? context.settings().publicUrl;
  await store.exclusively(found.tenantId, async (claim) => {
    const connection = store.get(found.connectionId) ?? found;
    await withClient(connection, async (client) => {
      try {
        for (const line of await work({ connection, store, client, claim }, publicUrl)) context.print(line);
      } catch (error) {
        if (hasCode(error, 'kustomer_permission')) tellByHand(context, connection, publicUrl);
        throw error;
      }
    });
  });
}

function tellByHand(context: CliContext, connection: ConnectionWithTokens, publicUrl: string | undefined): void {
  for (const line of byHand(connection, publicUrl ?? context.settings().publicUrl)) context.note(line);
}

function needed(publicUrl: string | undefined): string {
  if (publicUrl !== undefined) return publicUrl;
  throw new CodedError('config_invalid', '--public-url is needed (or the setting PUBLIC_URL)');
}
