/**
 * Kafka and the registry from Maven Central, fetched once into `.tools`. Maven checks the checksums (`-C`: a wrong one is
 * an error) and keeps its own cache, so a second project on the same machine downloads nothing either.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findMaven } from './java.ts';
import { ROOT, readVersions } from './versions.ts';

export interface Artifacts {
  /** Folder of Kafka's jars. */
  readonly kafkaLib: string;
  readonly registryJar: string;
}

const TOOLS = join(ROOT, '.tools');
const FETCH_DEADLINE_MS = 15 * 60_000;

/** Fetches what is missing, says so through `report`, and tells where it is. */
export function fetchArtifacts(report: (line: string) => void): Artifacts {
  const versions = readVersions();
  const pom = join(import.meta.dirname, 'pom.xml');
  const home = join(TOOLS, `stack-kafka-${versions.kafka}-apicurio-${versions.apicurio}`);
  const artifacts = {
    kafkaLib: join(home, 'kafka'),
    registryJar: join(home, 'apicurio', `apicurio-registry-app-${versions.apicurio}-runner.jar`),
  };
  // The stamp holds the POM, so that a changed POM fetches again; it is written last, so a half-done fetch has none.
  const stamp = join(home, 'complete.xml');
  const wanted = readFileSync(pom, 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return artifacts;

  report(
    `fetching Kafka ${versions.kafka} and Apicurio Registry ${versions.apicurio} from Maven Central (about 160 MB)`,
  );
  mkdirSync(TOOLS, { recursive: true });
  // Into a folder of its own, then renamed: a second fetch running at the same time cannot see half of this one.
  const into = mkdtempSync(join(TOOLS, 'fetch-'));
  try {
    const run = spawnSync(
      findMaven(),
      [
        ...['--batch-mode', '--quiet', '--strict-checksums', '--file', pom],
        ...[`-Dinto=${into}`, `-Dkafka.version=${versions.kafka}`],
        ...[`-Dapicurio.version=${versions.apicurio}`, `-Dslf4j.version=${versions.slf4j}`, 'package'],
      ],
      { encoding: 'utf8', timeout: FETCH_DEADLINE_MS, maxBuffer: 16 * 1024 * 1024 },
    );
    if (run.status !== 0) {
      throw new Error(
        `Maven could not fetch Kafka and the registry:\n${run.error?.message ?? ''}${run.stdout}${run.stderr}`,
      );
    }
    rmSync(join(into, 'target'), { recursive: true, force: true });
    writeFileSync(join(into, 'complete.xml'), wanted);
    rmSync(home, { recursive: true, force: true });
    renameSync(into, home);
  } finally {
    rmSync(into, { recursive: true, force: true });
  }
  return artifacts;
}
