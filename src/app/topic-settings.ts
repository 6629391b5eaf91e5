/** Topics as this installation's settings want them. */
import { CodedError } from '../base/errors.ts';
import type { Log, TopicSpec } from '../kafka/port.ts';
import { applyTopics, planTopics, type TopicAction } from '../kafka/reconcile.ts';
import {
  eventsTopic,
  fixedTopics,
  receiptsTopic,
  TENANT_ID,
  TOPIC_DEFAULTS,
  type TopicSettings,
} from '../kafka/topics.ts';
import type { Settings } from './settings.ts';

export function topicSettings(settings: Settings): TopicSettings {
  return {
    ...TOPIC_DEFAULTS,
    prefix: settings.topicPrefix,
    rawPartitions: settings.rawPartitions,
    eventPartitions: settings.eventPartitions,
    cursorPartitions: settings.cursorPartitions,
    commandPartitions: settings.commandPartitions,
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
  const all = [...new Set(tenants)].sort();
  const ofTenants = all.flatMap((tenant) => [eventsTopic(topics, tenant), receiptsTopic(topics, tenant)]);
  const wanted = [...fixedTopics(topics), ...ofTenants];
  return planTopics(wanted, await log.admin.describeTopics(wanted.map((topic) => topic.name)));
}

/** Creates what is missing; throws `topic_invalid` when a topic differs in a way that is not changed silently. */
export async function reconcileTopics(log: Log, topics: TopicSettings, tenants: Iterable<string>): Promise<void> {
  const plan = await planAll(log, topics, tenants);
  const refused = plan.flatMap((action) => (action.kind === 'refuse' ? [`${action.name} ${action.reason}`] : []));
  if (refused.length > 0) throw new CodedError('topic_invalid', refused.join('\n'));
  await applyTopics(log.admin, plan);
}

/** The broker will not have a tenant's topic. */
export interface RefusedTopic {
  readonly tenantId: string;
  readonly reason: string;
  readonly sinceMs: number;
}

/** A refusal may pass (brokers that are away, metadata not spread yet): only one that lasts is held against a tenant. */
const REFUSAL_PATIENCE_MS = 60_000;
const ASK_AGAIN_MS = 30_000;

/**
 * Remembers which tenants' topics of one kind exist, so that the hot path asks the broker once per tenant.
 *
 * While a refusal is new, `ensure` rejects and its shard tries again. One that has lasted for REFUSAL_PATIENCE_MS is told
 * by `refusal`, and no longer waited for: one tenant's topic must not hold up the others. It is asked for again now and
 * then, and forgotten as soon as the broker takes it.
 */
export class TenantTopics {
  readonly #log: Log;
  readonly #topicOf: (tenantId: string) => TopicSpec;
  readonly #onRefused: (refused: RefusedTopic) => void;
  readonly #ensured = new Map<string, Promise<void> | null>();
  readonly #refused = new Map<string, RefusedTopic & { askedAtMs: number; isLasting: boolean }>();

  constructor(
    log: Log,
    topicOf: (tenantId: string) => TopicSpec,
    onRefused: (refused: RefusedTopic) => void = () => undefined,
  ) {
    this.#log = log;
    this.#topicOf = topicOf;
    this.#onRefused = onRefused;
  }

  /** Undefined when there is nothing to wait for. A failed attempt is forgotten, so the next call tries again. */
  ensure(tenantId: string): Promise<void> | undefined {
    const known = this.#ensured.get(tenantId);
    if (known === null) return undefined;
    const refused = this.#refused.get(tenantId);
    if (refused?.isLasting) {
      const isDue = this.#log.clock.nowMs() - refused.askedAtMs >= ASK_AGAIN_MS;
      if (known === undefined && isDue) this.#create(tenantId).catch(() => undefined); // told by `refusal`
      return undefined;
    }
    return known ?? this.#create(tenantId);
  }

  /** Why this tenant has no topic and will get none for now. */
  refusal(tenantId: string): string | undefined {
    const refused = this.#refused.get(tenantId);
    return refused?.isLasting ? refused.reason : undefined;
  }

  get refusals(): readonly RefusedTopic[] {
    return [...this.#refused.values()].map(({ tenantId, reason, sinceMs }) => ({ tenantId, reason, sinceMs }));
  }

  #create(tenantId: string): Promise<void> {
    if (!TENANT_ID.test(tenantId))
      throw new CodedError('topic_invalid', 'The tenant id cannot be part of a topic name');
    const creating = this.#log.admin.createTopics([this.#topicOf(tenantId)]).then(
      () => {
        this.#refused.delete(tenantId);
        this.#ensured.set(tenantId, null);
      },
      (error) => {
        this.#ensured.delete(tenantId);
        if (error instanceof CodedError && error.disposition === 'refuse') this.#noteRefusal(tenantId, error.message);
        else if (!this.#refused.get(tenantId)?.isLasting) this.#refused.delete(tenantId);
        throw error;
      },
    );
    this.#ensured.set(tenantId, creating);
    return creating;
  }

  #noteRefusal(tenantId: string, reason: string): void {
    const nowMs = this.#log.clock.nowMs();
    const before = this.#refused.get(tenantId);
    // One that was not asked about for so long is another refusal.
    const isSame = before !== undefined && (before.isLasting || nowMs - before.askedAtMs < REFUSAL_PATIENCE_MS);
    const sinceMs = isSame ? before.sinceMs : nowMs;
    const isLasting = nowMs - sinceMs >= REFUSAL_PATIENCE_MS;
    this.#refused.set(tenantId, { tenantId, reason, sinceMs, askedAtMs: nowMs, isLasting });
    if (isLasting && before?.isLasting !== true) this.#onRefused({ tenantId, reason, sinceMs });
  }
}
