/** The envelopes of several tenants as they become visible, read and decoded without the service's own code. */

import { wireSchemaId } from '../../../src/app/verify/decode.ts';
import { openReader } from '../../../src/app/verify/readers/open.ts';
import { schemaSource } from '../../../src/app/verify/schemas.ts';
import { realClock } from '../../../src/base/clock.ts';
import type { Published } from '../../../src/simulator/truth/compare.ts';

export interface SeenEnvelope extends Published {
  /** When the reader had it. */
  readonly arrivalMs: number;
}

export interface EnvelopeTail {
  /** So far, by topic. */
  of(topic: string): readonly SeenEnvelope[];
  /** Why nothing more comes; null while all is well. */
  failure(): unknown;
  stop(): Promise<void>;
}

export interface TailOptions {
  readonly brokers: readonly string[];
  readonly registryUrl: string;
  readonly topics: readonly string[];
}

export async function followEnvelopes({ brokers, registryUrl, topics }: TailOptions): Promise<EnvelopeTail> {
  const schemas = schemaSource({ url: registryUrl });
  const seen = new Map<string, SeenEnvelope[]>(topics.map((topic) => [topic, []]));
  let failure: unknown = null;
  const reader = await openReader({
    reader: 'auto',
    access: { brokers, ssl: false },
    topics: topics.map((name) => ({ name, headersOnly: false })),
    clock: realClock,
  });
  const following = (async () => {
    for await (const items of reader.items) {
      for (const item of items) {
        if (item.kind !== 'record') continue;
        const { topic, partition, offset, value, arrivalMs } = item;
        const decode = await schemas.decoder(wireSchemaId(value) ?? -1);
        const { event_id, event_type, payload } = decode(value as Buffer).envelope as Record<string, unknown>;
        seen.get(topic)?.push({
          eventId: String(event_id),
          eventType: String(event_type),
          payload: payload as Published['payload'],
          partition,
          offset,
          arrivalMs,
        });
      }
    }
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
