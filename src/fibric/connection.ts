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
  readonly settings: ConnectionSettings;
}

export interface ConnectionSettings {
  /** Also emit the event types marked `extended` in the catalogue. */
  readonly extendedEvents: boolean;
  /** Id of the Kustomer user our API key stands for; changes by it are marked as echoes. Null = unknown. */
  readonly machineUserId: string | null;
}

/** A connection as the receiver needs it. Immutable: a change makes a new object. */
export interface ConnectionWithTokens extends Connection {
  /** Live webhook tokens, oldest first; two while one is being rotated. */
  readonly webhookTokens: readonly Secret[];
}
