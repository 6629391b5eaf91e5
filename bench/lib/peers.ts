/** The peers: small Java programs under bench/peers, built by Maven into .data/bench/peers. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { DATA } from './bench.ts';
import { type Program, runToEnd } from './children.ts';
import { ROOT } from './machine.ts';

const BUILD_MS = 15 * 60_000;

/** Null when this machine cannot build or run them: then the bench goes on without, and says so. */
export function peerProblem(): string | null {
  for (const command of ['java', 'mvn'])
    if (spawnSync(command, ['-version'], { timeout: 20_000 }).error !== undefined)
      return `${command} is not here: install a JDK >= 17 and Maven (Debian, Ubuntu: apt-get install openjdk-17-jdk-headless maven)`;
  return null;
}

/** Builds the peer and gives its class path. */
export function buildPeer(name: 'camel' | 'streams'): string {
  const pom = join(ROOT, 'bench', 'peers', name, 'pom.xml');
  const args = ['--batch-mode', '--quiet', '--strict-checksums', '--file', pom, 'package'];
  runToEnd({ name: `build-${name}`, command: 'mvn', args, timeoutMs: BUILD_MS });
  const target = join(DATA, 'peers', name);
  return `${join(target, 'classes')}:${join(target, 'lib')}/*`;
}

export function peerProgram(
  name: string,
  classPath: string,
  mainClass: string,
  env: Readonly<Record<string, string>>,
): Program {
  const jvm = ['-Xmx512m', '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-cp', classPath];
  return { name, command: 'java', args: [...jvm, mainClass], env };
}
