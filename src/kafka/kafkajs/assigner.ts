/** Our assigners as KafkaJS partition assigners. The group's leader runs it; every member must bring the same. */
import { AssignerProtocol, type PartitionAssigner } from 'kafkajs';
import type { Assigner } from '../port.ts';

const PROTOCOL_NAME = 'cn-kustomer';
const VERSION = 1;

export function kafkaAssigner(assigner: Assigner): PartitionAssigner {
  return ({ cluster }) => ({
    name: PROTOCOL_NAME,
    version: VERSION,
    protocol: ({ topics }) => ({
      name: PROTOCOL_NAME,
      metadata: AssignerProtocol.MemberMetadata.encode({ version: VERSION, topics, userData: Buffer.alloc(0) }),
    }),
    assign: async ({ members, topics }) => {
      const counts = new Map(topics.map((topic) => [topic, cluster.findTopicPartitionMetadata(topic).length]));
      // Sorted, so that the same members always get the same whichever of them leads.
      const memberIds = members.map(({ memberId }) => memberId).sort();
      const assigned = assigner(memberIds, counts);
      return memberIds.map((memberId) => {
        const assignment: Record<string, number[]> = {};
        for (const { topic, partition } of assigned.get(memberId) ?? []) {
          assignment[topic] ??= [];
          assignment[topic].push(partition);
        }
        return {
          memberId,
          memberAssignment: AssignerProtocol.MemberAssignment.encode({
            version: VERSION,
            assignment,
            userData: Buffer.alloc(0),
          }),
        };
      });
    },
  });
}

/** Everything to the first member: for a group that has one. */
export const everythingToOne: Assigner = (memberIds, topics) => {
  const all = Array.from(topics, ([topic, count]) =>
    Array.from({ length: count }, (_, partition) => ({ topic, partition })),
  ).flat();
  return new Map(memberIds.map((memberId, index) => [memberId, index === 0 ? all : []]));
};
