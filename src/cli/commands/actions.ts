/** `fibric actions send`: one governed write, and its receipt. */
import type { Command } from 'commander';
import { actionKey } from '../action-key.ts';
import type { Receipt } from '../api-types.ts';
import { type Call, type Cli, group, leaf, option, required } from '../command.ts';
import { connectionOf } from '../connection-ref.ts';
import { CliError, usageError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { parseJsonObject } from '../json-arg.ts';
import { lookUp, unsettled } from '../pending.ts';
import { exitCodeOfReceipt, receiptFields, showReceiptAdvice } from '../receipt-text.ts';
import { parseDuration } from '../times.ts';

interface SendOptions {
  readonly args: string;
  readonly operator: string;
  readonly connection?: string;
  readonly key?: string;
  readonly live?: boolean;
  readonly wait?: string;
  readonly value?: string;
  readonly event?: string;
  readonly correlation?: string;
}

interface Action {
  readonly command_id?: string;
  /** `disposed`, or what it waits for: `held`, `parked`, `pending`. */
  readonly status?: string;
  readonly approval_id?: string | null;
  readonly receipt?: Receipt | null;
}

const DEFAULT_WAIT = '15s';
const WAIT_BOUNDS_MS = [0, 60_000] as const;
/** The answer is awaited a little longer than the API waits for the receipt. */
const BEYOND_MS = 10_000;

export function addActions(program: Command, cli: Cli): void {
  const actions = group(program, 'actions', 'governed writes.');
  leaf<SendOptions>(cli, actions, {
    usage: 'send <capability>',
    about:
      'send one write through policy, single-flight and dedup, and show its receipt; a dry run unless --live. Sent again with the same key it takes effect once.',
    options: [
      required('--args <json>', 'what to write'),
      required('--operator <name>', 'who writes: its grants and policies decide'),
      option('--connection <name>', 'through which connection, where there are several'),
      option('--key <key>', 'idempotency key (default: made of connection, operator, capability and arguments)'),
      option('--live', 'carry it out'),
      option('--wait <duration>', `how long to wait for the receipt (default: ${DEFAULT_WAIT}, at most 60s)`),
      option('--value <number>', 'what it is worth, where a policy has a max_value'),
      option('--event <id>', 'the event that caused it'),
      option('--correlation <id>', 'threads events, actions and receipts'),
    ],
    examples: [
      'fibric actions send conversation.note.write --operator triage-analyst --args \'{"conversation_id":"63k1","body":"hello"}\'',
      'fibric actions send conversation.status.write --operator triage-analyst --live --args \'{"conversation_id":"63k1","status":"done"}\'',
    ],
    run: send,
  });
}

async function send(call: Call, options: SendOptions, capability?: string): Promise<ExitCode> {
  const { api, out, session, context } = call;
  const args = parseJsonObject('--args', options.args);
  const waitMs = parseDuration('--wait', options.wait ?? DEFAULT_WAIT, WAIT_BOUNDS_MS);
  const value = options.value === undefined ? undefined : parseValue(options.value);
  const client = await api();
  const connection = await connectionOf(client, options.connection);
  const named = { connection, operator: options.operator, capability: capability as string };
  const key = options.key ?? actionKey({ ...named, args });
  const body = {
    ...named,
    args,
    idempotency_key: key,
    mode: options.live === true ? 'live' : 'dry_run',
    wait_ms: waitMs,
    ...(value !== undefined && { value }),
    ...(options.event !== undefined && { event_id: options.event }),
    ...(options.correlation !== undefined && { correlation_id: options.correlation }),
  };
  const action = await client
    .call<Action>('POST', '/actions', { body, timeoutMs: Math.max(session.timeoutMs, waitMs + BEYOND_MS) })
    .catch((error: unknown) => {
      if (context.signal.aborted && options.live === true) out.note(`it may still be carried out: ${lookUp(key)}`);
      throw lateAnswer(error, key, options.live === true);
    });
  const { receipt } = action;
  if (receipt == null) {
    const { approval, exitCode, lines } = await unsettled(client, key, action);
    out.result(approval === null ? action : { ...action, approval }, () => {
      for (const line of lines) out.line(line);
    });
    return exitCode;
  }
  out.result(action, () => {
    out.fields(receiptFields(receipt));
    showReceiptAdvice(out, receipt);
    if (receipt.outcome === 'dry_run' && receipt.verdict?.decision === 'ALLOW') {
      out.line();
      out.line('Add --live to carry it out.');
    }
  });
  return exitCodeOfReceipt(receipt);
}

function parseValue(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw usageError('--value is a number');
  return value;
}

/** No answer to a live write says nothing about the write. */
function lateAnswer(error: unknown, key: string, live: boolean): unknown {
  const isSilent = error instanceof CliError && (error.code === 'timeout' || error.code === 'deadline_exceeded');
  if (!isSilent || !live) return error;
  return new CliError(error.code, `${error.message}; whether it was carried out is not known`, {
    exitCode: EXIT.writeFailed,
    requestId: error.requestId,
    hint: `look with \`${lookUp(key)}\`, or send it again with the same key: it takes effect once`,
  });
}
