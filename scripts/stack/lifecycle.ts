/**
 * Up and down of the development stack.
 *
 * I1  Every process is recorded in the state file before anything waits for it; so whatever interrupts us, the next up or
 *     down knows what is running.
 * I2  Nothing is stopped that is not recorded there, under its process id and start time or its compose project.
 * I3  The addresses are recorded only once both answered.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { composeDown, composeProject, composeUp, dockerAnswers } from './docker.ts';
import { startNativeStack } from './native.ts';
import { isAlive, type OwnedProcess, stopProcess } from './owned-process.ts';
import { freePorts } from './ports.ts';
import { kafkaAnswers, registryAnswers } from './probe.ts';
import { STACK_FOLDER, type StackState, StateFile } from './state.ts';

export interface StackAddresses {
  readonly brokers: string;
  readonly registryUrl: string;
}

export type Report = (line: string) => void;

const PREFERRED = { broker: 9092, registry: 8081 };
const STOP_DEADLINE_MS = 20_000;

/** Starts what is not running. `started` is false when all of it was up already. */
export function bringUp(
  report: Report,
  folder = STACK_FOLDER,
): Promise<StackAddresses & { readonly started: boolean }> {
  const file = new StateFile(folder);
  return file.locked(async () => {
    const found = file.read();
    if (found?.addresses && (await allAnswer(found))) return { ...found.addresses, started: false };
    if (found !== null) {
      report('what an earlier `make up` started is not complete; stopping the rest of it first');
      await stopRecorded(found, report);
    }
    ensureMasterKey(folder);
    const addresses = dockerAnswers() ? await upDocker(file, folder, report) : await upNative(file, folder, report);
    return { ...addresses, started: true };
  });
}

/** Stops exactly what is recorded. `false` when nothing was. */
export function takeDown(report: Report, folder = STACK_FOLDER): Promise<boolean> {
  const file = new StateFile(folder);
  return file.locked(async () => {
    const state = file.read();
    if (state === null) return false;
    await stopRecorded(state, report);
    file.remove();
    return true;
  });
}

/**
 * The master key of the development stack, beside its data and kept as long: what was sealed with it stands in that Kafka.
 * bin/cn-kustomer uses it with this stack, unless the environment names another.
 */
function ensureMasterKey(folder: string): void {
  const file = join(folder, 'master.key');
  if (!existsSync(file)) writeFileSync(file, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600, flag: 'wx' });
}

async function upDocker(file: StateFile, folder: string, report: Report): Promise<StackAddresses> {
  const project = composeProject(folder);
  const [broker = 0, registry = 0] = await freePorts([PREFERRED.broker, PREFERRED.registry]);
  report(`a Docker engine answers: starting Kafka and the registry with docker compose (project ${project})`);
  file.write({ kind: 'docker', addresses: null, project }); // I1
  const addresses = composeUp(project, { broker, registry });
  file.write({ kind: 'docker', addresses, project }); // I3
  return addresses;
}

async function upNative(file: StateFile, folder: string, report: Report): Promise<StackAddresses> {
  report('no Docker engine answers: starting Kafka and the registry on the Java of this machine');
  const processes: OwnedProcess[] = [];
  const stack = await startNativeStack({
    dataDir: join(folder, 'native'),
    registry: true,
    preferredPorts: PREFERRED,
    report,
    started: (_, owned) => {
      processes.push(owned);
      file.write({ kind: 'native', addresses: null, processes }); // I1
    },
  });
  if (stack.registryUrl === null) throw new Error('the native stack came up without its registry');
  const addresses = { brokers: stack.brokers, registryUrl: stack.registryUrl };
  file.write({ kind: 'native', addresses, processes }); // I3
  return addresses;
}

async function allAnswer(state: StackState): Promise<boolean> {
  if (state.addresses === null) return false;
  if (state.kind === 'native' && !state.processes.every(isAlive)) return false;
  try {
    const answers = await Promise.all([
      kafkaAnswers(state.addresses.brokers),
      registryAnswers(state.addresses.registryUrl),
    ]);
    return answers.every(Boolean);
  } catch {
    return false;
  }
}

async function stopRecorded(state: StackState, report: Report): Promise<void> {
  if (state.kind === 'docker') {
    composeDown(state.project);
    return;
  }
  // Last started, first stopped: the registry before its broker.
  for (const owned of state.processes.toReversed()) {
    const how = await stopProcess(owned, STOP_DEADLINE_MS);
    if (how !== 'gone') report(`process ${owned.pid} ${how}`);
  }
}
