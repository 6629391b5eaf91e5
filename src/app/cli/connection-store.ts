/** The connection store as commands open it: problems are told once and for people, not as log lines beside that. */
import { CodedError } from '../../base/errors.ts';
import type { ConnectionWithTokens } from '../../fibric/connection.ts';
import type { Log } from '../../kafka/port.ts';
import { describeProblems } from '../control/connection-text.ts';
import { openControl, openExistingControl } from '../control/open.ts';
import type { ConnectionStore } from '../control/store.ts';
import { reconcileTopics, topicSettings } from '../topic-settings.ts';
import type { CliContext } from './io.ts';

/** Makes what is missing. */
export async function withStore(
  context: CliContext,
  work: (store: ConnectionStore, log: Log) => Promise<void>,
): Promise<void> {
  const settings = context.settings();
  await withLog(context, async (log) => {
    await reconcileTopics(log, topicSettings(settings), []);
    const store = await openControl({ ...quietly(context), log });
    await work(store, log).finally(() => store.close());
  });
}

/** For commands that find connections or do not: none was ever added where there is no control topic. */
export async function withExisting(
  context: CliContext,
  work: (store: ConnectionStore | undefined) => Promise<void>,
): Promise<void> {
  await withLog(context, async (log) => {
    const store = await openExistingControl({ ...quietly(context), log });
    await work(store).finally(() => store?.close());
  });
}

/** For commands about one connection. Throws `connection_unknown`, also for one that cannot be opened here. */
export async function withConnection(
  context: CliContext,
  asked: { readonly connectionId: string; readonly tenant?: string | undefined },
  work: (connection: ConnectionWithTokens, store: ConnectionStore) => Promise<void>,
): Promise<void> {
  await withExisting(context, async (store) => {
    const found = store?.get(asked.connectionId);
    if (store === undefined || found === undefined || (asked.tenant ?? found.tenantId) !== found.tenantId) {
      if (store !== undefined) noteProblems(context, store);
      throw new CodedError('connection_unknown', 'no connection has this id');
    }
    await work(found, store);
  });
}

export function noteProblems(context: CliContext, store: ConnectionStore): void {
  for (const line of describeProblems(store)) context.note(`not usable: ${line}`);
}

async function withLog(context: CliContext, work: (log: Log) => Promise<void>): Promise<void> {
  const log = context.openLog();
  try {
    await work(log);
  } finally {
    await log.close();
  }
}

function quietly(context: CliContext) {
  return { settings: context.settings(), logger: context.logger(), onProblem: () => undefined };
}
