/** The lender as a task: what it remembers counts only while it belongs to what is committed (L4 of lender.ts). */
import { describe, expect, it } from 'vitest';
import { createLenderTask } from '../../../../src/app/budget/lender-task.ts';
import type { LogRecord } from '../../../../src/kafka/port.ts';
import type { StateView } from '../../../../src/kafka/task.ts';
import { decode, type LeaseMessage, type LeaseTable, leaseTable } from '../../../../src/kustomer/budget/lease-forms.ts';
import { CONFIG, SHARE } from '../../kustomer/budget/lease-world.ts';

const T0 = 1_000_000;

class State implements StateView {
  readonly values: Map<string, Buffer>;
  constructor(values: ReadonlyMap<string, Buffer> = new Map()) {
    this.values = new Map(values);
  }
  get(key: string): Buffer | undefined {
    return this.values.get(key);
  }
  set(_partition: number, key: string, value: Buffer): void {
    this.values.set(key, Buffer.from(value));
  }
  delete(): void {
    throw new Error('nothing is ever deleted');
  }
  lent(organisation: string, borrower: string): number {
    const table = decode(leaseTable, this.values.get(organisation) ?? null) as LeaseTable;
    return table.leases.filter((lease) => lease.borrower === borrower).reduce((sum, { count }) => sum + count, 0);
  }
}

const record = (organisation: string, value: unknown): LogRecord => ({
  topic: 'asks',
  partition: 0,
  offset: 0,
  key: Buffer.from(organisation),
  value: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
  headers: {},
  timestampMs: 0,
});

const ask = (borrower: string, count: number): LeaseMessage => ({
  borrower,
  sequence: 1,
  waitingFrom: 1,
  wants: [{ lane: 'writes', kind: 'call', count }],
  returns: [],
  heard: [],
});

describe('the lender task', () => {
  it('forgets what it decided when the transaction was not committed', () => {
    const task = createLenderTask({ config: CONFIG, nowMs: () => T0 });
    const committed = new State();
    task.decide([record('org/a', ask('a', 1))], committed, 0);
    const aborted = new State(committed.values);
    task.decide([record('org/a', ask('b', SHARE - 1))], aborted, 0);
    expect(aborted.lent('org/a', 'b')).toBe(SHARE - 1);
    const again = new State(committed.values);
    task.decide([record('org/a', ask('c', SHARE))], again, 0);
    expect([again.lent('org/a', 'a'), again.lent('org/a', 'b'), again.lent('org/a', 'c')]).toEqual([1, 0, SHARE - 1]);
  });

  it('forgets it as well when another owner has gone on since', () => {
    const mine = createLenderTask({ config: CONFIG, nowMs: () => T0 });
    const other = createLenderTask({ config: CONFIG, nowMs: () => T0 + 777_777 });
    const state = new State();
    mine.decide([record('org/a', ask('a', 1))], state, 0);
    other.decide([record('org/a', ask('b', 5))], state, 0);
    mine.decide([record('org/a', ask('c', SHARE))], state, 0);
    expect(state.lent('org/a', 'c')).toBe(SHARE - 6);
  });

  it('keeps organisations apart, and tells what it cannot read without stopping', () => {
    const unreadable: string[] = [];
    const onUnreadable = (what: string, organisation: string): void =>
      void unreadable.push(`${what} of ${organisation}`);
    const task = createLenderTask({ config: CONFIG, nowMs: () => T0, onUnreadable });
    const state = new State(new Map([['org/old', Buffer.from('{"form":0}')]]));
    const records = [record('org/a', ask('a', SHARE)), record('org/b', 'no json'), record('org/c', ask('c', SHARE))];
    expect(task.decide([...records, record('org/old', ask('d', 1))], state, 0)).toEqual([]);
    expect([state.lent('org/a', 'a'), state.lent('org/c', 'c'), state.lent('org/old', 'd')]).toEqual([SHARE, SHARE, 0]);
    expect(unreadable).toEqual(['message of org/b', 'table of org/old']);
  });
});
