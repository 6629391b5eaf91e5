/** The connection store as a process opens it: the control topic of the settings, with the master key of the environment. */
import type { Log } from '../../kafka/port.ts';
import { topicNames } from '../../kafka/topics.ts';
import type { Settings } from '../settings.ts';
import type { Problem } from './connection-table.ts';
import type { ControlLogger } from './control-topic.ts';
import { loadMasterKeys } from './master-key.ts';
import { createKeyring } from './seal.ts';
import { type ConnectionStore, openConnectionStore } from './store.ts';

export interface OpenControlOptions {
  readonly log: Log;
  readonly settings: Settings;
  readonly logger: ControlLogger;
  readonly onProblem?: (problem: Problem) => void;
}

/** The newest first. */
export function masterKeysOf(settings: Settings): Promise<readonly Buffer[]> {
  return loadMasterKeys({ CN_MASTER_KEY_FILE: settings.masterKeyFile, CN_MASTER_KEY: settings.masterKey });
}

export async function openControl({ settings, ...options }: OpenControlOptions): Promise<ConnectionStore> {
  const keys = await masterKeysOf(settings);
  return openConnectionStore({ ...options, topics: topicNames(settings.topicPrefix), keyring: createKeyring(keys) });
}

/** Undefined when there is no control topic: nothing was ever added. Creates nothing. */
export async function openExistingControl(options: OpenControlOptions): Promise<ConnectionStore | undefined> {
  const { control } = topicNames(options.settings.topicPrefix);
  const [existing] = await options.log.admin.describeTopics([control]);
  return existing === undefined ? undefined : openControl(options);
}
