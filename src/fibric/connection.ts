import type { Secret } from '../base/secret.ts';

/** A connection: one Kustomer organisation as one tenant sees it. What the rooms know of it, without its secrets. */
export interface Connection {
  /** `cn_…`, unique across tenants; the last segment of the webhook URL. */
  readonly connectionId: string;
  /** `t_…` */
  readonly tenantId: string;
  readonly resellerId: string | null;
  readonly workspaceId: string | null;
  /** Name the tenant gave it, such as `kustomer-prod`; unique per tenant. */
  readonly name: string;
  /** The `acme` in acme.kustomerapp.com. */
  readonly subdomain: string;
  /** Kustomer's organisation id (24 hex); null until known, then bodies of another organisation are refused. */
  readonly orgId: string | null;
  /** Where the API is asked instead of the subdomain's own host: a pod's host, or the simulator. Null = the subdomain's. */
  readonly apiBaseUrl: string | null;
  /** Without a key nothing is polled or fetched: the connection lives by its webhooks alone. */
  readonly hasApiKey: boolean;
  /** When the connection began, ms since the epoch: unless `backfillSinceMs` says more, nothing older is published. */
  readonly startedAtMs: number;
  /** Kustomer's id of the outbound webhook that this connection made or adopted; null = none, or made by hand. */
  readonly webhookId: string | null;
  /** While webhooks are being rotated: the one before, to be deleted once the new one delivers. */
  readonly previousWebhookId: string | null;
  readonly settings: ConnectionSettings;
}

export interface ConnectionSettings {
  /** Also emit the event types marked `extended` in the catalogue. */
  readonly extendedEvents: boolean;
  /** Id of the Kustomer user our API key stands for; changes by it are marked as echoes. Null = unknown. */
  readonly machineUserId: string | null;
  /** `poll_interval` of the connect guide, at least MIN_POLL_INTERVAL_MS. */
  readonly pollIntervalMs: number;
  /** `backfill_since` of the connect guide, ms since the epoch; null = webhook-forward only, no history. */
  readonly backfillSinceMs: number | null;
  /** Klass of the custom objects that are a customer's orders; null = customers come without orders. */
  readonly orderKlass: string | null;
}

/** Shorter would spend the organisation's search limit (100 a minute) on four streams alone. */
export const MIN_POLL_INTERVAL_MS = 5000;

/** What a connection gets where nothing else was said. */
export const CONNECTION_SETTINGS: ConnectionSettings = {
  extendedEvents: false,
  machineUserId: null,
  pollIntervalMs: 60_000,
  backfillSinceMs: null,
  orderKlass: 'order',
};

/** A connection with its secrets, opened. Immutable: a change makes a new object. */
export interface ConnectionWithTokens extends Connection {
  /** Live webhook tokens, oldest first; two while one is being rotated, none for a connection that only polls. */
  readonly webhookTokens: readonly Secret[];
  readonly apiKey: Secret | null;
}

/** Whether both ask the same organisation with the same key. */
export function sameAccess(one: ConnectionWithTokens, other: ConnectionWithTokens): boolean {
  return (
    one.tenantId === other.tenantId &&
    one.subdomain === other.subdomain &&
    one.apiBaseUrl === other.apiBaseUrl &&
    one.apiKey?.reveal() === other.apiKey?.reveal()
  );
}
