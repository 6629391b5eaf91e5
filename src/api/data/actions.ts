/**
 * Acting through the API: a command is made and checked, published, and its receipt waited for.
 *
 * A1 What is wrong with a command is told at once and all of it, and nothing is published then.
 * A2 A receipt that is written within the time is in the answer; the wait for it begins before the command is published.
 * A3 Later than that, or held for a person, the answer says under which id the receipt will be found. The command goes its way
 *    whether or not anybody still waits.
 */
import { composeCommand } from '../../fibric/commands/compose-command.ts';
import type { WireReceipt } from '../../fibric/commands/receipt-fields.ts';
import { ApiError } from '../errors.ts';
import type { ActionRequest, ActionResult, ActionsPort } from '../ports.ts';
import type { DataPorts } from './ports.ts';
import { awaitReceipt, type ReceiptWait } from './receipt-waits.ts';
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
    try {
      await commands.publish(composed.wire, composed.key);
      const record = await this.#first({ wait, tenantId, commandId, waitMs: Math.min(waitMs, MAX_WAIT_MS), signal });
      if (record !== undefined && 'waiting' in record) return { kind: 'pending', commandId, waiting: record.waiting };
      const receipt = record === undefined ? undefined : await receipts.decode(record.record);
      return receipt === undefined ? { kind: 'pending', commandId } : { kind: 'disposed', commandId, receipt };
    } finally {
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

  /** The receipt, or that a person is asked, whichever is there first; undefined when neither is in time. */
  async #first({ wait, tenantId, commandId, waitMs, signal }: Awaiting) {
    const { log, waiting } = this.#options;
    const over = new AbortController();
    const late = log.clock.sleep(waitMs, AbortSignal.any([over.signal, signal])).then(() => undefined);
    const asked = Promise.withResolvers<{
      readonly waiting: { readonly id: string; readonly kind: 'held' | 'parked' };
    }>();
    const stop = waiting.onChange((changed) => {
      if (changed !== tenantId) return;
      const found = waiting.list(tenantId).find((one) => one.commandId === commandId);
      if (found !== undefined) asked.resolve({ waiting: { id: found.id, kind: found.kind } });
    });
    const written = wait.record.then((record) => (record === undefined ? undefined : { record }));
    try {
      return await Promise.race([written, asked.promise, late]);
    } finally {
      over.abort();
      stop();
    }
  }
}

interface Awaiting {
  readonly wait: ReceiptWait;
  readonly tenantId: string;
  readonly commandId: string;
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

function filled({ eventId, value, deadlineMs, ...request }: ActionRequest) {
  return { ...request, eventId: eventId ?? null, value: value ?? null, deadlineMs: deadlineMs ?? null };
}

export type { WireReceipt };
