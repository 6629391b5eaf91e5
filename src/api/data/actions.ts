/**
 * Acting through the API: a command is made and checked, published, and its receipt waited for.
 *
 * A1 What is wrong with a command is told at once and all of it, and nothing is published then.
 * A2 A receipt that is written within the time is in the answer; the wait for it begins before the command is published.
 * A3 Later than that, or held for a person, the answer says under which id the receipt will be found. The command goes its way
 *    whether or not anybody still waits.
 */
import { composeCommand } from '../../fibric/commands/compose-command.ts';
import type { LogRecord } from '../../kafka/port.ts';
import { ApiError } from '../errors.ts';
import type { ActionRequest, ActionResult, ActionsPort } from '../ports.ts';
import type { DataPorts } from './ports.ts';
import { awaitReceipt } from './receipt-waits.ts';
import type { ReceiptShelf } from './receipts.ts';

export const MAX_WAIT_MS = 60_000;
/** The receipts topic has just been made when a tenant acts for the first time; other brokers hear of it a moment later. */
const TOPIC_TRIES = 20;
const TOPIC_PAUSE_MS = 100;
const ID_BYTES = 12;

export interface ActionsOptions extends Pick<DataPorts, 'log' | 'random' | 'commands' | 'waiting'> {
  readonly receipts: ReceiptShelf;
}

interface SendOptions {
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

export class Actions implements ActionsPort {
  readonly #options: ActionsOptions;

  constructor(options: ActionsOptions) {
    this.#options = options;
  }

  async send(request: ActionRequest, { waitMs, signal }: SendOptions): Promise<ActionResult> {
    const { log, random, commands, receipts } = this.#options;
    const { tenantId } = request;
    const commandId = `cmd_${random(ID_BYTES).toString('hex')}`;
    const correlationId = request.correlationId ?? `co_${random(ID_BYTES).toString('hex')}`;
    const composed = composeCommand({ ...filled(request), commandId, correlationId }, log.clock.nowMs());
    if ('problems' in composed) return { kind: 'invalid', problems: composed.problems };
    if (waitMs <= 0) {
      await commands.publish(composed.wire, composed.key);
      return { kind: 'pending', commandId };
    }
    await commands.ensureReceipts(tenantId);
    const lease = await this.#lease(tenantId);
    const wait = awaitReceipt(lease, commandId);
    const hold = this.#awaitHold(tenantId, commandId);
    try {
      await commands.publish(composed.wire, composed.key);
      const first = await this.#within<First>(Math.min(waitMs, MAX_WAIT_MS), signal, [
        wait.record.then((record) => record && { record }),
        hold.found.then((waiting) => ({ waiting })),
      ]);
      if (first === undefined) return { kind: 'pending', commandId };
      if ('waiting' in first) return { kind: 'pending', commandId, waiting: first.waiting };
      const receipt = await receipts.decode(first.record);
      return receipt === undefined ? { kind: 'pending', commandId } : { kind: 'disposed', commandId, receipt };
    } finally {
      hold.end();
      wait.end();
      lease.release();
    }
  }

  async #lease(tenantId: string) {
    for (let tries = 0; tries < TOPIC_TRIES; tries += 1) {
      const lease = await this.#options.receipts.lease(tenantId);
      if (lease !== undefined) return lease;
      await this.#options.log.clock.sleep(TOPIC_PAUSE_MS);
    }
    throw new ApiError('unavailable', 'the receipts of the tenant cannot be read yet', { retryAfterS: 1 });
  }

  /** A2 too: it begins before the command is published. */
  #awaitHold(tenantId: string, commandId: string): Hold {
    const { waiting } = this.#options;
    const found = Promise.withResolvers<{ readonly id: string; readonly kind: 'held' | 'parked' }>();
    const end = waiting.onChange((changed) => {
      if (changed !== tenantId) return;
      const one = waiting.list(tenantId).find((candidate) => candidate.commandId === commandId);
      if (one !== undefined) found.resolve({ id: one.id, kind: one.kind });
    });
    return { found: found.promise, end };
  }

  /** Whichever comes first; undefined when none is in time. */
  async #within<T>(ms: number, signal: AbortSignal, events: readonly Promise<T>[]): Promise<T | undefined> {
    const over = new AbortController();
    const late = this.#options.log.clock.sleep(ms, AbortSignal.any([over.signal, signal])).then(() => undefined);
    try {
      return await Promise.race([...events, late]);
    } finally {
      over.abort();
    }
  }
}

type First = { readonly record: LogRecord } | { readonly waiting: Awaited<Hold['found']> } | undefined;

interface Hold {
  readonly found: Promise<{ readonly id: string; readonly kind: 'held' | 'parked' }>;
  end(): void;
}

function filled({ eventId, value, deadlineMs, ...request }: ActionRequest) {
  return { ...request, eventId: eventId ?? null, value: value ?? null, deadlineMs: deadlineMs ?? null };
}
