/**
 * A Kustomer event as its outbound webhook carries it. Types only loosely checked: the vendor's shapes drift
 * (`client` string, object or absent; `changes` absent or null on create; `{}` for nothing), so everything that is
 * not needed to attribute a change is optional. Sources: webhook AsyncAPI (KustomerEvent), vendor event catalogue.
 */
export interface Change {
  readonly op: string;
  readonly before: unknown;
  readonly after: unknown;
}

export interface KustomerEvent {
  /** Event id, stable across retries; null when absent. */
  readonly eventId: string | null;
  /** Such as `kustomer.conversation.update`. */
  readonly name: string;
  /** From `name` and `data.type`: `conversation`, `message`, `customer`, `user`, `team`, `tag`, or what the vendor says. */
  readonly resourceType: string;
  /** `create`, `update`, or what the vendor says. */
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
}
