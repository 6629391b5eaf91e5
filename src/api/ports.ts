/**
 * What the API is given. This room knows the domain, the vendor and the log; everything the composition root owns (stores,
 * checks, the vendor's clients) reaches it through here, and tests bring their own. What events, receipts and actions need stands in data/ports.ts.
 */
import type { Clock } from '../base/clock.ts';
import type { Secret } from '../base/secret.ts';
import type { Mode } from '../fibric/commands/command.ts';
import type { Problem } from '../fibric/commands/field-reader.ts';
import type { WireReceipt } from '../fibric/commands/receipt-fields.ts';
import type { Connection } from '../fibric/connection.ts';
import type { CompiledPolicies, QuotaNeed } from '../fibric/policy/compile.ts';
import type { PolicyDocument } from '../fibric/policy/document.ts';
import type { Grants } from '../fibric/policy/grants.ts';
import type { PolicyChange, PolicySet } from '../fibric/policy/versions.ts';

/** Documents of one kind in the control topic, which every process follows. */
export interface Table<T> {
  get(key: string): T | undefined;
  list(prefix?: string): readonly (readonly [key: string, document: T])[];
  /**
   * Plans on the document as it is, again where another process wrote meanwhile. `null` = remove, the very object given =
   * no write. Resolves when readable here.
   */
  update(key: string, plan: (now: T | undefined) => T | null | undefined): Promise<T | undefined>;
  onChange(listener: (key: string) => void): () => void;
}

/** How a kind of document is kept. */
export interface TableKind<T> {
  readonly prefix: string;
  /** Throws for what is not of this kind. */
  parse(value: unknown): T;
  encode(document: T): unknown;
}

/** Each call must return at once. `error` goes to the log only. */
export interface ApiObserver {
  failed(error: unknown, at: { readonly route: string; readonly requestId: string }): void;
  answered(facts: {
    readonly route: string;
    readonly method: string;
    readonly status: number;
    readonly durationMs: number;
    readonly requestId: string;
    readonly tenantId: string | null;
    readonly keyId: string | null;
  }): void;
}

// Acting

export interface ActionRequest {
  readonly tenantId: string;
  /** Its id. */
  readonly connection: string;
  readonly capability: string;
  readonly args: unknown;
  readonly idempotencyKey: string;
  readonly operator: string;
  readonly mode: Mode;
  /** Absent = a new one. */
  readonly correlationId?: string | undefined;
  readonly eventId?: string | null | undefined;
  readonly value?: number | null | undefined;
  readonly deadlineMs?: number | null | undefined;
}

export type ActionResult =
  /** Nothing was published. */
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] }
  | { readonly kind: 'disposed'; readonly commandId: string; readonly receipt: WireReceipt }
  /** Published; its receipt did not come in time, or waits for a person. */
  | {
      readonly kind: 'pending';
      readonly commandId: string;
      /** The approval, or what was parked. */
      readonly waiting?: { readonly id: string; readonly kind: 'held' | 'parked' };
    };

/** Implemented in `data/`. */
export interface ActionsPort {
  /** Publishes a command and waits at most `waitMs` for its receipt. Throws `unavailable` when it could not be published. */
  send(
    request: ActionRequest,
    options: { readonly waitMs: number; readonly signal: AbortSignal },
  ): Promise<ActionResult>;
}

// Policies and grants

export interface PoliciesPort {
  of(tenantId: string): CompiledPolicies;
  set(tenantId: string): PolicySet;
  /** Names of those that cannot be read, for whose sake everything of the tenant is blocked. */
  unreadable(tenantId: string): readonly { readonly key: string; readonly message: string }[];
  apply(tenantId: string, document: PolicyDocument, by: string): Promise<PolicyChange>;
  disable(tenantId: string, name: string): Promise<PolicyChange>;
  delete(tenantId: string, name: string): Promise<PolicyChange>;
  /** Removes one that cannot be read, with all its versions. False when there is none. */
  discard(tenantId: string, name: string): Promise<boolean>;
  /** Granted in the window that ends now, as far as is known here. */
  used(need: QuotaNeed, nowMs: number): number | null;
}

export interface GrantEntry {
  readonly connectionId: string;
  readonly operator: string;
  readonly capabilities: readonly string[];
  readonly updatedAtMs: number;
  readonly by: string;
}

export interface GrantRequest {
  readonly tenantId: string;
  readonly connectionId: string;
  readonly operator: string;
  readonly capability: string;
  readonly by: string;
}

