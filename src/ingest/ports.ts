/** What the receiver needs from outside. */
import type { BaseLogger } from 'pino';
import type { ConnectionWithTokens } from '../fibric/connection.ts';
import type { Append } from '../kafka/port.ts';

export interface RawAppender {
  /**
   * Resolves when the log has the record with acks=all; rejects when it certainly or possibly has not. Rejects with
   * `queue_full` at once when its bounded queue has no room, with `share_full` when only this tenant has none.
   */
  append(record: Append, tenantId: string): Promise<void>;
}

export interface ConnectionLookup {
  /** The same object until the connection changes: what is derived from it is kept as long. */
  get(connectionId: string): ConnectionWithTokens | undefined;
  /** True for a connection that exists but cannot be opened here; its deliveries are to be tried again, not refused. */
  unreadable?(connectionId: string): boolean;
}

export type ReceiverLogger = Pick<BaseLogger, 'info' | 'warn' | 'error'>;
