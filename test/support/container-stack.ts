/** The broker and registry of a test run as containers: the development compose file, under a name and ports of its own. */
import { randomBytes } from 'node:crypto';
import { DockerComposeEnvironment, Wait } from 'testcontainers';
import { freePorts } from '../../scripts/stack/ports.ts';
import { registryUrl } from '../../scripts/stack/registry.ts';
import { ROOT, readVersions } from '../../scripts/stack/versions.ts';

const START_DEADLINE_MS = 300_000;

export async function startContainerStack(report: (line: string) => void) {
  const versions = readVersions();
  const [broker = 0, registry = 0] = await freePorts([null, null]);
  report(`starting Kafka on 127.0.0.1:${broker} and the schema registry on 127.0.0.1:${registry} as containers`);
  const environment = await new DockerComposeEnvironment(ROOT, 'docker-compose.kafka.yml')
    .withProjectName(`cn-kustomer-test-${randomBytes(4).toString('hex')}`)
    .withEnvironment({
      KAFKA_VERSION: versions.kafka,
      APICURIO_VERSION: versions.apicurio,
      KAFKA_PORT: String(broker),
      SCHEMA_REGISTRY_PORT: String(registry),
    })
    .withWaitStrategy('kafka-1', Wait.forHealthCheck())
    .withWaitStrategy('registry-1', Wait.forHealthCheck())
    .withStartupTimeout(START_DEADLINE_MS)
    .up();
  return {
    brokers: `127.0.0.1:${broker}`,
    registryUrl: registryUrl(registry),
    shared: false,
    stop: async () => void (await environment.down({ removeVolumes: true })),
  };
}
