/**
 * The failures a reader of the connect guide is most likely to meet, in the guide's words: what it looks like, why it is,
 * and what to do. Told wherever one of them shows: on install, in tests and in receipts. Pure.
 */
import type { Check, Receipt } from './api-types.ts';

export interface Failure {
  readonly cause: string;
  readonly fix: string;
}

export const UNAUTHORIZED: Failure = {
  cause: '401 Unauthorized: the API key is wrong, truncated on paste, or was revoked in Kustomer.',
  fix: 'Create a fresh key under Settings → Security → API Keys and re-run `fibric connectors add` to replace the stored secret.',
};

export const MISSING_PERMISSION: Failure = {
  cause: "403: the key's roles lack the permission to write (org.permission.note write for notes).",
  fix: 'Kustomer keys cannot be re-scoped in place. Create a new key with the write permission and reinstall the connection: re-run `fibric connectors add`.',
};

export const RATE_LIMITED: Failure = {
  cause: '429: the poll interval plus your other Kustomer API consumers exceed the org rate limit.',
  fix: 'Raise poll_interval. The connector honors Retry-After and backs off; nothing is lost, only delayed.',
};

/** Of the webhook's check: what the guide says of message events that lag by up to a minute. */
const LAGGING: Failure = {
  cause:
    'Webhook delivery is failing and the poll backfill is carrying the stream. Expected degradation, not data loss.',
  fix: 'Look at the webhook in Kustomer (`fibric webhooks show`) and switch it on again.',
};

export const BLOCKED: Failure = {
  cause: 'BLOCK: no trust rule allows the action; evaluation is default-closed.',
  fix: 'Add an allow rule and re-run `fibric policy apply`. A block here is the system working.',
};

export const DEDUPLICATED: Failure = {
  cause: 'DEDUP: a retried write hit the idempotency check.',
  fix: 'No action needed. DEDUP means the duplicate was caught, not that it ran twice.',
};

const WITHOUT_RULE: Failure = {
  cause: 'BLOCK: the rules for it apply to other operators, and this one has none.',
  fix: 'Name one they apply to with --operator, or add an allow rule and re-run `fibric policy apply`.',
};

const BY_CHECK_CODE: Readonly<Record<string, Failure>> = {
  unauthorized: UNAUTHORIZED,
  auth_failed: UNAUTHORIZED,
  missing_permission: MISSING_PERMISSION,
  rate_limited: RATE_LIMITED,
  optional_rate_limited: RATE_LIMITED,
};

/** Of the probe, and of the contract. */
const WEBHOOK_CHECKS: ReadonlySet<string> = new Set(['webhook', 'webhook_health']);

/** Null for a check that is well, or whose failure the guide does not know. */
export function failureOfCheck({ ok, code, name, next_step }: Check): Failure | null {
  if (ok === true) return null;
  const known = code == null ? undefined : BY_CHECK_CODE[code];
  if (known !== undefined) return known;
  return ok === false && WEBHOOK_CHECKS.has(name) ? { ...LAGGING, fix: next_step ?? LAGGING.fix } : null;
}

/** What a receipt's code says of it, where one of the guide's rows, or one like them, is about it. */
const BY_RECEIPT_CODE: Readonly<Record<string, (receipt: Receipt) => Failure | null>> = {
  kustomer_rate_limited: () => RATE_LIMITED,
  budget_exhausted: () => RATE_LIMITED,
  kustomer_unauthorized: () => UNAUTHORIZED,
  kustomer_permission: () => MISSING_PERMISSION,
  // An allow rule does not help against a rule that forbids.
  policy_blocked: ({ verdict }) => (verdict?.rule == null ? BLOCKED : null),
  operator_without_rule: () => WITHOUT_RULE,
  grant_missing: ({ capability, operator }) => ({
    cause: 'BLOCK: an operator has exactly what it was granted, and this it was not.',
    fix: `fibric capabilities grant ${capability ?? '<capability>'} --operator ${operator ?? '<name>'}`,
  }),
};

/** Which of the guide's rows a receipt is; null for none: then the receipt's own words are all there is. */
export function failureOfReceipt(receipt: Receipt): Failure | null {
  const { verdict, error } = receipt;
  if (verdict?.decision === 'DEDUP') return DEDUPLICATED;
  // A dry run that policy blocks has no error: nothing failed. Its verdict has the code.
  const code = error?.code ?? (verdict?.decision === 'BLOCK' ? (verdict.code ?? 'policy_blocked') : undefined);
  return code === undefined ? null : (BY_RECEIPT_CODE[code]?.(receipt) ?? null);
}
