/** The envelopes of some topics as they become visible, read and decoded without the code that wrote them. */
import { wireSchemaId } from './decode.ts';
import { type OpenReaderOptions, openReader } from './readers/open.ts';
import type { ReadRecord } from './readers/reader.ts';
import { type RegistrySettings, schemaSource } from './schemas.ts';

export interface FollowedEnvelope {
  readonly eventId: string;
  readonly eventType: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly partition: number;
  readonly offset: number;
  /** When the reader had it. */
  readonly arrivalMs: number;
}

export interface EnvelopeFollow {
  /** Those so far, by topic. */
  of(topic: string): readonly FollowedEnvelope[];
  /** Why nothing more comes; null while all is well. */
  failure(): unknown;
  stop(): Promise<void>;
}

export interface FollowOptions extends Omit<OpenReaderOptions, 'topics'> {
  readonly topics: readonly string[];
  /** Null = the schema committed with this version. */
  readonly registry: RegistrySettings | null;
}

/** Keeps them all: for tests and demonstrations, not for a flood. */
export async function followEnvelopes({ topics, registry, ...options }: FollowOptions): Promise<EnvelopeFollow> {
  const schemas = schemaSource(registry);
  const seen = new Map<string, FollowedEnvelope[]>(topics.map((topic) => [topic, []]));
  let failure: unknown = null;
  const reader = await openReader({ ...options, topics: topics.map((name) => ({ name, headersOnly: false })) });
  const keep = async ({ topic, partition, offset, value, arrivalMs }: ReadRecord): Promise<void> => {
    const decode = await schemas.decoder(wireSchemaId(value) ?? -1);
    const envelope = decode(value as Buffer).envelope as Readonly<Record<string, unknown>>;
    seen.get(topic)?.push({
      eventId: String(envelope['event_id']),
      eventType: String(envelope['event_type']),
      payload: envelope['payload'] as FollowedEnvelope['payload'],
      partition,
      offset,
      arrivalMs,
    });
  };
  const following = (async () => {
    for await (const items of reader.items) for (const item of items) if (item.kind === 'record') await keep(item);
  })().catch((error: unknown) => {
    failure = error;
  });
  return {
    of: (topic) => seen.get(topic) ?? [],
    failure: () => failure,
    stop: async () => {
      await reader.close();
      await following;
    },
  };
}
