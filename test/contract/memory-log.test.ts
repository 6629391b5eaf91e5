import { createMemoryLog, VirtualClock } from '../../src/kafka/memory/index.ts';
import type { LogHarness } from './harness.ts';
import { logContract } from './log.contract.ts';

logContract('memory', memoryHarness);

async function memoryHarness(): Promise<LogHarness> {
  const clock = new VirtualClock();
  const log = createMemoryLog({ clock });
  const logs = [log];
  let names = 0;
  const connect = async () => {
    const another = log.connect();
    logs.push(another);
    return another;
  };
  return {
    log,
    connect,
    unique: (name) => {
      names += 1;
      return `${name}-${names}`;
    },
    until: async (what, condition) => {
      await clock.runUntil(condition, 120_000).catch((cause) => {
        throw new Error(`waited in vain: ${what}`, { cause });
      });
    },
    leaveOpen: async ({ transactionalId, appends, offsets }) => {
      const victim = log.connect();
      const producer = await victim.transactional({ transactionalId, transactionTimeoutMs: 10 * 60_000 });
      const held = log.faults.holdCommit(transactionalId);
      void producer.commit({ appends, ...(offsets === undefined ? {} : { offsets }) });
      await clock.runUntil(() => held.reached);
      victim.kill();
    },
    compactedTopic: (name) => ({ name, partitions: 1, config: { 'cleanup.policy': 'compact' } }),
    compact: async ({ topic }) => log.compact(topic),
    deleteRecordsBefore: async (partition, offset) => log.deleteRecordsBefore(partition, offset),
    close: async () => {
      await Promise.all(logs.map((one) => one.close()));
    },
  };
}
