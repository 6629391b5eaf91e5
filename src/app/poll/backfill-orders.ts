/**
 * Orders to backfills as records of the control topic: key `backfill/<tenant>/<connection>`, value JSON. The last one
 * holds; it stays while the process that gave it is long gone, and reaches whichever process owns the connection.
 */
import { z } from 'zod';
import { type CursorScope, scopeKey } from '../../ingest/poll/cursor-record.ts';
import type { BackfillControl, BackfillOrder } from '../../ingest/poll/ports.ts';
import type { Log, LogRecord } from '../../kafka/port.ts';
import { type ControlLogger, ControlTopic } from '../control/control-topic.ts';

const PREFIX = 'backfill/';
export const NO_ORDER: BackfillOrder = { paused: false, restartId: null };

const orderSchema = z.object({ version: z.literal(1), paused: z.boolean(), restart_id: z.string().nullable() });

export const orderKey = (scope: CursorScope): string => `${PREFIX}${scopeKey(scope)}`;

/** Undefined for a key that is no order's. */
export function parseOrderKey(key: string): CursorScope | undefined {
  if (!key.startsWith(PREFIX)) return undefined;
  const [tenantId = '', connectionId = '', ...rest] = key.slice(PREFIX.length).split('/');
  return rest.length > 0 || tenantId === '' || connectionId === '' ? undefined : { tenantId, connectionId };
}

export function encodeOrder({ paused, restartId }: BackfillOrder): Buffer {
  return Buffer.from(
    JSON.stringify({ version: 1, paused, restart_id: restartId } satisfies z.input<typeof orderSchema>),
  );
}

/** Undefined when it is of a form not known here. */
export function decodeOrder(value: Buffer): BackfillOrder | undefined {
  try {
    const { paused, restart_id } = orderSchema.parse(JSON.parse(value.toString()));
    return { paused, restartId: restart_id };
  } catch {
    return undefined;
  }
}

export interface BackfillOrders extends BackfillControl {
  /** Resolves once it is written and known here. */
  give(scope: CursorScope, order: BackfillOrder): Promise<void>;
  health(): { readonly following: boolean };
  close(): Promise<void>;
}

export interface OpenOrdersOptions {
  readonly log: Log;
  readonly topic: string;
  readonly logger: ControlLogger;
  readonly timeoutMs?: number;
}

/** Resolves when every order given before is known. */
export async function openBackfillOrders(options: OpenOrdersOptions): Promise<BackfillOrders> {
  const { log, topic, logger, timeoutMs = 15_000 } = options;
  const orders = new Map<string, BackfillOrder>();
  const listeners = new Set<(scope: CursorScope) => void>();
  const received = ({ key, value }: LogRecord): void => {
    const scope = key === null ? undefined : parseOrderKey(key.toString());
    if (scope === undefined) return;
    const order = value === null ? NO_ORDER : decodeOrder(value);
    if (order === undefined) {
      // What it asks for is not known; to go on as before is what a person can most easily see and put right.
      logger.error({ event: 'backfill.order_unreadable', ...scope }, 'an order to a backfill cannot be read');
      return;
    }
    orders.set(scopeKey(scope), order);
    for (const listener of listeners) listener(scope);
  };
  const control = await ControlTopic.open({ log, topic, logger, received });
  try {
    await control.catchUpByBarrier(timeoutMs);
  } catch (error) {
    await control.close();
    throw error;
  }
  return {
    get: (scope) => orders.get(scopeKey(scope)) ?? NO_ORDER,
    onChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    give: (scope, order) => control.write(orderKey(scope), encodeOrder(order), timeoutMs),
    health: () => ({ following: control.health().following }),
    close: () => control.close(),
  };
}
