/** What the API keeps of an installed connector beside its connection, and what the role `poll` last found of it. */
import { z } from 'zod';
import { type Check, CONNECTOR_STATUSES, type TableKind } from '../../api/ports.ts';
import type { HealthReason } from '../../ingest/webhook-health/model.ts';

const bindingSchema = z.strictObject({
  version: z.literal(1),
  listing: z.string(),
  role: z.string().nullable(),
});

export type BindingRecord = Readonly<z.output<typeof bindingSchema>>;

/** Key: `<tenant>/<connection>`, as of the next. */
export const BINDING_KIND: TableKind<BindingRecord> = {
  prefix: 'connector',
  parse: (value) => bindingSchema.parse(value),
  encode: (record) => record,
};

const stateSchema = z.strictObject({
  version: z.literal(1),
  state: z.enum(CONNECTOR_STATUSES),
  reason: z.string().nullable(),
  since_ms: z.number(),
});

export type StateRecord = Readonly<z.output<typeof stateSchema>>;

export const STATE_KIND: TableKind<StateRecord> = {
  prefix: 'connector-state',
  parse: (value) => stateSchema.parse(value),
  encode: (record) => record,
};

/** Reasons that end when a webhook has been made, completed or its token read. */
const OF_WEBHOOK: ReadonlySet<string | null> = new Set<HealthReason>([
  'no_webhook',
  'webhook_gone',
  'token_unknown',
  'events_missing',
]);

/**
 * Whether an install with a key that works ends what was found before: only what it can have mended itself. What else is
 * wrong, the next look says.
 */
export function isMended(now: StateRecord | undefined, checks: readonly Check[]): boolean {
  if (now?.state === 'pending_auth') return true;
  return OF_WEBHOOK.has(now?.reason ?? null) && checks.some(({ name, ok }) => name === 'webhook' && ok === true);
}

/** Written when it changes, by whoever found it: other processes serve it. */
export function stateChange(
  now: StateRecord | undefined,
  found: { readonly state: StateRecord['state']; readonly reason: string | null } | null,
  nowMs: number,
): StateRecord | null | undefined {
  if (found === null) return now === undefined ? undefined : null;
  if (now?.state === found.state && now.reason === found.reason) return now;
  return { version: 1, state: found.state, reason: found.reason, since_ms: nowMs };
}
