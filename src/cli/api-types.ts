/**
 * What the API answers, as far as it is shown. Lenient on purpose: within a major version fields and values may come, and
 * a list must not break over them.
 */
export interface Identity {
  readonly tenant_id: string;
  readonly tenant_name?: string | null;
  readonly reseller_id: string | null;
  readonly workspace_id: string | null;
  readonly key_id: string;
  readonly key_name?: string | null;
  readonly scopes?: readonly string[];
  readonly expires_at?: string | null;
}

export interface Listing {
  readonly id: string;
  readonly name?: string;
  readonly category?: string;
  readonly publisher?: string;
  readonly type?: string;
  readonly about?: string;
  readonly auth?: { readonly kind?: string };
  readonly tools?: readonly { readonly name: string; readonly capability?: string; readonly side_effect?: boolean }[];
  readonly events?: readonly { readonly event_type: string; readonly kind?: string }[];
  readonly config?: readonly {
    readonly name: string;
    readonly type?: string;
    readonly required?: boolean;
    readonly default?: unknown;
    readonly description?: string;
  }[];
}

/** One thing that was looked at, by the probe or the contract check. */
export interface Check {
  readonly name: string;
  readonly ok: boolean | null;
  readonly status?: string;
  readonly code?: string | null;
  readonly message?: string | null;
  readonly next_step?: string | null;
}

export interface Connector {
  readonly id: string;
  readonly listing: string;
  readonly name: string;
  readonly role?: string | null;
  readonly status?: string;
  readonly status_detail?: string | null;
  readonly capabilities?: readonly string[];
  readonly auth?: { readonly type?: string; readonly hint?: string | null };
  readonly config?: Readonly<Record<string, unknown>>;
  readonly webhook_url?: string | null;
  readonly installed_at?: string;
  readonly last_sense_at?: string | null;
  /** False where Kustomer refuses the new key: then the present one, if any, stays. */
  readonly key_stored?: boolean;
  readonly probe?: { readonly status: string; readonly checks?: readonly Check[] } | null;
}

export interface Verdict {
  readonly decision: string;
  readonly rule: string | null;
  readonly tier?: number | null;
  readonly reason?: string | null;
  /** On BLOCK, of a test: as the error of a receipt. */
  readonly code?: string | null;
}

export interface PolicyRef {
  readonly name: string;
  readonly version: number;
}

export interface Receipt {
  readonly id?: string;
  readonly receipt_id?: string;
  readonly connection?: string;
  readonly capability?: string | null;
  readonly entity_key?: string | null;
  readonly idempotency_key?: string | null;
  readonly operator?: string | null;
  readonly correlation_id?: string | null;
  readonly mode?: string;
  readonly verdict?: Verdict;
  readonly policy?: PolicyRef | null;
  readonly approver?: string | null;
  readonly outcome?: string;
  readonly unchanged?: boolean;
  readonly first_receipt_id?: string | null;
  readonly attempts?: number;
  readonly reconciled?: boolean;
  readonly vendor?: { readonly type: string; readonly id: string | null } | null;
  readonly timings?: Readonly<Record<string, string | null>>;
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly next_step?: string;
    readonly problems?: readonly { readonly field: string; readonly code: string; readonly message: string }[];
  } | null;
}

export interface Approval {
  readonly id: string;
  readonly state?: string;
  readonly capability?: string;
  readonly args?: unknown;
  readonly operator?: string | null;
  readonly connection?: string;
  readonly entity_key?: string | null;
  readonly idempotency_key?: string | null;
  readonly policy?: PolicyRef | null;
  readonly held_at?: string | null;
  readonly expires_at?: string | null;
}

export interface Policy {
  readonly id?: string;
  readonly name: string;
  readonly status?: string;
  readonly version: number;
  readonly document?: string;
  readonly rules?: readonly unknown[];
  /** What applying it came to. */
  readonly change?: string;
  readonly created_at?: string;
  readonly updated_at?: string;
}

export interface Capability {
  readonly capability: string;
  readonly connector: string;
  readonly connection?: string | null;
  readonly side_effect?: boolean;
  readonly status?: string;
  readonly granted_to?: readonly string[];
}
