/**
 * What makes one command the same as another, and the ids that follow from it. All of them are hashes of what the command says,
 * so that a retry, a replay and a restart come to the same.
 */
import { hash } from 'node:crypto';

/** A key takes effect at most once per entity of a tenant. */
export interface CommandIdentity {
  readonly tenantId: string;
  readonly entityKey: string;
  readonly idempotencyKey: string;
}

/** As JSON: no sign in one part can pass for the border to the next. */
const digest = (purpose: string, parts: unknown): string => hash('sha256', JSON.stringify([purpose, parts]), 'hex');

/** 64 hex digits: a key of bounded length for ledgers and logs. */
export function identityDigest({ tenantId, entityKey, idempotencyKey }: CommandIdentity): string {
  return digest('identity', [tenantId, entityKey, idempotencyKey]);
}

/** What a note carries as its external id, so that it can be recognised. It tells nothing of the keys it was made of. */
export function externalIdOf(identity: CommandIdentity): string {
  return `fibric-${identityDigest(identity).slice(0, 40)}`;
}

/** Of what was asked for: the same key with another fingerprint is a conflict, not a repetition. */
export function fingerprintOf({ capability, args }: { readonly capability: string; readonly args: object }): string {
  return digest('fingerprint', [capability, sorted(args)]);
}

/**
 * Of one command record: `position` is where it stands in the log. The same record gives the same receipt however often it is
 * processed; the same command sent twice is two records, and has two receipts.
 */
export function receiptIdOf({ tenantId, commandId, position }: ReceiptOrigin): string {
  return `rc_${digest('receipt', [tenantId, commandId, position]).slice(0, 32)}`;
}

export interface ReceiptOrigin {
  readonly tenantId: string;
  readonly commandId: string;
  /** Partition and offset, `3:1042`. */
  readonly position: string;
}

/** With the keys of objects in order: in which order somebody wrote them says nothing. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}
