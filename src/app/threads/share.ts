/** What is bounded for the process is divided among its threads. Pure. */
import type { Settings } from '../settings.ts';

export function settingsOfThread(settings: Settings, threads: number): Settings {
  return {
    ...settings,
    ingestQueueRecords: Math.ceil(settings.ingestQueueRecords / threads),
    ingestQueueBytes: Math.ceil(settings.ingestQueueBytes / threads),
    apiRecentMaxBytes: Math.ceil(settings.apiRecentMaxBytes / threads),
  };
}
