/** `cn-kustomer verify <manifest>`: accounts for every change of a flood. */
import { Option } from 'commander';
import { realClock } from '../../base/clock.ts';
import { kafkaSettings, openLogBriefly } from '../log.ts';
import type { Settings } from '../settings.ts';
import {
  formatVerifyReport,
  type KafkaAccess,
  READER_NAMES,
  type ReaderName,
  runVerify,
  VERIFY_DEFAULTS,
  type VerifyOptions,
  verifyExitCode,
} from '../verify/index.ts';
import type { AddCommand } from './add-command.ts';
import { type CliContext, EXIT } from './io.ts';
import { wholeNumber } from './options.ts';

interface VerifyFlags {
  readonly reader: ReaderName | 'auto';
  readonly follow?: true;
  readonly timeout: string;
  readonly strict?: true;
  readonly allowDead?: true;
  readonly json?: true;
}

export const addVerify: AddCommand = (program, context, finish) => {
  program
    .command('verify')
    .description('account for every change of a flood: missing, doubled, wrong, out of order; exit code 3 on any')
    .argument('<manifest>', 'the file `cn-kustomer flood` wrote')
    .addOption(
      new Option('--reader <name>', 'client to read with; auto takes the first that is not KafkaJS')
        .choices(['auto', ...READER_NAMES])
        .default('auto'),
    )
    .option('--follow', 'the flood still runs: read beside it, and measure accepted → visible')
    .option('--timeout <seconds>', 'give up after this long without progress', String(VERIFY_DEFAULTS.timeoutMs / 1000))
    .option('--strict', 'also fail on envelopes that are not in the manifest')
    .option('--allow-dead', 'do not fail on dead letters')
    .option('--json', 'print the report as JSON')
    .action(async (manifest: string, flags: VerifyFlags) => {
      const settings = context.settings();
      const report = await runVerify(
        {
          ...VERIFY_DEFAULTS,
          ...verifyAccess(settings, context.env),
          manifest,
          reader: flags.reader,
          follow: flags.follow === true,
          timeoutMs: wholeNumber('--timeout', flags.timeout, 86_400) * 1000,
          strict: flags.strict === true,
          allowDead: flags.allowDead === true,
        },
        {
          clock: realClock,
          progress: (line) => context.note(line),
          openLog: async () => openLogBriefly(settings, context.logger()),
          signal: context.signal,
        },
      );
      context.print(flags.json === true ? JSON.stringify(report) : formatVerifyReport(report));
      if (verifyExitCode(report) !== 0) finish(EXIT.differs);
    });
};

/** How verify reaches Kafka and the registry: the same settings as the service, none of its clients. */
export function verifyAccess(
  settings: Settings,
  env: CliContext['env'],
): Pick<VerifyOptions, 'access' | 'registry' | 'topicPrefix' | 'kafkaLib'> {
  return {
    access: kafkaAccess(settings),
    registry: {
      url: settings.registryUrl,
      ...(settings.registryUsername === undefined ? {} : { username: settings.registryUsername }),
      ...(settings.registryPassword === undefined ? {} : { password: settings.registryPassword }),
    },
    topicPrefix: settings.topicPrefix,
    ...(env['KAFKA_LIB'] === undefined ? {} : { kafkaLib: env['KAFKA_LIB'] }),
  };
}

function kafkaAccess(settings: Settings): KafkaAccess {
  const { brokers, ssl, sasl } = kafkaSettings(settings);
  const files = typeof ssl === 'object' ? ssl : {};
  return {
    brokers,
    ssl: ssl !== undefined,
    ...(files.caFile === undefined ? {} : { sslCaFile: files.caFile }),
    ...(files.certFile === undefined ? {} : { sslCertFile: files.certFile }),
    ...(files.keyFile === undefined ? {} : { sslKeyFile: files.keyFile }),
    ...(sasl === undefined ? {} : { sasl }),
  };
}
