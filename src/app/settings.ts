/**
 * The one table of settings. Every setting is an environment variable; `docs/reference/settings.md` is generated from this table
 * and `cn-kustomer settings` prints it. All problems are reported at once; secrets are only ever shown as set or unset.
 */
import { availableParallelism } from 'node:os';
import { CodedError } from '../base/errors.ts';

interface Setting<T, F extends string | null = string | null> {
  readonly env: string;
  readonly doc: string;
  /** Text parsed when the variable is unset; null = no default. */
  readonly fallback: F;
  readonly secret?: true;
  readonly parse: (text: string) => T;
}

function setting<T>(env: string, fallback: string, doc: string, parse: (text: string) => T): Setting<T, string> {
  return { env, doc, fallback, parse };
}

function optional<T>(env: string, doc: string, parse: (text: string) => T): Setting<T, null> {
  return { env, doc, fallback: null, parse };
}

function secret(env: string, doc: string): Setting<string, null> {
  return { env, doc, fallback: null, secret: true, parse: text };
}

const text = (value: string): string => value;

function list(value: string): readonly string[] {
  const items = value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
  if (items.length === 0) throw new Error('expected a comma-separated list');
  return items;
}

/** `host:port`, also `[::1]:9092`. */
function brokers(value: string): readonly string[] {
  const items = list(value);
  for (const item of items) {
    const port = Number(/^(?:[^\s:/]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/.exec(item)?.[1]);
    if (!(port >= 1 && port <= 65_535)) throw new Error('expected host:port, comma-separated');
  }
  return items;
}

/** What Kafka allows in a topic name, with room for the rest of the name. */
function topicPrefix(value: string): string {
  if (!/^[a-zA-Z0-9._-]{0,100}$/.test(value)) throw new Error('expected at most 100 of a-z A-Z 0-9 . _ -');
  return value;
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

function logLevel(value: string): string {
  if (!LOG_LEVELS.includes(value)) throw new Error(`expected ${LOG_LEVELS.join(', ')}`);
  return value;
}

function flag(value: string): boolean {
  if (['1', 'true', 'yes'].includes(value)) return true;
  if (['0', 'false', 'no', ''].includes(value)) return false;
  throw new Error('expected 1 or 0');
}

function integer(min: number, max: number): (value: string) => number {
  return (value) => {
    const parsed = Number(value);
    if (!Number.isInteger(parsed) || parsed < min || parsed > max)
      throw new Error(`expected a whole number from ${min} to ${max}`);
    return parsed;
  };
}

function threads(value: string): number {
  return value === 'auto' ? Math.min(MAX_THREADS, availableParallelism()) : integer(1, MAX_THREADS)(value);
}

const MAX_THREADS = 64;
const DAY_MS = 86_400_000;

export const SETTINGS = {
  kafkaBrokers: setting('KAFKA_BROKERS', '127.0.0.1:9092', 'Bootstrap brokers, comma-separated host:port.', brokers),
  kafkaSsl: setting('KAFKA_SSL', '0', 'Use TLS to the brokers.', flag),
  kafkaSslCaFile: optional('KAFKA_SSL_CA_FILE', 'PEM file of the certificate authority of the brokers.', text),
  kafkaSslCertFile: optional('KAFKA_SSL_CERT_FILE', 'PEM file of the client certificate (mutual TLS).', text),
  kafkaSslKeyFile: optional('KAFKA_SSL_KEY_FILE', 'PEM file of the client key (mutual TLS).', text),
  kafkaSaslMechanism: optional('KAFKA_SASL_MECHANISM', 'plain, scram-sha-256 or scram-sha-512.', text),
  kafkaSaslUsername: optional('KAFKA_SASL_USERNAME', 'SASL user name.', text),
  kafkaSaslPassword: secret('KAFKA_SASL_PASSWORD', 'SASL password.'),
  registryUrl: setting(
    'SCHEMA_REGISTRY_URL',
    'http://127.0.0.1:8081/apis/ccompat/v7',
    'Confluent-compatible schema registry.',
    text,
  ),
  registryUsername: optional('SCHEMA_REGISTRY_USERNAME', 'User name at the registry.', text),
  registryPassword: secret('SCHEMA_REGISTRY_PASSWORD', 'Password at the registry.'),
  masterKey: secret(
    'CN_MASTER_KEY',
    'Master key that seals secrets: 32 bytes as base64 or hex; several, newest first, comma-separated.',
  ),
  masterKeyFile: optional('CN_MASTER_KEY_FILE', 'File with the master key, instead of CN_MASTER_KEY.', text),
  topicPrefix: setting(
    'TOPIC_PREFIX',
    '',
    'Put before every topic name; lets installations share a cluster.',
    topicPrefix,
  ),
  replicationFactor: optional(
    'TOPIC_REPLICATION_FACTOR',
    "Replicas of our topics; unset = the broker's default.",
    integer(1, 10),
  ),
  rawPartitions: setting(
    'RAW_PARTITIONS',
    '4',
    'Partitions of the raw and state topics. Changing it is a migration.',
    integer(1, 1024),
  ),
  eventPartitions: setting('EVENT_PARTITIONS', '4', 'Partitions of each envelope topic.', integer(1, 1024)),
  cursorPartitions: setting(
    'CURSOR_PARTITIONS',
    '8',
    'Partitions of the cursor topic: most processes that can poll side by side. Changing it is a migration.',
    integer(1, 1024),
  ),
  commandPartitions: setting(
    'COMMAND_PARTITIONS',
    '4',
    'Partitions of the commands and ledger topics: most processes that can write side by side. Changing it is a migration.',
    integer(1, 1024),
  ),
  shards: setting(
    'PROCESS_SHARDS',
    '4',
    'Shards: sets of raw partitions sharing one transaction. At most RAW_PARTITIONS.',
    integer(1, 1024),
  ),
  stateRetentionMs: setting(
    'STATE_RETENTION_MS',
    String(90 * DAY_MS),
    'How long seen changes are remembered, in milliseconds.',
    integer(60_000, 3650 * DAY_MS),
  ),
  rawRetentionMs: setting(
    'RAW_RETENTION_MS',
    String(14 * DAY_MS),
    'How long raw records and commands are kept, in milliseconds.',
    integer(60_000, 3650 * DAY_MS),
  ),
  stateMaxBytes: setting(
    'STATE_MAX_BYTES',
    String(2 ** 30),
    'Bound of the state in memory per shard, in bytes; full = the shard stops.',
    integer(2 ** 20, 2 ** 36),
  ),
  ledgerRetentionMs: setting(
    'LEDGER_RETENTION_MS',
    String(90 * DAY_MS),
    'How long an idempotency key that has been used is known, in milliseconds. After that it would write again.',
    integer(60_000, 3650 * DAY_MS),
  ),
  ledgerMaxBytes: setting(
    'LEDGER_MAX_BYTES',
    String(2 ** 28),
    'Bound of the ledger in memory per partition of the commands, in bytes; full = the partition takes no command until there is room.',
    integer(2 ** 24, 2 ** 36),
  ),
  createsPerCustomer: setting(
    'CREATES_PER_CUSTOMER_MINUTE',
    '120',
    'Notes and messages that one process creates for one customer in a minute; Kustomer takes 120 of each of its callers.',
    integer(1, 1_000_000),
  ),
  batchRecords: setting('PROCESS_BATCH_RECORDS', '1000', 'Most raw records in one transaction.', integer(1, 10_000)),
  paceMs: setting(
    'PROCESS_PACE_MS',
    '25',
    'Least milliseconds between two transactions of a shard under light load.',
    integer(0, 1000),
  ),
  sessionTimeoutMs: setting(
    'GROUP_SESSION_TIMEOUT_MS',
    '15000',
    'A process silent for this long loses its partitions.',
    integer(6000, 300_000),
  ),
  deadLetterRun: setting(
    'DEAD_LETTER_RUN',
    '100',
    'A partition stops after this many dead letters in a row.',
    integer(1, 1_000_000),
  ),
  apiBudgetShare: setting(
    'API_BUDGET_SHARE',
    '70',
    "Percent of an organisation's request budget that is ours, over all processes; the rest is left to its other apps.",
    integer(5, 100),
  ),
  apiSearchBudgetShare: setting(
    'API_SEARCH_BUDGET_SHARE',
    '100',
    "Percent of the machine users' search limit that is ours; less where our API key is used elsewhere too.",
    integer(5, 100),
  ),
  pollOverlapMs: setting(
    'POLL_OVERLAP_MS',
    '300000',
    'How far back each poll reads again: as late as a change may show up in searches of Kustomer.',
    integer(0, 86_400_000),
  ),
  pollPageSize: setting('POLL_PAGE_SIZE', '500', 'Rows of one page of a search; Kustomer takes 500.', integer(2, 500)),
  host: setting('HOST', '127.0.0.1', 'Address the HTTP server listens on.', text),
  port: setting('PORT', '8080', 'Port the HTTP server listens on; 0 = any free port.', integer(0, 65_535)),
  bodyLimitBytes: setting('WEBHOOK_BODY_LIMIT_BYTES', String(2 ** 20), 'Largest webhook body.', integer(1024, 2 ** 21)),
  ingestWaitMs: setting(
    'INGEST_WAIT_MS',
    '5000',
    'Longest wait for the broker before a webhook is answered 503.',
    integer(100, 60_000),
  ),
  ingestQueueRecords: setting(
    'INGEST_QUEUE_RECORDS',
    '20000',
    'Most webhooks waiting for the broker; full = 503.',
    integer(100, 1_000_000),
  ),
  ingestQueueBytes: setting(
    'INGEST_QUEUE_BYTES',
    String(64 * 2 ** 20),
    'Most bytes waiting for the broker; full = 503.',
    integer(2 ** 20, 2 ** 32),
  ),
  threads: setting(
    'THREADS',
    '1',
    'Threads `serve` runs on, each a member of the groups and a listener of its own; `auto` = one per core.',
    threads,
  ),
  publicUrl: optional(
    'PUBLIC_URL',
    'Where Kustomer reaches this service, such as https://hooks.example.com; for webhooks made by commands.',
    text,
  ),
  webhookCheckMs: setting(
    'WEBHOOK_CHECK_MS',
    '60000',
    'Milliseconds between two checks of the webhooks of a connection.',
    integer(1000, 3_600_000),
  ),
  webhookAutoEnable: setting(
    'WEBHOOK_AUTO_ENABLE',
    '1',
    'Switch webhooks on again that Kustomer switched off for their failures.',
    flag,
  ),
  adminToken: secret(
    'CN_ADMIN_TOKEN',
    'Admin token of the API: makes tenants and their tokens. Unset = the first start makes one and prints it once.',
  ),
  apiRatePerMinute: setting(
    'API_RATE_PER_MINUTE',
    '6000',
    'Most requests of one tenant to the API in a minute, for each class of routes and process; more = 429.',
    integer(1, 10_000_000),
  ),
  apiBodyLimitBytes: setting(
    'API_BODY_LIMIT_BYTES',
    String(2 ** 18),
    'Largest body of a request to the API.',
    integer(2 ** 12, 2 ** 24),
  ),
  apiRecentMaxBytes: setting(
    'API_RECENT_MAX_BYTES',
    String(2 ** 26),
    'Most bytes of recent events and receipts the API keeps in memory, of all tenants together; what is older is read from the topic. Divided among the threads.',
    integer(2 ** 20, 2 ** 32),
  ),
  kustomerBaseUrl: optional(
    'KUSTOMER_BASE_URL',
    "Where connectors installed through the API ask Kustomer; unset = the subdomain's own host. For the simulator.",
    text,
  ),
  shutdownMs: setting('SHUTDOWN_MS', '10000', 'Longest orderly shutdown.', integer(1000, 120_000)),
  logLevel: setting('LOG_LEVEL', 'info', 'fatal, error, warn, info, debug or trace.', logLevel),
} as const;

type Table = typeof SETTINGS;
type Value<S> = S extends Setting<infer T> ? T : never;
/** A setting without a default may be undefined. */
export type Settings = {
  readonly [K in keyof Table]: Table[K]['fallback'] extends string ? Value<Table[K]> : Value<Table[K]> | undefined;
};

/** Reads every setting; throws one CodedError `config_invalid` naming all that is wrong. An empty variable is unset. */
export function loadSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, definition] of Object.entries(SETTINGS) as [string, Setting<unknown>][]) {
    const given = env[definition.env];
    const raw = given === undefined || given === '' ? definition.fallback : given;
    if (raw === null) continue;
    try {
      values[name] = definition.parse(raw);
    } catch (error) {
      const shown = definition.secret ? 'the value' : JSON.stringify(raw);
      problems.push(
        `${definition.env}: ${shown} is not valid: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
  const settings = values as Settings;
  if (settings.shards > settings.rawPartitions) problems.push('PROCESS_SHARDS: must not exceed RAW_PARTITIONS');
  if (problems.length > 0) throw new CodedError('config_invalid', problems.join('\n'));
  return settings;
}
