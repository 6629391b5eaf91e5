import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import '../../../../src/kafka/kafkajs/index.ts';
import { groupByPartition } from '../../../../src/kafka/kafkajs/messages.ts';
import { decodeRecord } from '../../../../src/kafka/kafkajs/record-decoder.ts';
import { encodeRecord } from '../../../../src/kafka/kafkajs/record-encoder.ts';

const require = createRequire(import.meta.url);

test('KafkaJS is the version our changes were written against', () => {
  expect((require('kafkajs/package.json') as { version: string }).version).toBe('2.2.4');
});

test.each([
  ['kafkajs/src/protocol/recordBatch/record/v0', encodeRecord],
  ['kafkajs/src/protocol/recordBatch/record/v0/decoder', decodeRecord],
  ['kafkajs/src/producer/groupMessagesPerPartition', groupByPartition],
])('%s is replaced by ours', (module, ours) => {
  expect(require(module)).toBe(ours);
});

test('messages are grouped by partition in the order they came', () => {
  const messages = [3, 1, 3, 0].map((partition, i) => ({ partition, value: String(i) }));
  const groups = groupByPartition({
    topic: 't',
    partitionMetadata: [{} as never],
    messages,
    partitioner: ({ message }) => message.partition as number,
  });
  expect(Object.entries(groups).map(([partition, group]) => [partition, group.map(({ value }) => value)])).toEqual([
    ['0', ['3']],
    ['1', ['1']],
    ['3', ['0', '2']],
  ]);
});
