/** `cn-kustomer demo`: the whole path once, with a crash in the middle; leaves nothing running and nothing behind. */
import { randomBytes } from 'node:crypto';
import { Option } from 'commander';
import { createMemoryLog } from '../../kafka/memory/index.ts';
import type { Log } from '../../kafka/port.ts';
import { topicNames } from '../../kafka/topics.ts';
import { openControl } from '../control/open.ts';
import { demoLine, runDemo } from '../demo/run.ts';
import { SENSING_TENANT } from '../demo/sensing.ts';
import { kafkaStage, memoryStage, type Stage } from '../demo/stage.ts';
import { floodTargets, floodTenants, receiverUrl } from '../demo/targets.ts';
import { openLog } from '../log.ts';
import { openRegistry, registerSchemas } from '../schemas.ts';
import { loadSettings, type Settings } from '../settings.ts';
import { createLogger, type Logger } from '../telemetry.ts';
import { reconcileTopics, topicSettings } from '../topic-settings.ts';
import type { AddCommand } from './add-command.ts';
import { type CliContext, EXIT, explain } from './io.ts';
import { wholeNumber } from './options.ts';
import { verifyAccess } from './verify.ts';

interface DemoFlags {
  readonly log: 'kafka' | 'memory';
  readonly changes: string;
  readonly rate?: string;
  readonly seed: string;
}

const TENANTS = 2;
/** The dead processor's partitions are given away this soon; a broker allows no less than the first. */
const SESSION_TIMEOUT_MS = '6000';
const MEMORY_SESSION_TIMEOUT_MS = 1500;

export const addDemo: AddCommand = (program, context, finish) => {
  program
    .command('demo')
    .description(
      'flood two tenants, kill the processor half way, lose webhooks, write notes back, and account for all of it',
    )
    .addOption(new Option('--log <kind>', 'the log to run on').choices(['kafka', 'memory']).default('kafka'))
    .option('--changes <n>', 'distinct changes; 20 % more are sent twice', '20000')
    .option('--rate <n>', 'sends a second (default: 1000 on Kafka, 3000 in memory)')
    .option('--seed <text>', 'same seed, same flood', 'demo')
    .action(async (flags: DemoFlags) => {
      const env = demoEnvironment(context.env);
      const settings = loadSettings(env);
      const logger = createLogger('fatal');
      const crashed = (error: unknown) => context.note(explain(error).text);
      const memory =
        flags.log === 'memory' ? createMemoryLog({ report: (_message, error) => crashed(error) }) : undefined;
      const log: Log = memory ?? openLog(settings, logger);
      const flooded = floodTenants(TENANTS);
      const tenants = [...flooded, SENSING_TENANT];
      context.print(
        `log: ${flags.log === 'memory' ? 'in memory' : settings.kafkaBrokers.join(',')}, topics ${settings.topicPrefix}*`,
      );
      let stage: Stage | undefined;
      try {
        const targets = await prepare(log, settings, logger, { tenants, flooded, hasRegistry: flags.log === 'kafka' });
        stage =
          memory !== undefined
            ? await memoryStage(memory, { ...settings, sessionTimeoutMs: MEMORY_SESSION_TIMEOUT_MS }, logger, crashed)
            : await kafkaStage(log, settings, env, logger);
        const { url } = stage;
        const result = await runDemo(
          {
            changes: wholeNumber('--changes', flags.changes, 10_000_000),
            rate: wholeNumber('--rate', flags.rate ?? (memory === undefined ? '1000' : '3000'), 100_000),
            seed: flags.seed,
            topic: topicNames(settings.topicPrefix).events(SENSING_TENANT),
            targets: targets.map((target) => ({ ...target, url: receiverUrl(url, target.connectionId) })),
            verify: {
              ...verifyAccess(settings, context.env),
              ...(memory === undefined ? { reader: 'auto' } : { reader: 'kafkajs', registry: null }),
            },
          },
          { stage, say: context.print, signal: context.signal },
        );
        context.print('');
        context.print(demoLine(result));
        if (!result.ok) finish(EXIT.differs);
      } finally {
        await stage?.close().catch((error) => context.note(explain(error).text));
        if (memory === undefined) await removeTopics(settings, context);
        await log.close();
      }
    });
};

interface Preparation {
  readonly tenants: readonly string[];
  readonly flooded: readonly string[];
  readonly hasRegistry: boolean;
}

/** Topics, schema and connections; returns where to flood. */
async function prepare(log: Log, settings: Settings, logger: Logger, { tenants, flooded, hasRegistry }: Preparation) {
  await reconcileTopics(log, topicSettings(settings), tenants);
  if (hasRegistry) await registerSchemas(openRegistry(settings), topicNames(settings.topicPrefix), tenants);
  const store = await openControl({ log, settings, logger });
  try {
    return await floodTargets(store, flooded);
  } finally {
    await store.close();
  }
}

/** Topics of its own, a key of its own, any free port: the demo meets nothing that is there already. */
function demoEnvironment(env: CliContext['env']): NodeJS.ProcessEnv {
  return {
    ...env,
    TOPIC_PREFIX: `demo-${randomBytes(4).toString('hex')}.`,
    CN_MASTER_KEY: randomBytes(32).toString('hex'),
    CN_MASTER_KEY_FILE: '',
    PORT: '0',
    HOST: '127.0.0.1',
    GROUP_SESSION_TIMEOUT_MS: SESSION_TIMEOUT_MS,
  };
}

/** All that begin with the prefix: nobody else has it. */
async function removeTopics(settings: Settings, context: CliContext): Promise<void> {
  const cleaner = openLog(settings, createLogger('fatal'));
  try {
    const all = (await cleaner.admin.describeTopics()).map(({ name }) => name);
    await cleaner.admin.deleteTopics(all.filter((name) => name.startsWith(settings.topicPrefix)));
  } catch (error) {
    context.note(`the demo's topics could not be deleted: ${explain(error).text}`);
  } finally {
    await cleaner.close();
  }
}
