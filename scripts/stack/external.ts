/** A Kafka and a registry that are not ours: named by the environment, used, checked, never started or stopped. */
/** What KAFKA_BROKERS and SCHEMA_REGISTRY_URL name; null when neither is set. */
export function externalStack(env: NodeJS.ProcessEnv = process.env) {
  const brokers = env['KAFKA_BROKERS'] ?? '';
  const registryUrl = env['SCHEMA_REGISTRY_URL'] ?? '';
  if (brokers === '' && registryUrl === '') return null;
  if (brokers === '') throw new Error('SCHEMA_REGISTRY_URL is set and KAFKA_BROKERS is not: set both or neither.');
  if (registryUrl === '') throw new Error('KAFKA_BROKERS is set and SCHEMA_REGISTRY_URL is not: set both or neither.');
  return { brokers, registryUrl };
}

/**
 * Resolves when both answer, rejects with the reason when one does not. Both are asked by the service's own clients, with
 * the SASL, TLS and registry settings of the environment; loaded only here, since nothing else needs them.
 */
export async function checkExternal(env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const [{ Secret }, { loadSettings }, { kafkaSettings }, { openKafkaLog }, { registryEndpoint }, { pingRegistry }] =
    await Promise.all([
      import('../../src/base/secret.ts'),
      import('../../src/app/settings.ts'),
      import('../../src/app/log.ts'),
      import('../../src/kafka/kafkajs/index.ts'),
      import('../../src/kafka/registry-endpoint.ts'),
      import('../../src/kafka/registry-config.ts'),
    ]);
  const settings = loadSettings(env);
  const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const log = openKafkaLog({ settings: { ...kafkaSettings(settings), operationTimeoutMs: 15_000 }, logger: quiet });
  try {
    await log.admin.describeTopics();
  } catch (error) {
    throw new Error(`Kafka at ${settings.kafkaBrokers.join(',')} cannot be used: ${text(error)}`);
  } finally {
    await log.close().catch(() => {}); // what cannot be reached cannot be closed in good order either
  }
  const { registryUrl: url, registryUsername: username, registryPassword: password } = settings;
  const endpoint = registryEndpoint({
    url,
    username,
    password: password === undefined ? undefined : new Secret(password),
  });
  try {
    await pingRegistry(endpoint);
  } catch (error) {
    throw new Error(`the schema registry at ${endpoint.baseUrl} cannot be used: ${text(error)}`);
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