export interface GrantsPort {
  /** What the connection exposes, and to whom it is granted. */
  of(connection: Connection): Grants;
  list(tenantId: string): readonly GrantEntry[];
  grant(request: GrantRequest): Promise<void>;
  revoke(request: GrantRequest): Promise<void>;
}

// Connectors

export const CONNECTOR_STATUSES = ['connected', 'degraded', 'error', 'pending_auth'] as const;
export type ConnectorStatus = (typeof CONNECTOR_STATUSES)[number];

/** An installed connection as it stands, without its secrets. */
export interface Installed {
  readonly connection: Connection;
  /** Tells keys apart and is too little to find one; null without a key. */
  readonly authHint: string | null;
  /** What it is bound to, such as `support`; null where nobody said. */
  readonly role: string | null;
  readonly status: ConnectorStatus;
  readonly statusDetail: string | null;
  readonly webhookUrl: string | null;
  /** When something was last sensed through it; null before, and where that is not known here. */
  readonly lastSenseAtMs: number | null;
}

/** One thing that was looked at. `ok` null = it could not be found out. */
export interface Check {
  readonly name: string;
  readonly ok: boolean | null;
  /** `ok`, or what is wrong as a word clients may branch on: `unauthorized`, `missing_permission`, `rate_limited`, … */
  readonly code: string;
  readonly message: string;
  readonly nextStep: string | null;
}

export interface InstallRequest {
  readonly tenantId: string;
  readonly resellerId: string | null;
  readonly workspaceId: string | null;
  readonly name: string;
  /** Undefined = keep what there is. */
  readonly role: string | undefined;
  /** As typed: `subdomain`, `poll_interval`, … */
  readonly config: Readonly<Record<string, string | boolean | null>>;
  /** Undefined = keep the one there is. */
  readonly apiKey: Secret | undefined;
  /** Of a webhook made by hand; joins the live ones. */
  readonly webhookToken: Secret | undefined;
  readonly signal: AbortSignal;
}

export interface InstallResult {
  readonly installed: Installed;
  readonly created: boolean;
  /** False where a key that Kustomer refuses was not put in the place of the present one. */
  readonly keyStored: boolean;
  readonly checks: readonly Check[];
}

export interface WebhookReport {
  readonly url: string | null;
  /** Live tokens. */
  readonly tokens: number;
  readonly state: ConnectorStatus;
  readonly reason: string | null;
  readonly message: string;
  readonly webhooks: readonly {
    readonly id: string;
    readonly current: boolean;
    readonly enabled: boolean | null;
    readonly lastDeliveredAtMs: number | null;
    readonly failuresSince: number | null;
    readonly missingEvents: readonly string[];
  }[];
}

export interface BackfillFacts {
  readonly stream: string;
  /** `waiting`: wanted, and nobody has begun it. */
  readonly status: 'waiting' | 'off' | 'running' | 'paused' | 'done' | 'unreadable';
  /** RFC 3339, as are those below. */
  readonly since: string | null;
  /** Everything from here on is read. */
  readonly coveredFrom: string | null;
  /** Where the part under way stands. */
  readonly readUpTo: string | null;
  readonly rowsDone: number;
  readonly rowsLeft: number | null;
  readonly updatedAt: string | null;
}

export interface ConnectorsPort {
  /** Of this tenant. */
  list(tenantId: string): readonly Installed[];
  /** Of this tenant, by id or name. */
  find(tenantId: string, ref: string): Installed | undefined;
  /** Installs, or changes the one of this name. Throws `config_invalid` (CodedError) naming every parameter that is wrong. */
  install(request: InstallRequest): Promise<InstallResult>;
  remove(tenantId: string, connectionId: string): Promise<void>;
  /** Asks Kustomer about the webhooks. */
  webhook(tenantId: string, connectionId: string, signal: AbortSignal): Promise<WebhookReport>;
  /** Webhook health, signature, poll lag, permissions, budget. Asks Kustomer. */
  contract(tenantId: string, connectionId: string, signal: AbortSignal): Promise<readonly Check[]>;
  backfills(tenantId: string, connectionId: string): Promise<readonly BackfillFacts[]>;
  /** Reads history from `since` (an ISO 8601 date or instant) on. */
  startBackfill(tenantId: string, connectionId: string, since: string): Promise<void>;
}

/** Everything the routes of this room's own files need. */
export interface CorePorts {
  readonly clock: Clock;
  /** Random bytes: ids and tokens are made of them. */
  readonly random: (bytes: number) => Buffer;
  readonly connectors: ConnectorsPort;
  readonly policies: PoliciesPort;
  readonly grants: GrantsPort;
  readonly actions: ActionsPort;
}
