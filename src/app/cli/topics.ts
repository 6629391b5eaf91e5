/** `cn-kustomer topics`: the table of topics against the broker. */

import { applyTopics, type TopicAction } from '../../kafka/reconcile.ts';
import { topicNames } from '../../kafka/topics.ts';
import { openLogBriefly } from '../log.ts';
import { planAll, topicSettings } from '../topic-settings.ts';
import type { AddCommand } from './add-command.ts';
import { EXIT } from './io.ts';

export const addTopics: AddCommand = (program, context, finish) => {
  program
    .command('topics')
    .description('compare the topics with the table in the code; exit code 3 when they differ')
    .option('--apply', 'create what is missing and set what differs; never changes a partition count')
    .option('--tenant <id...>', 'also the topics of these tenants (those that have some are always included)')
    .action(async (options: { apply?: true; tenant?: string[] }) => {
      const settings = context.settings();
      const log = openLogBriefly(settings, context.logger());
      try {
        const topics = topicSettings(settings);
        const tenants = [...(await knownTenants(log.admin, settings.topicPrefix)), ...(options.tenant ?? [])];
        const plan = await planAll(log, topics, tenants);
        for (const action of plan) context.print(describe(action, options.apply === true));
        if (options.apply === true) await applyTopics(log.admin, plan);
        const open = plan.some(
          (action) => action.kind === 'refuse' || (action.kind !== 'keep' && options.apply !== true),
        );
        if (open) finish(EXIT.differs);
      } finally {
        await log.close();
      }
    });
};

/** Tenants that have a topic. */
export async function knownTenants(
  admin: { describeTopics(): Promise<readonly { name: string }[]> },
  prefix: string,
): Promise<readonly string[]> {
  const names = topicNames(prefix);
  const starts = [names.events(''), names.receipts('')];
  const topics = await admin.describeTopics();
  const tenants = topics.flatMap(({ name }) =>
    starts.flatMap((start) => (name.startsWith(start) ? [name.slice(start.length)] : [])),
  );
  return [...new Set(tenants)];
}

function describe(action: TopicAction, applied: boolean): string {
  const settings = (config: Readonly<Record<string, string>>) =>
    Object.entries(config)
      .map(([key, value]) => `${key}=${value}`)
      .join(' ');
  switch (action.kind) {
    case 'keep':
      return `ok       ${action.name}`;
    case 'create':
      return `${applied ? 'created ' : 'missing '} ${action.topic.name}  partitions=${action.topic.partitions} ${settings(action.topic.config)}`;
    case 'alter':
      return `${applied ? 'altered ' : 'differs '} ${action.name}  ${settings(action.config)}`;
    case 'refuse':
      return `refused  ${action.name}  ${action.reason}`;
  }
}
