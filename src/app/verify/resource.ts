/** What is remembered of one resource: its changes by revision, the envelopes they are to give, and those that were seen (I6). */
import type { EnvelopeFacts } from './envelope.ts';
import type { Expectation } from './manifest.ts';

export interface Slot {
  readonly expectation: Expectation;
  filledBy: Sighting | null;
}

export interface Change {
  readonly rev: number;
  readonly connection: string;
  /** Answer time of the first 2xx; null = not accepted. */
  acceptedAtMs: number | null;
  slots: Slot[];
}

export type Verdict = 'pending' | 'filled' | 'doubled' | 'unexpected';

/** One envelope as remembered. `facts` is dropped once the verdict is final (I6). */
export interface Sighting {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly arrivalMs: number | null;
  readonly watchedSinceMs: number;
  readonly rev: number;
  readonly eventType: string;
  readonly connectionId: string | null;
  readonly late: boolean;
  readonly idReused: boolean;
  facts: EnvelopeFacts | null;
  verdict: Verdict;
}

export interface Resource {
  readonly tenant: string;
  /** `conversation <id>` */
  readonly name: string;
  readonly changes: Map<number, Change>;
  readonly sightings: Sighting[];
}

/** Every resource of the manifest and of the envelopes, each tenant's its own. */
export class Resources {
  readonly #byKey = new Map<string, Resource>();

  /** Made when it is not known yet. */
  of(tenant: string, type: string, id: string): Resource {
    const name = `${type} ${id}`;
    const known = this.named(tenant, name);
    if (known !== undefined) return known;
    const resource: Resource = { tenant, name, changes: new Map(), sightings: [] };
    this.#byKey.set(`${tenant} ${name}`, resource);
    return resource;
  }

  named(tenant: string, name: string): Resource | undefined {
    return this.#byKey.get(`${tenant} ${name}`);
  }

  all(): Iterable<Resource> {
    return this.#byKey.values();
  }
}

export function subject(resource: Resource, rev: number, eventType?: string): string {
  return `${resource.tenant} ${resource.name} rev ${rev}${eventType ? ` ${eventType}` : ''}`;
}

export function place(record: { readonly topic: string; readonly partition: number; readonly offset: number }): string {
  return `${record.topic}[${record.partition}]@${record.offset}`;
}
