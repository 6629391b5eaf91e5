/** The Java and Maven of this machine. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

export const MIN_JAVA = 17;

const HOW_TO_INSTALL = `Install one of:
  - Docker:  https://docs.docker.com/get-docker/
  - a JDK >= ${MIN_JAVA} with Maven:  Debian, Ubuntu: apt-get install openjdk-17-jdk-headless maven
                               Fedora: dnf install java-21-openjdk-devel maven   macOS: brew install openjdk maven
or set KAFKA_BROKERS and SCHEMA_REGISTRY_URL to a Kafka and a schema registry you have.`;

/** Something the machine lacks; the message says what to install. */
export class MissingTool extends Error {
  override readonly name = 'MissingTool';

  constructor(what: string) {
    super(`${what}\n${HOW_TO_INSTALL}`);
  }
}

/** `17.0.15` → 17, `1.8.0_392` → 8; null when the text names no version. */
export function javaMajor(versionOutput: string): number | null {
  const match = /version "(?:1\.)?(\d+)/.exec(versionOutput);
  return match?.[1] === undefined ? null : Number(match[1]);
}

/** The java command to use: JAVA_HOME's, else the one on PATH. Throws MissingTool when there is none new enough. */
export function findJava(env: NodeJS.ProcessEnv = process.env): string {
  const command = env['JAVA_HOME'] ? join(env['JAVA_HOME'], 'bin', 'java') : 'java';
  const run = spawnSync(command, ['-version'], { encoding: 'utf8', timeout: 20_000 });
  const major = run.error === undefined ? javaMajor(run.stderr) : null;
  if (major === null)
    throw new MissingTool(`No Docker engine with docker compose answers, and no Java was found (${command}).`);
  if (major < MIN_JAVA) {
    throw new MissingTool(
      `No Docker engine with docker compose answers, and ${command} is Java ${major}; at least ${MIN_JAVA} is needed.`,
    );
  }
  return command;
}

/** The Maven command. Throws MissingTool when there is none. */
export function findMaven(): string {
  const run = spawnSync('mvn', ['--version'], { encoding: 'utf8', timeout: 20_000 });
  if (run.error !== undefined || run.status !== 0) {
    throw new MissingTool(
      'No Docker engine with docker compose answers, and Maven (mvn), which fetches Kafka, was not found.',
    );
  }
  return 'mvn';
}
