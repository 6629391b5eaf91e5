/** `cn-kustomer flood`: signed webhooks against the running receiver, every one of them accounted for in a manifest. */

import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { topicNames } from '../../kafka/topics.ts';
import type { FloodOptions, FloodTarget } from '../../simulator/flood/options.ts';
import { formatFloodProgress, formatFloodReport } from '../../simulator/flood/report.ts';
import { runFlood } from '../../simulator/flood/run-flood.ts';
import { openControl } from '../control/open.ts';
import { floodTargets, floodTenants, receiverUrl } from '../demo/targets.ts';
import { openLogBriefly } from '../log.ts';
import { openRegistry, registerSchemas } from '../schemas.ts';
import type { Settings } from '../settings.ts';
import type { Logger } from '../telemetry.ts';
import { reconcileTopics, topicSettings } from '../topic-settings.ts';
import type { AddCommand } from './add-command.ts';
import { EXIT } from './io.ts';
import { wholeNumber } from './options.ts';

interface FloodFlags {
  readonly url?: string;
  readonly rate: string;
  readonly count: string;
  readonly conversations?: string;
  readonly duplicates: string;
  readonly reorder: string;
  readonly tenants: string;
  readonly seed?: string;
  readonly connections: string;
  readonly manifest: string;
  readonly json?: true;
}

export const addFlood: AddCommand = (program, context, finish) => {
  program
    .command('flood')
    .description('send a flood of signed webhooks to the receiver, open loop, and write a manifest of every send')
    .option('--url <url>', 'the receiver (default: http://HOST:PORT of the settings)')
    .option('--rate <n>', 'sends a second; 0 = flat out', '1000')
    .option('--count <n>', 'distinct changes', '10000')
    .option('--conversations <n>', 'conversations they are about (default: one per ten changes)')
    .option('--duplicates <fraction>', 'exact re-deliveries on top, 0 to 1', '0')
    .option('--reorder <fraction>', 'changes that arrive after a later one, 0 to 1', '0')
    .option('--tenants <n>', 'tenants t_flood1, t_flood2, …; their connections are added when missing', '1')
    .option('--seed <text>', 'same seed, same flood (default: a new one)')
    .option('--connections <n>', 'HTTP connections', '64')
    .option('--manifest <file>', 'where to write the manifest', 'flood.manifest.jsonl')
    .option('--json', 'print the report as JSON')
    .action(async (flags: FloodFlags) => {
      const settings = context.settings();
      const options = floodOptions(flags);
      const base = flags.url ?? `http://${settings.host}:${settings.port}`;
      const tenants = wholeNumber('--tenants', flags.tenants, 1000);
      const targets = await targetsAt(base, tenants, settings, context.logger());
      const report = await runFlood(options, targets, {
        manifest: createWriteStream(flags.manifest),
        progress: (progress) => context.note(formatFloodProgress(progress)),
        signal: context.signal,
      });
      context.print(flags.json === true ? JSON.stringify(report) : formatFloodReport(report));
      context.print(`manifest: ${flags.manifest}`);
      if (report.outcome !== 'complete') finish(EXIT.failed);
    });
};

function floodOptions(flags: FloodFlags): FloodOptions {
  return {
    count: wholeNumber('--count', flags.count, 1e9),
    rate: wholeNumber('--rate', flags.rate, 1e6),
    seed: flags.seed ?? randomBytes(4).toString('hex'),
    duplicates: Number(flags.duplicates),
    reorder: Number(flags.reorder),
    connections: wholeNumber('--connections', flags.connections, 4096),
    ...(flags.conversations === undefined
      ? {}
      : { conversations: wholeNumber('--conversations', flags.conversations, 1e7) }),
  };
}

async function targetsAt(
  baseUrl: string,
  count: number,
  settings: Settings,
  logger: Logger,
): Promise<readonly FloodTarget[]> {
  const tenants = floodTenants(count);
  const log = openLogBriefly(settings, logger);
  try {
    await reconcileTopics(log, topicSettings(settings), tenants);
    await registerSchemas(openRegistry(settings), topicNames(settings.topicPrefix), tenants);
    const store = await openControl({ log, settings, logger });
    const targets = await floodTargets(store, tenants);
    await store.close();
    return targets.map((target) => ({ ...target, url: receiverUrl(baseUrl, target.connectionId) }));
  } finally {
    await log.close();
  }
}
