/** Topics as this installation's settings want them. */
import { CodedError } from '../base/errors.ts';
import type { Log } from '../kafka/port.ts';
import { applyTopics, planTopics, type TopicAction } from '../kafka/reconcile.ts';
import { eventsTopic, fixedTopics, TENANT_ID, TOPIC_DEFAULTS, type TopicSettings } from '../kafka/topics.ts';
import type { Settings } from './settings.ts';

export function topicSettings(settings: Settings): TopicSettings {
  return {
    ...TOPIC_DEFAULTS,
    prefix: settings.topicPrefix,
    rawPartitions: settings.rawPartitions,
    eventPartitions: settings.eventPartitions,
    stateRetentionMs: settings.stateRetentionMs,
    rawRetentionMs: settings.rawRetentionMs,
    ...(settings.replicationFactor === undefined ? {} : { replicationFactor: settings.replicationFactor }),
  };
}

/** Plan for the fixed topics and those of these tenants. */
export async function planAll(
  log: Log,
  topics: TopicSettings,
  tenants: Iterable<string>,
): Promise<readonly TopicAction[]> {
  const wanted = [...fixedTopics(topics), ...[...new Set(tenants)].sort().map((tenant) => eventsTopic(topics, tenant))];
  return planTopics(wanted, await log.admin.describeTopics(wanted.map((topic) => topic.name)));
}

/** Creates what is missing; throws `topic_invalid` when a topic differs in a way that is not changed silently. */
export async function reconcileTopics(log: Log, topics: TopicSettings, tenants: Iterable<string>): Promise<void> {
  const plan = await planAll(log, topics, tenants);
  const refused = plan.flatMap((action) => (action.kind === 'refuse' ? [`${action.name} ${action.reason}`] : []));
  if (refused.length > 0) throw new CodedError('topic_invalid', refused.join('\n'));
  await applyTopics(log.admin, plan);
}

/** Remembers which tenants' topics exist, so that the hot path asks the broker once per tenant. */
export class TenantTopics {
  readonly #log: Log;
  readonly #topics: TopicSettings;
  readonly #ensured = new Map<string, Promise<void> | null>();

  constructor(log: Log, topics: TopicSettings) {
    this.#log = log;
    this.#topics = topics;
  }

  /** Undefined once the topic is known to exist. A failed attempt is forgotten, so the next call tries again. */
  ensure(tenantId: string): Promise<void> | undefined {
    const known = this.#ensured.get(tenantId);
    if (known === null) return undefined;
    if (known !== undefined) return known;
    if (!TENANT_ID.test(tenantId))
      throw new CodedError('topic_invalid', 'The tenant id cannot be part of a topic name');
    const creating = this.#log.admin.createTopics([eventsTopic(this.#topics, tenantId)]).then(
      () => void this.#ensured.set(tenantId, null),
      (error) => {
        this.#ensured.delete(tenantId);
        throw error;
      },
    );
    this.#ensured.set(tenantId, creating);
    return creating;
  }
}
