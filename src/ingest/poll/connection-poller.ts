/**
 * Everything that is polled of one connection: each stream, live and backfill, in a loop of its own, so that none waits for
 * another. They share the client, its budget, and the partition's commits.
 */
import { aborted } from '../../base/aborted.ts';
import type { ConnectionWithTokens } from '../../fibric/connection.ts';
import type { KustomerClient } from '../../kustomer/client/client.ts';
import { backfillStream } from './backfill-stream.ts';
import { BackfillNote, type ConnectionNotes, StreamNote } from './health.ts';
import { pollStream } from './live-stream.ts';
import type { Owned, PollEnvironment } from './ports.ts';
import { BACKFILL_STREAMS, STREAM_SPECS, STREAMS } from './streams.ts';

export interface ConnectionPollerOptions {
  readonly environment: PollEnvironment;
  readonly owned: Owned;
  readonly connection: ConnectionWithTokens;
  /** Throws when the connection has an address or a key no request can be made with. */
  readonly client: () => KustomerClient;
  readonly notes: ConnectionNotes;
  readonly signal: AbortSignal;
}

/** Runs until the signal aborts; rejects with the first loop's rejection, once all have ended. */
export async function pollConnection(options: ConnectionPollerOptions): Promise<void> {
  const { environment, owned, connection, notes, signal } = options;
  for (const name of STREAMS) notes.streams.set(name, new StreamNote());
  for (const name of BACKFILL_STREAMS) notes.backfill.set(name, new BackfillNote());
  if (!connection.hasApiKey || connection.apiKey === null) {
    for (const note of notes.streams.values()) {
      note.trouble('no_key', 'the connection has no API key: it lives by its webhooks alone');
    }
    return aborted(signal);
  }
  let client: KustomerClient;
  try {
    client = options.client();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    for (const note of notes.streams.values()) note.trouble('misconfigured', reason);
    return aborted(signal);
  }
  const failed = new AbortController();
  const shared = { environment, owned, connection, client, signal: AbortSignal.any([signal, failed.signal]) };
  const loops = [
    ...[...notes.streams].map(([name, note]) => pollStream({ ...shared, spec: STREAM_SPECS[name] }, note)),
    ...[...notes.backfill].map(([name, note]) => backfillStream({ ...shared, spec: STREAM_SPECS[name] }, note)),
  ];
  const ended = loops.map((loop) =>
    loop.catch((error) => {
      failed.abort();
      throw error;
    }),
  );
  const results = await Promise.allSettled(ended);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
