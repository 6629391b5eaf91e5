/**
 * One Kafka and one schema registry for all tiers of a run that need them: those of the environment, else containers
 * where Docker answers, else native ones in a temporary folder. Runs without such a tier start nothing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { dockerAnswers } from '../../scripts/stack/docker.ts';
import { checkExternal, externalStack } from '../../scripts/stack/external.ts';
import { startNativeStack } from '../../scripts/stack/native.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** `host:port`, comma-separated. */
    kafkaBrokers: string;
    schemaRegistryUrl: string;
    /** True when the broker outlives the run: tests then remove their topics. */
    kafkaIsShared: boolean;
  }
}

interface RunStack {
  readonly brokers: string;
  readonly registryUrl: string;
  readonly shared: boolean;
  stop(): Promise<void>;
}

/** Every tier loads this module anew, so the one stack of the run hangs on a symbol of the process. */
const SLOT = Symbol.for('cn-kustomer.test-stack');
const slots = globalThis as { [SLOT]?: { stack: Promise<RunStack>; users: number } };

const report = (line: string): void => void process.stderr.write(`test stack: ${line}\n`);

async function startStack(): Promise<RunStack> {
  const external = externalStack();
  if (external !== null) {
    await checkExternal();
    report(`using the Kafka and the schema registry of the environment (${external.brokers})`);
    return { ...external, shared: true, stop: async () => {} };
  }
  if (dockerAnswers()) return (await import('./container-stack.ts')).startContainerStack(report);
  const dataDir = mkdtempSync(join(tmpdir(), 'cn-kustomer-test-'));
  const removeData = () => rmSync(dataDir, { recursive: true, force: true });
  try {
    const stack = await startNativeStack({ dataDir, registry: true, report });
    if (stack.registryUrl === null) throw new Error('the native stack came up without its registry');
    const stop = async () => {
      await stack.stop();
      removeData();
    };
    return { brokers: stack.brokers, registryUrl: stack.registryUrl, shared: false, stop };
  } catch (error) {
    removeData();
    throw error;
  }
}

export async function setup(project: TestProject): Promise<void> {
  slots[SLOT] ??= { stack: startStack(), users: 0 };
  slots[SLOT].users += 1;
  const stack = await slots[SLOT].stack;
  project.provide('kafkaBrokers', stack.brokers);
  project.provide('schemaRegistryUrl', stack.registryUrl);
  project.provide('kafkaIsShared', stack.shared);
}

export async function teardown(): Promise<void> {
  const slot = slots[SLOT];
  if (slot === undefined) return;
  slot.users -= 1;
  if (slot.users > 0) return;
  delete slots[SLOT];
  await (await slot.stack).stop();
}
