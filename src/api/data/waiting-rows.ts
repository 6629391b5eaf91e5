/** What waits for a person, as the API shows it. */
import { z } from 'zod';
import { rfc3339, rfc3339OrNull, time } from '../query.ts';
import type { WaitingCommand } from './ports.ts';

export const HELD_STATES = ['waiting', 'expired'] as const;

export const waitingRow = z.strictObject({
  object: z.enum(['approval', 'parked']),
  id: z.string(),
  state: z.enum([...HELD_STATES, 'parked']),
  receipt_id: z.string(),
  command_id: z.string(),
  capability: z.string(),
  args: z.record(z.string(), z.unknown()).nullable().describe('Null where the command cannot be read.'),
  operator: z.string().nullable(),
  connection: z.string(),
  connection_id: z.string(),
  entity_key: z.string(),
  idempotency_key: z.string(),
  mode: z.string().nullable(),
  correlation_id: z.string().nullable(),
  event_id: z.string().nullable(),
  policy: z.strictObject({ name: z.string(), version: z.number().int() }).nullable(),
  rule: z.string().nullable(),
  tier: z.number().int().nullable(),
  requested_at: z.string().nullable(),
  held_at: time,
  expires_at: time.nullable(),
});

export function rowOf(one: WaitingCommand, connection: string, nowMs: number): z.input<typeof waitingRow> {
  const { command, policy } = one;
  const isExpired = one.expiresAtMs !== null && one.expiresAtMs <= nowMs;
  return {
    object: one.kind === 'held' ? 'approval' : 'parked',
    id: one.id,
    state: one.kind === 'parked' ? 'parked' : isExpired ? 'expired' : 'waiting',
    receipt_id: one.receiptId,
    command_id: one.commandId,
    capability: one.capability,
    args: command === null ? null : { ...command.args },
    operator: command?.operator ?? null,
    connection,
    connection_id: one.connectionId,
    entity_key: one.entityKey,
    idempotency_key: one.idempotencyKey,
    mode: command?.mode ?? null,
    correlation_id: command?.correlationId ?? null,
    event_id: command?.eventId ?? null,
    policy: policy.name === null || policy.version === null ? null : { name: policy.name, version: policy.version },
    rule: policy.rule,
    tier: policy.tier,
    requested_at: command?.requestedAt ?? null,
    held_at: rfc3339(one.sinceMs),
    expires_at: rfc3339OrNull(one.expiresAtMs),
  };
}
