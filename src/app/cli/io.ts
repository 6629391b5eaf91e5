/** What commands share: where they print, how they fail, and the exit codes (documented in docs/cli.md). */
import { CodedError } from '../../base/errors.ts';
import type { Log } from '../../kafka/port.ts';
import { openLogBriefly } from '../log.ts';
import { loadSettings, type Settings } from '../settings.ts';
import { createLogger, type Logger } from '../telemetry.ts';

export const EXIT = {
  ok: 0,
  /** Something went wrong here: a bug, or an error no other code names. */
  failed: 1,
  /** The command line or a setting is wrong; nothing was done. */
  usage: 2,
  /** Verification found a defect, or a topic is missing or differs from the table. */
  differs: 3,
  /** Kafka or the schema registry does not answer. */
  unavailable: 4,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What a command needs of its surroundings. */
export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Read on first use, so that `--help` works with broken settings. */
  settings(): Settings;
  logger(): Logger;
  /** Kafka, for a command a person waits for; whoever opens it closes it. */
  openLog(): Log;
  /** A line on stdout. */
  print(line: string): void;
  /** Bytes on stdout, as they are. */
  write(bytes: Buffer): void;
  /** A line on stderr: progress and notes, never results. */
  note(line: string): void;
  /** Aborts at SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
}

export function createContext(env: CliContext['env'], signal: AbortSignal): CliContext {
  let settings: Settings | undefined;
  let logger: Logger | undefined;
  const context: CliContext = {
    env,
    signal,
    settings: () => {
      settings ??= loadSettings(env);
      return settings;
    },
    logger: () => {
      logger ??= createLogger(context.settings().logLevel);
      return logger;
    },
    openLog: () => openLogBriefly(context.settings(), context.logger()),
    write: (bytes) => void process.stdout.write(bytes),
    print: (line) => void process.stdout.write(`${line}\n`),
    note: (line) => void process.stderr.write(`${line}\n`),
  };
  return context;
}

/** For people: what was wrong, without a stack trace unless the fault is ours. */
export function explain(error: unknown): { readonly text: string; readonly code: ExitCode } {
  if (!(error instanceof CodedError)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { text: `internal error: ${text}`, code: EXIT.failed };
  }
  const hint = HINTS[error.code];
  const text = `error (${error.code}): ${error.message}${hint === undefined ? '' : `\nhint: ${hint}`}`;
  if (error.code === 'log_unavailable' || error.code === 'registry_unavailable')
    return { text, code: EXIT.unavailable };
  if (error.code === 'config_invalid') return { text, code: EXIT.usage };
  if (error.code === 'topic_invalid') return { text, code: EXIT.differs };
  return { text, code: EXIT.failed };
}

const HINTS: Partial<Record<string, string>> = {
  log_unavailable: 'is Kafka running at KAFKA_BROKERS? `make up` starts one.',
  registry_unavailable: 'is the schema registry running at SCHEMA_REGISTRY_URL? `make up` starts one.',
  dead_letter_unknown: '`cn-kustomer dead list` shows those there are.',
  topic_invalid: '`cn-kustomer topics` shows how the topics differ from the table.',
};
