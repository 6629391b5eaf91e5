/**
 * The lender as a stream task: messages of borrowers in, and the table of each organisation as its state, which the
 * borrowers read. The state topic is the answer, so an answer and the offset of what it answers are one transaction.
 *
 * Beside the state the task remembers when, by its own clock, each slot comes free: the table has that in spans and coarser.
 * What is remembered is used only while it belongs to exactly the bytes that are committed; else the table is what counts.
 */
import type { LogRecord } from '../../kafka/port.ts';
import type { StateView, StreamTask } from '../../kafka/task.ts';
import { decode, type LeaseMessage, leaseMessage, leaseTable } from '../../kustomer/budget/lease-forms.ts';
import { type Lender, type LenderConfig, newLender, receive } from '../../kustomer/budget/lender.ts';
import { lenderOf, lenderOfUnknown, tableOf } from '../../kustomer/budget/lender-table.ts';

export interface LenderTaskOptions {
  readonly config: LenderConfig;
  /** A clock that is never set: spans are measured by it. */
  readonly nowMs: () => number;
  readonly onDecided?: (organisation: string, lender: Lender) => void;
  /** A message or a table that cannot be read. */
  readonly onUnreadable?: (what: 'message' | 'table', organisation: string) => void;
}

interface Remembered {
  readonly bytes: Buffer;
  readonly lender: Lender;
}

export function createLenderTask(options: LenderTaskOptions): StreamTask {
  const { config, nowMs, onDecided = () => undefined, onUnreadable = () => undefined } = options;
  const remembered = new Map<string, Remembered>();

  const lenderFor = (organisation: string, state: StateView, now: number): Lender => {
    const committed = state.get(organisation);
    if (committed === undefined) return newLender(config, now);
    const known = remembered.get(organisation);
    if (known?.bytes.equals(committed) === true) return known.lender;
    const table = decode(leaseTable, committed);
    if (table !== null) return lenderOf(table, config, now);
    onUnreadable('table', organisation);
    return lenderOfUnknown(config, now);
  };

  return {
    prepare: () => undefined,
    decide: (records, state) => {
      const now = nowMs();
      for (const [organisation, { partition, messages }] of byOrganisation(records, onUnreadable)) {
        const lender = receive(lenderFor(organisation, state, now), messages, now);
        const bytes = Buffer.from(JSON.stringify(tableOf(lender)));
        state.set(partition, organisation, bytes);
        remembered.set(organisation, { bytes, lender });
        onDecided(organisation, lender);
      }
      return [];
    },
  };
}

interface Received {
  readonly partition: number;
  readonly messages: LeaseMessage[];
}

function byOrganisation(
  records: readonly LogRecord[],
  onUnreadable: NonNullable<LenderTaskOptions['onUnreadable']>,
): ReadonlyMap<string, Received> {
  const received = new Map<string, Received>();
  for (const { key, value, partition } of records) {
    const organisation = key?.toString('utf8') ?? '';
    const message = decode(leaseMessage, value);
    if (organisation === '' || message === null) {
      onUnreadable('message', organisation);
      continue;
    }
    const known = received.get(organisation);
    if (known === undefined) received.set(organisation, { partition, messages: [message] });
    else known.messages.push(message);
  }
  return received;
}
