/** The coordinators a producer remembers, and when it asks again. */
import { expect, it } from 'vitest';
import { type CreateSteps, rememberingCoordinators } from '../../../../src/kafka/kafkajs/coordinator-memory.ts';

function producer() {
  const asked: string[] = [];
  const brokers = new Set([1, 2]);
  let coordinator = 1;
  const cluster = {
    retry: 'kept',
    async findGroupCoordinator({ groupId, coordinatorType }: { groupId: string; coordinatorType?: number }) {
      asked.push(`${coordinatorType} ${groupId}`);
      return { nodeId: coordinator };
    },
    async findBroker({ nodeId }: { nodeId: number }) {
      if (!brokers.has(nodeId)) throw new Error('not found');
      return { nodeId };
    },
  };
  let failure: Error | undefined;
  const create: CreateSteps = ({ cluster: given }) => ({
    isInitialized: () => (given as unknown as { retry: string }).retry,
    sendOffsets: async (groupId: string) => {
      const { nodeId } = await given.findGroupCoordinator({ groupId, coordinatorType: 0 });
      if (failure !== undefined) throw failure;
      return nodeId;
    },
  });
  const steps = rememberingCoordinators(create)({ cluster }) as {
    isInitialized(): string;
    sendOffsets(groupId: string): Promise<number>;
  };
  return {
    asked,
    steps,
    move: (nodeId: number) => {
      coordinator = nodeId;
    },
    fail: (error: Error | undefined) => {
      failure = error;
    },
    leave: (nodeId: number) => brokers.delete(nodeId),
  };
}

it('asks once for each coordinator, and hands over all else as it is', async () => {
  const { steps, asked } = producer();
  expect([await steps.sendOffsets('a'), await steps.sendOffsets('a'), await steps.sendOffsets('b')]).toEqual([1, 1, 1]);
  expect(asked).toEqual(['0 a', '0 b']);
  expect(steps.isInitialized()).toBe('kept');
});

it('M1: asks again after a step has failed, with the error told as it was', async () => {
  const { steps, asked, move, fail } = producer();
  await steps.sendOffsets('a');
  move(2);
  const failure = new Error('NOT_COORDINATOR');
  fail(failure);
  await expect(steps.sendOffsets('a')).rejects.toBe(failure);
  fail(undefined);
  expect(await steps.sendOffsets('a')).toBe(2);
  expect(asked).toEqual(['0 a', '0 a']);
});

it('M1: stays with who says that it is still busy with the last transaction', async () => {
  const { steps, asked, fail } = producer();
  fail(Object.assign(new Error('busy'), { type: 'CONCURRENT_TRANSACTIONS' }));
  await expect(steps.sendOffsets('a')).rejects.toThrow('busy');
  fail(undefined);
  await steps.sendOffsets('a');
  expect(asked).toEqual(['0 a']);
});

it('M1: asks again when the broker is there no more', async () => {
  const { steps, asked, move, leave } = producer();
  await steps.sendOffsets('a');
  move(2);
  leave(1);
  expect(await steps.sendOffsets('a')).toBe(2);
  expect(asked).toEqual(['0 a', '0 a']);
});
