/** `cn-kustomer backfill status|pause|resume|restart`: looks at the cursors, and leaves orders for whoever owns them. */
import { randomUUID } from 'node:crypto';
import { CodedError } from '../../base/errors.ts';
import { parseBackfillKey } from '../../ingest/poll/cursor-record.ts';
import type { BackfillOrder } from '../../ingest/poll/ports.ts';
import type { Log } from '../../kafka/port.ts';
import { type TopicNames, topicNames } from '../../kafka/topics.ts';
import { openExistingControl } from '../control/open.ts';
import type { ConnectionStore } from '../control/store.ts';
import { type BackfillOrders, openBackfillOrders } from '../poll/backfill-orders.ts';
import { backfillLines, backfillTable } from '../poll/backfill-status.ts';
import { scanLatest } from '../poll/cursor-scan.ts';
import type { AddCommand } from './add-command.ts';
import type { CliContext } from './io.ts';

type Verb = 'pause' | 'resume' | 'restart';

const VERBS: Readonly<Record<Verb, { readonly does: string; readonly said: string }>> = {
  pause: { does: 'stop reading history until resumed', said: 'paused' },
  resume: { does: 'go on where it was paused', said: 'resumed' },
  restart: { does: 'read the history anew from its beginning', said: 'restarted' },
};

export const addBackfill: AddCommand = (program, context) => {
  const backfill = program.command('backfill').description('the reading of history that connections ask for');
  backfill
    .command('status')
    .description('show how far each backfill has come')
    .option('--json', 'one JSON object per line')
    .action((flags: { json?: true }) => status(context, flags.json === true));
  for (const [verb, { does }] of Object.entries(VERBS) as [Verb, (typeof VERBS)[Verb]][]) {
    backfill
      .command(verb)
      .description(does)
      .argument('<connection>', 'the connection id, cn_…')
      .action((connectionId: string) => give(context, connectionId, verb));
  }
};

async function status(context: CliContext, asJson: boolean): Promise<void> {
  await withControl(context, async ({ store, orders, log, names }) => {
    const wanted = (key: string) => parseBackfillKey(key) !== undefined;
    const cursors = await scanLatest({ log, topic: names.cursors, wanted });
    const lines = backfillLines({ connections: store.list(), cursors, orderOf: orders.get });
    if (asJson) for (const line of lines) context.print(JSON.stringify(line));
    else if (lines.length > 0) context.print(backfillTable(lines));
    if (lines.length === 0) context.note('no connection asks for its history');
  });
}

async function give(context: CliContext, connectionId: string, verb: Verb): Promise<void> {
  await withControl(context, async ({ store, orders }) => {
    const connection = store.describe(connectionId);
    if (connection === undefined) throw unknownConnection(connectionId);
    if (connection.settings.backfillSinceMs === null) {
      throw new CodedError('config_invalid', 'the connection asks for no history: it has no backfill_since', {
        connectionId,
      });
    }
    await orders.give(connection, orderFor(verb, orders.get(connection)));
    context.print(`${VERBS[verb].said} the backfill of ${connectionId}`);
  });
}

function orderFor(verb: Verb, before: BackfillOrder): BackfillOrder {
  if (verb === 'pause') return { ...before, paused: true };
  return { paused: false, restartId: verb === 'restart' ? randomUUID() : before.restartId };
}

interface Parts {
  readonly store: ConnectionStore;
  readonly orders: BackfillOrders;
  readonly log: Log;
  readonly names: TopicNames;
}

async function withControl(context: CliContext, work: (parts: Parts) => Promise<void>): Promise<void> {
  const settings = context.settings();
  const names = topicNames(settings.topicPrefix);
  const log = context.openLog();
  try {
    const logger = context.logger();
    const store = await openExistingControl({ log, settings, logger, onProblem: () => undefined });
    if (store === undefined) throw new CodedError('connection_unknown', 'there are no connections');
    try {
      const orders = await openBackfillOrders({ log, topic: names.control, logger });
      await work({ store, orders, log, names }).finally(() => orders.close());
    } finally {
      await store.close();
    }
  } finally {
    await log.close();
  }
}

const unknownConnection = (connectionId: string): CodedError =>
  new CodedError('connection_unknown', 'no connection has this id', { connectionId });
