/** What `events tail` and `receipts tail` share: a stream that is followed until Ctrl-C. */
import type { Option } from 'commander';
import { type Call, option } from './command.ts';
import { interrupted, usageError } from './errors.ts';
import { EXIT, type ExitCode } from './exit.ts';
import type { Query } from './http/client.ts';
import { follow } from './http/follow.ts';
import { parseCount } from './pages.ts';
import { parseSince } from './times.ts';

export interface TailOptions {
  readonly since?: string;
  readonly cursor?: string;
  readonly max?: string;
  /** Commander's form of --no-follow. */
  readonly follow?: boolean;
}

export const tailOptions = (): readonly Option[] => [
  option('--since <time>', 'begin so long ago (30m, 1h, 7d), or at a date or instant; default: now'),
  option('--cursor <cursor>', 'begin behind this cursor: each object of --json carries its own'),
  option('--max <n>', 'end after so many'),
  option('--no-follow', 'end when everything there is has been shown'),
];

const MOST = 1_000_000_000;

/** Ctrl-C is how a tail ends, so it is no failure. */
export async function runTail(
  call: Call,
  path: string,
  filters: Query,
  options: TailOptions,
  show: (value: Record<string, unknown>) => void,
): Promise<ExitCode> {
  const { context, out } = call;
  if (options.since !== undefined && options.cursor !== undefined) {
    throw usageError('--since and --cursor both say where to begin: give one of them');
  }
  const since = options.since === undefined ? undefined : parseSince('--since', options.since, context.clock.nowMs());
  const max = options.max === undefined ? MOST : parseCount('--max', options.max, MOST);
  const forever = options.follow !== false;
  const client = await call.api();
  let begun: string | undefined;
  const stream = follow({
    open: async (lastEventId) => {
      const at: Query = { since: since ?? begun, cursor: options.cursor, ...(!forever && { follow: false }) };
      const { body, openedAtMs } = await client.stream(path, { ...filters, ...at }, lastEventId);
      // Lost before anything came, it begins where the first connection did: "now" would be a gap.
      if (options.cursor === undefined) begun ??= new Date(openedAtMs ?? context.clock.nowMs()).toISOString();
      return body;
    },
    forever,
    endpoint: client.endpoint,
    signal: context.signal,
    sleep: context.clock.sleep,
    random: context.random,
    note: out.note,
  });
  let shown = 0;
  try {
    for await (const { value } of stream) {
      if (out.isJson) out.jsonLine(value);
      else show(value);
      await out.drained();
      shown++;
      if (shown >= max || context.signal.aborted) break;
    }
  } catch (error) {
    if (!context.signal.aborted) throw error;
  }
  return context.signal.aborted && !forever ? failInterrupted() : EXIT.ok;
}

function failInterrupted(): never {
  throw interrupted();
}
