/**
 * KafkaJS's log lines, brought to the levels they deserve. It logs at ERROR what it is about to retry; on a fresh broker
 * and with back-to-back transactions that is routine.
 *
 * Only the fields named here are passed on: KafkaJS puts whole payloads and connection options into its extras.
 */
import type { logCreator } from 'kafkajs';
import { logLevel } from 'kafkajs';

/** The part of a pino logger that is used here. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface LogHooks {
  /** KafkaJS found the fetch position outside the log and starts again at the log start (it says so nowhere else). */
  readonly offsetReset?: (topic: string, partition: number) => void;
}

type Level = 'debug' | 'info' | 'warn' | 'error';

const KEPT_FIELDS = ['broker', 'clientId', 'groupId', 'memberId', 'topic', 'partition', 'retryCount', 'error'] as const;
const OFFSET_RESET = 'Offset out of range, resetting to default offset';

/** Retried by KafkaJS or by us, and expected in normal operation. */
const ROUTINE = [
  'group coordinator is not available',
  'not the correct coordinator',
  'coordinator is loading',
  'concurrent operation on the same transaction',
  'group is rebalancing',
  'needs to have a valid member id',
  'is not aware of this member',
  'no leader for this topic-partition',
  OFFSET_RESET, // a restore from offset 0 meets it whenever retention has moved the log start; groups hear of it by hook
];

/** KafkaJS logs each refused request and then throws the same error at us. */
const SAID_TWICE = /^Response [A-Z]/;

/** Many lines a second while a broker is away; told once by the errors and the consumer's own warning of this house. */
const TOLD_ELSEWHERE = ['Connection error', 'Connection timeout', 'Failed to connect', 'Crash: ', 'Closed connection'];

/** The level a KafkaJS line is passed on at. */
export function levelOf(level: logLevel, message: string, error: string): Level {
  const text = `${message} ${error}`;
  if (level === logLevel.INFO || level === logLevel.DEBUG) return 'debug';
  if (SAID_TWICE.test(message)) return 'debug';
  if (ROUTINE.some((part) => text.includes(part)) || TOLD_ELSEWHERE.some((part) => text.includes(part))) return 'debug';
  return level === logLevel.WARN ? 'info' : 'error';
}

/** A KafkaJS log creator that writes to `logger`. */
export function kafkaLogCreator(logger: Logger, hooks: LogHooks = {}): logCreator {
  return () =>
    ({ namespace, level, log }) => {
      const fields: Record<string, unknown> = { kafkajs: namespace };
      for (const name of KEPT_FIELDS) {
        const value: unknown = log[name];
        if (typeof value === 'string' || typeof value === 'number') fields[name] = value;
        else if (value instanceof Error) fields[name] = value.message;
      }
      if (log.message === OFFSET_RESET) hooks.offsetReset?.(String(log['topic']), Number(log['partition']));
      const message = String(log.message);
      logger[levelOf(level, message, String(fields['error'] ?? ''))](fields, message);
    };
}
