/** `cn-kustomer schemas`: the explicit step that registers the schemas, and each of them as text. */
import { Option } from 'commander';
import { topicNames } from '../../kafka/topics.ts';
import { openLogBriefly } from '../log.ts';
import { openRegistry, registerSchemas, SCHEMA_KINDS, SCHEMAS, type SchemaKind } from '../schemas.ts';
import type { AddCommand } from './add-command.ts';
import { knownTenants } from './topics.ts';

export const addSchemas: AddCommand = (program, context) => {
  const schemas = program.command('schemas').description('the Avro schemas of envelopes, commands and receipts');
  schemas
    .command('register')
    .description('register the schemas (BACKWARD_TRANSITIVE), also for the topics of every tenant that has some')
    .option('--tenant <id...>', 'also for these tenants')
    .action(async (options: { tenant?: string[] }) => {
      const settings = context.settings();
      const log = openLogBriefly(settings, context.logger());
      try {
        const tenants = [...(await knownTenants(log.admin, settings.topicPrefix)), ...(options.tenant ?? [])];
        const registry = openRegistry(settings);
        const ids = await registerSchemas(registry, topicNames(settings.topicPrefix), tenants);
        const told = SCHEMA_KINDS.map((kind) => `${kind} ${ids[kind]}`).join(', ');
        context.print(`registered at ${registry.url} for ${new Set(tenants).size} tenant(s), with ids: ${told}`);
      } finally {
        await log.close();
      }
    });
  schemas
    .command('print')
    .description('print a schema')
    .addOption(new Option('--of <kind>', 'which one').choices(SCHEMA_KINDS).default('envelope'))
    .action(({ of }: { of: SchemaKind }) => context.print(JSON.stringify(SCHEMAS[of].schema(), null, 2)));
};
