/** What the poller writes, for tests: a resource as a page showed it. */
import type { Resource } from '../../src/simulator/model/resource.ts';

export interface PollOf {
  readonly stream?: string;
  readonly observedAtMs: number;
  readonly sinceMs: number;
}

/** The simulator's resources have what a page has of them, and more. */
export type Shown = Pick<Resource, 'type' | 'id' | 'attributes' | 'relationships'>;

export function polledBody({ type, id, attributes, relationships }: Shown, poll: PollOf): Buffer {
  return Buffer.from(
    JSON.stringify({
      poll: {
        stream: poll.stream ?? 'conversations',
        observed_at: new Date(poll.observedAtMs).toISOString(),
        since: new Date(poll.sinceMs).toISOString(),
      },
      data: { type, id, attributes, relationships },
    }),
  );
}
