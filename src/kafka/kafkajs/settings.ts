/** Settings of the Kafka connection, and how they become KafkaJS clients. */
import './quirks.ts'; // before kafkajs
import { readFileSync } from 'node:fs';
import { Kafka, type KafkaConfig, logLevel, type RetryOptions } from 'kafkajs';
import { CodedError } from '../../base/errors.ts';
import { registerCodecs } from './codecs.ts';
import { kafkaLogCreator, type Logger, type LogHooks } from './logging.ts';

export interface KafkaTlsFiles {
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

export interface KafkaSasl {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
}

export interface KafkaSettings {
  /** `host:port` each. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** `true` = TLS with the system's authorities. */
  readonly ssl?: KafkaTlsFiles | true;
  readonly sasl?: KafkaSasl;
  readonly connectionTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
  /** Longest time one call of the port may take: an append, opening a client, an admin question. */
  readonly operationTimeoutMs?: number;
}

/** Settings with every value in place. */
export interface ResolvedSettings extends KafkaSettings {
  readonly connectionTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly operationTimeoutMs: number;
}

export function resolveSettings(settings: KafkaSettings): ResolvedSettings {
  return {
    ...settings,
    connectionTimeoutMs: settings.connectionTimeoutMs ?? 3_000,
    requestTimeoutMs: settings.requestTimeoutMs ?? 10_000,
    operationTimeoutMs: settings.operationTimeoutMs ?? 30_000,
  };
}

/**
 * Client-level retries are short on purpose: they nest (each request may look up a coordinator, which may connect …), so
 * long ones multiply into minutes of work nobody waits for. What has to be outlasted is retried by us, under a deadline.
 */
export const CLIENT_RETRY: RetryOptions = {
  initialRetryTime: 20,
  maxRetryTime: 200,
  factor: 0.2,
  multiplier: 2,
  retries: 4,
};

/** CONCURRENT_TRANSACTIONS is routine between small transactions; KafkaJS's 300 ms would set their pace. */
export const TRANSACTIONAL_CLIENT_RETRY: RetryOptions = { ...CLIENT_RETRY, initialRetryTime: 3 };

export interface ClientOptions {
  readonly settings: ResolvedSettings;
  readonly logger: Logger;
  /** Added to the configured client id, so that brokers can tell our clients apart. */
  readonly clientId?: string;
  readonly retry?: RetryOptions;
  readonly hooks?: LogHooks;
}

/** A new `Kafka` object. Never share one between clients: it caches committed offsets across all of them. */
export function createKafka(options: ClientOptions): Kafka {
  registerCodecs();
  return new Kafka(kafkaConfig(options));
}

export function kafkaConfig({ settings, logger, clientId, retry, hooks }: ClientOptions): KafkaConfig {
  const tls = settings.ssl === undefined ? {} : { ssl: settings.ssl === true ? true : tlsOptions(settings.ssl) };
  const sasl = settings.sasl === undefined ? {} : { sasl: saslOptions(settings.sasl) };
  return {
    brokers: [...settings.brokers],
    clientId: clientId === undefined ? settings.clientId : `${settings.clientId}-${clientId}`,
    connectionTimeout: settings.connectionTimeoutMs,
    authenticationTimeout: settings.requestTimeoutMs,
    requestTimeout: settings.requestTimeoutMs,
    retry: retry ?? CLIENT_RETRY,
    logLevel: logLevel.INFO,
    logCreator: kafkaLogCreator(logger, hooks),
    ...tls,
    ...sasl,
  };
}

function tlsOptions(files: KafkaTlsFiles): { ca?: string[]; cert?: string; key?: string } {
  return {
    ...(files.caFile === undefined ? {} : { ca: [readFile(files.caFile)] }),
    ...(files.certFile === undefined ? {} : { cert: readFile(files.certFile) }),
    ...(files.keyFile === undefined ? {} : { key: readFile(files.keyFile) }),
  };
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new CodedError('config_invalid', `The Kafka TLS file ${path} cannot be read`, { path }, { cause });
  }
}

function saslOptions({ mechanism, username, password }: KafkaSasl): NonNullable<KafkaConfig['sasl']> {
  switch (mechanism) {
    case 'plain':
      return { mechanism: 'plain', username, password };
    case 'scram-sha-256':
      return { mechanism: 'scram-sha-256', username, password };
    case 'scram-sha-512':
      return { mechanism: 'scram-sha-512', username, password };
  }
}
