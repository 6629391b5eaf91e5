/**
 * Waiting for the receipt of one command. Whoever waits has begun before the command was sent, and the tail tells of every
 * record from then on, so no receipt can come between.
 */
import { HEADER } from '../../kafka/headers.ts';
import type { LogRecord } from '../../kafka/port.ts';
import type { Lease } from './topic/views.ts';

export interface ReceiptWait {
  /** The record; undefined when the wait ended without it. */
  readonly record: Promise<LogRecord | undefined>;
  /** True once the tail it listens to has ended: what comes now is not told. */
  readonly isDeaf: () => boolean;
  end(): void;
}

/** By the header `command_id`, which every receipt carries. */
export function awaitReceipt({ view, isStale }: Lease, commandId: string): ReceiptWait {
  const wanted = Buffer.from(commandId);
  const found = Promise.withResolvers<LogRecord | undefined>();
  const stop = view.tail.listen((record) => {
    if (record.headers[HEADER.commandId]?.equals(wanted) === true) found.resolve(record);
  });
  return {
    record: found.promise,
    isDeaf: isStale,
    end: () => {
      stop();
      found.resolve(undefined);
    },
  };
}
