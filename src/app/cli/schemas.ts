/** `cn-kustomer schemas`: the explicit step that registers the envelope schema, and the schema as text. */
import { envelopeSchema } from '../../fibric/avro.ts';
import { topicNames } from '../../kafka/topics.ts';
import { openRegistry, registerEnvelopeSchema } from '../envelope-schema.ts';
import { openLogBriefly } from '../log.ts';
import type { AddCommand } from './add-command.ts';
import { knownTenants } from './topics.ts';

export const addSchemas: AddCommand = (program, context) => {
  const schemas = program.command('schemas').description('the Avro schema of the envelopes');
  schemas
    .command('register')
    .description('register the schema (BACKWARD_TRANSITIVE) for every tenant that has an envelope topic')
    .option('--tenant <id...>', 'also for these tenants')
    .action(async (options: { tenant?: string[] }) => {
      const settings = context.settings();
      const log = openLogBriefly(settings, context.logger());
      try {
        const tenants = [...(await knownTenants(log.admin, settings.topicPrefix)), ...(options.tenant ?? [])];
        const registry = openRegistry(settings);
        const id = await registerEnvelopeSchema(registry, topicNames(settings.topicPrefix), tenants);
        context.print(`registered at ${registry.url} with id ${id} for ${new Set(tenants).size} tenant topic(s)`);
      } finally {
        await log.close();
      }
    });
  schemas
    .command('print')
    .description('print the schema')
    .action(() => context.print(JSON.stringify(envelopeSchema(), null, 2)));
};
