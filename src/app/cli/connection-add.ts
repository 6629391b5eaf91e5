/** `cn-kustomer connection add`. Token and key come from stdin or a prompt, never from argv. */
import type { Command } from 'commander';
import { CodedError } from '../../base/errors.ts';
import { createSecretReader } from '../../base/prompt.ts';
import { topicNames } from '../../kafka/topics.ts';
import { addConnection } from '../control/connection-commands.ts';
import { checkKey, describeKey } from '../control/key-check.ts';
import { withClient } from '../control/kustomer-client.ts';
import { openRegistry, registerSchemas } from '../schemas.ts';
import { reconcileTopics, topicSettings } from '../topic-settings.ts';
import { noteProblems, withStore } from './connection-store.ts';
import { createOwnWebhook } from './connection-webhook.ts';
import type { CliContext } from './io.ts';

interface AddFlags {
  readonly tenant: string;
  readonly createWebhook?: true;
  readonly publicUrl?: string;
}

/** Commander gives `--no-x` a default of true; what was not typed must stay undefined. */
const NEGATABLE = ['extendedEvents', 'apiKey', 'check'] as const;

export function addAddCommand(connection: Command, context: CliContext): void {
  connection
    .command('add')
    .description('add a connection, or change the one of that id or name; secrets are read from stdin or asked for')
    .requiredOption('--tenant <id>', 'the tenant its events belong to, such as t_acme')
    .option('--name <name>', 'name of the connection, such as kustomer-prod')
    .option('--subdomain <name>', 'the acme in acme.kustomerapp.com')
    .option('--org <id>', "Kustomer's organisation id; bodies of another organisation are then refused")
    .option('--id <id>', 'connection id, the last part of the webhook URL (default: generated)')
    .option('--reseller <id>', 'reseller of the tenant')
    .option('--workspace <id>', 'workspace within the tenant')
    .option('--api-key', 'read an API key too, after the token where both are needed')
    .option('--no-api-key', 'forget the API key: nothing is polled any more')
    .option('--check', 'ask Kustomer who the API key is and what it may do (default: for a new key)')
    .option('--no-check', 'store a new key unasked')
    .option('--api-base-url <url>', 'ask this host instead of the own one of the organisation; none = the own one')
    .option('--poll-interval <duration>', 'how often to poll: 60s, 5m, 1h; at least 5s')
    .option('--backfill-since <date>', 'read history from this ISO 8601 date or instant on; none = no history')
    .option('--order-klass <name>', "class of the custom objects that are customers' orders; none = without orders")
    .option('--machine-user <id>', 'Kustomer user our API key stands for; its changes are marked as echoes')
    .option('--extended-events', 'also emit the extended event types (docs/reference/events.md)')
    .option('--no-extended-events', 'stop emitting them')
    .option('--rotate', 'add a webhook token beside the live one')
    .option('--drop-old', 'keep only the newest webhook token')
    .option('--create-webhook', 'make the webhook in Kustomer, with the API key; no token is asked for then')
    .option('--public-url <url>', 'where Kustomer reaches this service, such as https://hooks.example.com')
    .action((flags: AddFlags, command: Command) => add(context, flags, typed(flags, command)));
}

function typed(flags: AddFlags, command: Command): Readonly<Record<string, unknown>> {
  const given: Record<string, unknown> = { ...flags };
  for (const name of NEGATABLE) {
    if (command.getOptionValueSource(name) !== 'cli') delete given[name];
  }
  return given;
}

async function add(context: CliContext, flags: AddFlags, options: Readonly<Record<string, unknown>>): Promise<void> {
  const settings = context.settings();
  const { createWebhook = false, publicUrl = settings.publicUrl } = flags;
  if (createWebhook && publicUrl === undefined) {
    throw new CodedError('config_invalid', '--create-webhook needs --public-url (or the setting PUBLIC_URL)');
  }
  const secrets = createSecretReader({ input: process.stdin, output: process.stderr });
  await withStore(context, async (store, log) => {
    const { connection, created, key } = await addConnection({
      store,
      options,
      readToken: () => secrets.read('webhook token: '),
      readApiKey: () => secrets.read('API key: '),
      secretsRead: secrets.done,
      checkKey: (candidate) => withClient(candidate, (client) => checkKey(client, candidate)),
      ownWebhook: createWebhook,
    });
    await reconcileTopics(log, topicSettings(settings), [connection.tenantId]);
    await registerSchemas(openRegistry(settings), topicNames(settings.topicPrefix), [connection.tenantId]);
    context.print(
      `${created ? 'added' : 'changed'} ${connection.connectionId} (${connection.name} of ${connection.tenantId})`,
    );
    context.print(`webhook path: /webhooks/kustomer/${connection.connectionId}`);
    if (key !== null) for (const line of describeKey(key)) context.print(line);
    if (createWebhook && publicUrl !== undefined) await createOwnWebhook(context, { connection, store, publicUrl });
    noteProblems(context, store);
  });
}
