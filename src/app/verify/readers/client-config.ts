/**
 * Connection settings as a properties file, for librdkafka and for the Java client. A file with mode 0600 in a private
 * temporary folder, because a command line can be read by every user of the machine.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CodedError } from '../../../base/errors.ts';
import type { KafkaAccess } from './reader.ts';

export interface ConfigFile {
  readonly path: string;
  remove(): Promise<void>;
}

export async function writeConfigFile(properties: Readonly<Record<string, string>>): Promise<ConfigFile> {
  const folder = await mkdtemp(join(tmpdir(), 'cn-verify-'));
  const path = join(folder, 'client.properties');
  const lines = Object.entries(properties).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(path, lines.join(''), { mode: 0o600, flag: 'wx' });
  return { path, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** For librdkafka 1.x and 2.x. */
export function librdkafkaProperties(access: KafkaAccess): Record<string, string> {
  const { sasl } = access;
  return plain({
    'bootstrap.servers': access.brokers.join(','),
    'client.id': 'cn-verify',
    'isolation.level': 'read_committed',
    // The default waits up to half a second for data to pile up, which would be measured as latency of the service.
    'fetch.wait.max.ms': '50',
    'fetch.error.backoff.ms': '50',
    // Only messages of the main thread may reach the output that carries the records.
    log_level: '0',
    'security.protocol': protocolOf(access),
    ...(access.sslCaFile === undefined ? {} : { 'ssl.ca.location': access.sslCaFile }),
    ...(access.sslCertFile === undefined ? {} : { 'ssl.certificate.location': access.sslCertFile }),
    ...(access.sslKeyFile === undefined ? {} : { 'ssl.key.location': access.sslKeyFile }),
    ...(sasl === undefined
      ? {}
      : {
          'sasl.mechanisms': sasl.mechanism.toUpperCase(),
          'sasl.username': sasl.username,
          'sasl.password': sasl.password,
        }),
  });
}

/** For Apache's Java client. It wants the client's key and certificate in one PEM text, as `clientIdentity` gives it. */
export function javaProperties(access: KafkaAccess, identity: ClientIdentity | null): Record<string, string> {
  const { sasl } = access;
  return escaped({
    'bootstrap.servers': access.brokers.join(','),
    'client.id': 'cn-verify',
    'isolation.level': 'read_committed',
    'fetch.max.wait.ms': '50',
    'security.protocol': protocolOf(access),
    ...(access.sslCaFile === undefined
      ? {}
      : { 'ssl.truststore.type': 'PEM', 'ssl.truststore.location': access.sslCaFile }),
    ...(identity === null
      ? {}
      : {
          'ssl.keystore.type': 'PEM',
          'ssl.keystore.key': identity.key,
          'ssl.keystore.certificate.chain': identity.certificate,
        }),
    ...(sasl === undefined ? {} : { 'sasl.mechanism': sasl.mechanism.toUpperCase(), 'sasl.jaas.config': jaas(sasl) }),
  });
}

export interface ClientIdentity {
  readonly certificate: string;
  readonly key: string;
}

/** The client's certificate and key for mutual TLS; null when there are none. */
export async function clientIdentity(access: KafkaAccess): Promise<ClientIdentity | null> {
  if (access.sslCertFile === undefined || access.sslKeyFile === undefined) return null;
  return { certificate: await readFile(access.sslCertFile, 'utf8'), key: await readFile(access.sslKeyFile, 'utf8') };
}

function jaas(sasl: NonNullable<KafkaAccess['sasl']>): string {
  const kind = sasl.mechanism.toUpperCase() === 'PLAIN' ? 'plain.PlainLoginModule' : 'scram.ScramLoginModule';
  const quoted = (text: string) => `"${text.replace(/[\\"]/g, '\\$&')}"`;
  const login = `username=${quoted(sasl.username)} password=${quoted(sasl.password)}`;
  return `org.apache.kafka.common.security.${kind} required ${login};`;
}

function protocolOf(access: KafkaAccess): string {
  return `${access.sasl === undefined ? '' : 'SASL_'}${access.ssl ? 'SSL' : 'PLAINTEXT'}`;
}

/** librdkafka's file format has no escapes: a value with a line break would become another setting. */
function plain(properties: Record<string, string>): Record<string, string> {
  for (const [name, value] of Object.entries(properties))
    if (/[\r\n]/.test(value)) throw new CodedError('config_invalid', `${name} must not contain a line break`);
  return properties;
}

/** java.util.Properties: backslashes escape, anything not ASCII is \uXXXX. */
function escaped(properties: Record<string, string>): Record<string, string> {
  const escapeValue = (value: string) =>
    value
      .replaceAll('\\', '\\\\')
      .replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, escapeValue(value)]));
}
