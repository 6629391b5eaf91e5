/** The demo's account of writes finds what it says it finds. */
import { expect, it } from 'vitest';
import { disagreements } from '../../../../src/app/demo/acting.ts';
import type { WireReceipt } from '../../../../src/fibric/commands/receipt-fields.ts';
import type { AppliedWrite } from '../../../../src/simulator/requests/write-log.ts';

const receipt = (key: string, more: object = {}): WireReceipt =>
  ({
    ...{
      idempotency_key: key,
      outcome: 'applied',
      external_id: `ext-${key}`,
      vendor: { type: 'note', id: `note-${key}` },
    },
    ...more,
  }) as unknown as WireReceipt;
const write = (key: string, more: object = {}): AppliedWrite =>
  ({ externalId: `ext-${key}`, objectId: `note-${key}`, ...more }) as AppliedWrite;

it.each([
  ['nothing', [], [], []],
  ['each key once', [receipt('a'), receipt('b')], [write('a'), write('b')], []],
  ['a repetition, which is no write', [receipt('a'), receipt('a', { outcome: 'deduplicated' })], [write('a')], []],
  ['a note twice', [receipt('a')], [write('a'), write('a')], ['a: 2 writes in Kustomer']],
  ['a note that is not there', [receipt('a')], [], ['a: 0 writes in Kustomer']],
  ['another note', [receipt('a')], [write('a', { objectId: 'x' })], ['a: the receipt names another note']],
  ['a write nobody knows of', [], [write('a')], ['1 writes in Kustomer without a receipt']],
  ['one without an id of ours', [], [write('a', { externalId: null })], ['1 writes in Kustomer without a receipt']],
  ['a key applied twice', [receipt('a'), receipt('a')], [write('a')], ['a key was applied twice, by its receipts']],
])('%s', (_, receipts, truth, expected) => {
  expect(disagreements(receipts, truth)).toEqual(expected);
});
