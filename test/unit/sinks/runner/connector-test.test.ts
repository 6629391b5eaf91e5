/** The operator that connectors are tried as: it has no grant, so its name must not be enough. */
import { expect, it } from 'vitest';
import type { Append } from '../../../../src/kafka/port.ts';
import { testHeaders } from '../../../../src/sinks/runner/connector-test.ts';
import { ANSWER_MAC } from '../../../support/sinks/house.ts';
import { memoryHouse } from '../memory-house.ts';

it('acts only with what the API signed; whoever else takes the name is refused', async () => {
  const { house, org, note: late, receipts } = await memoryHouse();
  const note = (operator: string) => house.command({ ...late, operator });
  const signed = (append: Append, value = append.value): Append => {
    return { ...append, headers: testHeaders('connector-test', value as Buffer, ANSWER_MAC) };
  };
  await house.start();
  const other = note('connector-test');
  await house.send(
    note('connector-test'),
    signed(note('connector-test'), other.value),
    { ...other, headers: { connector_test: 'ff' } },
    signed(note('connector-test')),
    note('stranger'),
  );
  await receipts(5);
  expect(house.receipts.map(({ outcome, error }) => `${outcome} ${error?.code ?? ''}`).sort()).toEqual([
    'applied ',
    'refused command_invalid',
    'refused command_invalid',
    'refused command_invalid',
    'refused grant_missing',
  ]);
  expect(org.writes.count).toBe(1);
  expect(testHeaders('triage', other.value as Buffer, ANSWER_MAC)).toEqual({});
});
