/**
 * A Kustomer event as its outbound webhook carries it, or a resource as a poll saw it. Types only loosely checked: the vendor's shapes drift
 * (`client` string, object or absent; `changes` absent or null on create; `{}` for nothing), so everything that is
 * not needed to attribute a change is optional. Sources: webhook AsyncAPI (KustomerEvent), vendor event catalogue.
 */
export interface Change {
  readonly op: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** What a poll knows of a resource besides the resource: see `polled` of KustomerEvent. */
export interface Polled {
  readonly stream: string;
  /** When the page that showed it was answered. */
  readonly observedAtMs: number;
  /** Nothing that happened before this is published. */
  readonly sinceMs: number;
}

/** A customer's orders, fetched for this body; see src/ingest/enrich. */
export interface Enrichment {
  /** `complete`, `truncated`, `forbidden`, `unavailable` or `skipped`; null where it cannot be read. */
  readonly ordersState: string | null;
  /** Custom objects as Kustomer gave them; null unless there are any to show. */
  readonly orders: readonly unknown[] | null;
}

export interface KustomerEvent {
  /** Event id, stable across retries; null when absent. */
  readonly eventId: string | null;
  /** Such as `kustomer.conversation.update`; of a polled resource `poll.<stream>`. */
  readonly name: string;
  /** From `name` and `data.type`: `conversation`, `message`, `customer`, `user`, `team`, `tag`, or what the vendor says. */
  readonly resourceType: string;
  /** `create`, `update`, or what the vendor says; `observe` for a polled resource, and only for those. */
  readonly verb: string;
  readonly org: string | null;
  /** Time of the event, as sent. */
  readonly createdAt: string | null;
  /** `api-gw`, `routing-api`, …; null when absent or not a string. */
  readonly client: string | null;
  readonly id: string;
  /** Revision of the resource, +1 per change; null when absent. */
  readonly rev: number | null;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly relationships: Readonly<Record<string, unknown>>;
  readonly changedAttributes: Readonly<Record<string, Change>>;
  readonly changedRelationships: Readonly<Record<string, Change>>;
  /** Null for a webhook. A polled resource shows its latest state and says nothing of what changed. */
  readonly polled: Polled | null;
  readonly enrichment: Enrichment | null;
}
