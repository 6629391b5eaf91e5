/**
 * Compares the topics table with a broker. Pure: the plan is data; `cn-kustomer topics` prints it and carries it out.
 * What is missing is created and differing settings are altered, but a partition count is never changed here: it moves
 * keys to other partitions, away from their order and their state.
 */
import type { LogAdmin, TopicDescription, TopicSpec } from './port.ts';

export type TopicAction =
  | { readonly kind: 'create'; readonly topic: TopicSpec }
  | { readonly kind: 'alter'; readonly name: string; readonly config: Readonly<Record<string, string>> }
  | { readonly kind: 'keep'; readonly name: string }
  | { readonly kind: 'refuse'; readonly name: string; readonly reason: string };

export function planTopics(
  wanted: readonly TopicSpec[],
  existing: readonly TopicDescription[],
): readonly TopicAction[] {
  const found = new Map(existing.map((topic) => [topic.name, topic]));
  return wanted.map((topic): TopicAction => {
    const is = found.get(topic.name);
    if (is === undefined) return { kind: 'create', topic };
    if (is.partitions !== topic.partitions) {
      const change = topic.partitions < is.partitions ? 'shrink' : 'grow';
      return {
        kind: 'refuse',
        name: topic.name,
        reason: `has ${is.partitions} partitions, the table says ${topic.partitions}; to ${change} it would move keys to other partitions: set the count back, or migrate to a new topic (docs/runbook.md)`,
      };
    }
    const differing = Object.entries(topic.config).filter(([key, value]) => is.config[key] !== value);
    return differing.length === 0
      ? { kind: 'keep', name: topic.name }
      : { kind: 'alter', name: topic.name, config: Object.fromEntries(differing) };
  });
}

/** Carries out what the plan allows; refusals are left to the caller to report. */
export async function applyTopics(admin: LogAdmin, plan: readonly TopicAction[]): Promise<void> {
  const create = plan.flatMap((action) => (action.kind === 'create' ? [action.topic] : []));
  if (create.length > 0) await admin.createTopics(create);
  for (const action of plan) if (action.kind === 'alter') await admin.alterConfig(action.name, action.config);
}
