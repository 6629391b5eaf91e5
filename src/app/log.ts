/** The log this process works on: Kafka as the settings say, or the in-memory log for a first look. */
import { hostname } from 'node:os';
import { CodedError } from '../base/errors.ts';
import { type KafkaSettings, openKafkaLog } from '../kafka/kafkajs/index.ts';
import type { Log } from '../kafka/port.ts';
import type { Settings } from './settings.ts';
import type { Logger } from './telemetry.ts';

const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;

export function openLog(settings: Settings, logger: Logger): Log {
  return openKafkaLog({ settings: kafkaSettings(settings), logger });
}

/** For commands a person waits for: gives up on a broker that does not answer sooner than a service does. */
export function openLogBriefly(settings: Settings, logger: Logger): Log {
  return openKafkaLog({ settings: { ...kafkaSettings(settings), operationTimeoutMs: 10_000 }, logger });
}

export function kafkaSettings(settings: Settings): KafkaSettings {
  return {
    brokers: settings.kafkaBrokers,
    clientId: `cn-kustomer-${hostname()}-${process.pid}`,
    ...tls(settings),
    ...sasl(settings),
  };
}

function tls(settings: Settings): Pick<KafkaSettings, 'ssl'> {
  const { kafkaSsl, kafkaSslCaFile: caFile, kafkaSslCertFile: certFile, kafkaSslKeyFile: keyFile } = settings;
  const files = {
    ...(caFile === undefined ? {} : { caFile }),
    ...(certFile === undefined ? {} : { certFile }),
    ...(keyFile === undefined ? {} : { keyFile }),
  };
  if (Object.keys(files).length > 0) return { ssl: files };
  return kafkaSsl ? { ssl: true } : {};
}

function sasl(settings: Settings): Pick<KafkaSettings, 'sasl'> {
  const { kafkaSaslMechanism: named, kafkaSaslUsername: username, kafkaSaslPassword: password } = settings;
  if (named === undefined) return {};
  const mechanism = MECHANISMS.find((known) => known === named.toLowerCase());
  if (mechanism === undefined)
    throw new CodedError('config_invalid', `KAFKA_SASL_MECHANISM: expected ${MECHANISMS.join(', ')}`);
  if (username === undefined || password === undefined) {
    throw new CodedError('config_invalid', 'KAFKA_SASL_MECHANISM needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD');
  }
  return { sasl: { mechanism, username, password } };
}
