/** A broker that belongs to one test, which may stop, crash and pause it. Everything else shares the run's broker. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { compose, composeDown, composeProject, composeUp, dockerAnswers } from '../../scripts/stack/docker.ts';
import { startNativeStack } from '../../scripts/stack/native.ts';
import { freePorts } from '../../scripts/stack/ports.ts';
import { kafkaAnswers } from '../../scripts/stack/probe.ts';
import { waitFor } from './wait-for.ts';

export interface OwnBroker {
  /** `host:port`; stays the same over stop and start. */
  readonly brokers: string;
  /** Connections stay open, nothing is answered. */
  pause(): void;
  resume(): void;
  /** Orderly, or `SIGKILL`: a crash. Resolves when it is gone. */
  stop(how?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** With the same data. Resolves when it answers. */
  start(): Promise<void>;
}

/** Starts it; it is gone, data and all, after the test. */
export async function startOwnBroker(): Promise<OwnBroker> {
  const folder = mkdtempSync(join(tmpdir(), 'cn-kustomer-broker-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return dockerAnswers() ? startContainer(composeProject(folder)) : startNative(folder);
}

async function startNative(dataDir: string): Promise<OwnBroker> {
  const stack = await startNativeStack({ dataDir, registry: false, maxHeapMb: 512 });
  onTestFinished(() => stack.stop());
  return {
    brokers: stack.brokers,
    pause: () => stack.pauseBroker(),
    resume: () => stack.resumeBroker(),
    stop: (how) => stack.stopBroker(how),
    start: () => stack.startBroker(),
  };
}

async function startContainer(project: string): Promise<OwnBroker> {
  const [broker = 0, registry = 0] = await freePorts([null, null]);
  onTestFinished(() => composeDown(project, { volumes: true }));
  const { brokers } = composeUp(project, { broker, registry }, ['kafka']);
  return {
    brokers,
    pause: () => compose(project, ['pause', 'kafka']),
    resume: () => compose(project, ['unpause', 'kafka']),
    stop: async (how) => compose(project, how === 'SIGKILL' ? ['kill', 'kafka'] : ['stop', 'kafka']),
    start: async () => {
      compose(project, ['start', 'kafka']);
      await waitFor(() => kafkaAnswers(brokers), { message: 'the restarted broker', deadlineMs: 60_000, everyMs: 200 });
    },
  };
}
