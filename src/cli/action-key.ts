/**
 * The idempotency key of an action that was given none. Pure.
 *
 * It comes of what is to be done, never of chance or time: sent again by somebody who was not sure, the same action is the
 * same action, and is caught as DEDUP.
 */
import { createHash } from 'node:crypto';

export interface ActionIdentity {
  readonly connection: string;
  readonly operator: string;
  readonly capability: string;
  readonly args: unknown;
}

/** `triage-analyst:conversation.note.write:1f0c…` */
export function actionKey({ connection, operator, capability, args }: ActionIdentity): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([connection, operator, capability, sorted(args)]))
    .digest('hex')
    .slice(0, 24);
  return `${operator}:${capability}:${digest}`;
}

/** The order in which keys were typed means nothing. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, inner]) => [name, sorted(inner)]);
}
