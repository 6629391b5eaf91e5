/** The read model of what waits, over a house; and the answers that people give through it. */
import { createCommandType } from '../../../src/fibric/commands/avro.ts';
import type { Log } from '../../../src/kafka/port.ts';
import { WireDecoder } from '../../../src/kafka/wire.ts';
import type { AnswerKind } from '../../../src/sinks/answers/answer.ts';
import { composeAnswer } from '../../../src/sinks/answers/compose.ts';
import { openWaiting, type WaitingOptions, type WaitingView } from '../../../src/sinks/answers/waiting.ts';
import type { Waiting } from '../../../src/sinks/answers/waiting-table.ts';
import { silentLogger } from '../log-fixtures.ts';
import { waitFor } from '../wait-for.ts';
import { ANSWER_MAC, type SinkHouse, TENANT } from './house.ts';

export function commandDecoder(): WaitingOptions['decoder'] {
  const type = createCommandType();
  return new WireDecoder({
    readerType: type as never,
    fetchSchema: async () => JSON.stringify((type as never as { schema(): unknown }).schema()),
  });
}

export function openHouseWaiting(log: Log, house: SinkHouse, more: Partial<WaitingOptions> = {}): Promise<WaitingView> {
  return openWaiting({ log, topics: house.names, logger: silentLogger, decoder: commandDecoder(), ...more });
}

/** Of the only tenant, once there are so many. */
export async function waitingOnes(view: WaitingView, count: number): Promise<readonly Waiting[]> {
  return waitFor(
    () => {
      const all = view.list(TENANT);
      return all.length === count && all.every(({ command }) => command !== null) && all;
    },
    { message: `${count} that wait for a person` },
  );
}

export function answerOf(house: SinkHouse, waiting: Waiting, answer: AnswerKind, note: string | null = null) {
  const said = { answer, by: 'ann@acme.example', note, nowMs: Date.now() };
  return composeAnswer(waiting, said, { topic: house.names.commands, mac: ANSWER_MAC });
}
