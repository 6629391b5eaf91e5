/** The operator that connectors are tried as: it has no grant, so its name must not be enough. */
import { expect, it, onTestFinished } from 'vitest';
import { createMemoryLog } from '../../../../src/kafka/memory/index.ts';
import type { Append } from '../../../../src/kafka/port.ts';
import { testHeaders } from '../../../../src/sinks/runner/connector-test.ts';
import { ANSWER_MAC, SinkHouse } from '../../../support/sinks/house.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { KEY, simulated } from '../../simulator/simulated.ts';

it('acts only with what the API signed; whoever else takes the name is refused', async () => {
  const { org, url } = await simulated({}, { nowMs: Date.now });
  const log = createMemoryLog();
  const house = await SinkHouse.build({
    connect: () => log.connect(),
    apiUrl: url,
    apiKey: KEY,
    machineUserId: org.machineUserId,
  });
  onTestFinished(() => house.close());
  const [conversation] = [...org.organisation.conversations.values()];
  const note = (operator: string) =>
    house.command({
      ...{ capability: 'conversation.note.write', operator },
      args: { conversation_id: conversation?.id, body: 'Late.' },
    });
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
  await waitFor(() => house.receipts.length >= 5, { message: 'the receipts' });
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
