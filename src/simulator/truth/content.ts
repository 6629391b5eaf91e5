/** Whether an envelope says what was true: its facts those of the copy it was seen in, its transition one there was. Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { Attributes, Resource } from '../model/resource.ts';
import type { TrueChange } from './change.ts';
import type { Published } from './compare.ts';
import type { History } from './history.ts';

type Facts = Readonly<Record<string, (copy: Resource) => unknown>>;

const attribute =
  (name: string) =>
  ({ attributes }: Resource): unknown =>
    attributes[name] ?? null;
const relation =
  (name: string) =>
  ({ relationships }: Resource): unknown =>
    relationships[name]?.data?.id ?? null;
const each =
  (name: string, part: string) =>
  ({ attributes }: Resource): unknown =>
    (attributes[name] as readonly Attributes[]).map((item) => item[part]);

/** Payload fields and where a copy has them. */
const FACTS: Readonly<Record<TrueChange['resourceType'], Facts>> = {
  conversation: {
    conversation_id: ({ id }) => id,
    customer_id: relation('customer'),
    status: attribute('status'),
    name: attribute('name'),
    direction: attribute('direction'),
    priority: attribute('priority'),
    assigned_users: attribute('assignedUsers'),
    assigned_teams: attribute('assignedTeams'),
    tags: attribute('tags'),
    channels: attribute('channels'),
    message_count: attribute('messageCount'),
    reopen_count: attribute('reopenCount'),
    created_at: attribute('createdAt'),
    updated_at: attribute('updatedAt'),
  },
  message: {
    message_id: ({ id }) => id,
    conversation_id: relation('conversation'),
    customer_id: relation('customer'),
    channel: attribute('channel'),
    direction: attribute('direction'),
    direction_type: attribute('directionType'),
    preview: attribute('preview'),
    status: attribute('status'),
    sent_at: attribute('sentAt'),
  },
  customer: {
    customer_id: ({ id }) => id,
    name: attribute('displayName'),
    emails: each('emails', 'email'),
    phones: each('phones', 'phone'),
    created_at: attribute('createdAt'),
    updated_at: attribute('updatedAt'),
    last_activity_at: attribute('lastActivityAt'),
  },
};

/** What the status of a conversation was before a change, as far as it was known when the change was published. */
export interface KnownStatus {
  readonly previous: string | null;
  /**
   * Every status since the last move that had been published: an observer who missed what came between knows one of them, the
   * latest that anything told him of.
   */
  readonly since: readonly (string | null)[];
  /** Reopens since that move. */
  readonly reopens: number;
}

export function contentProblems(
  change: TrueChange,
  { payload }: Published,
  history: History,
  known: () => KnownStatus,
): readonly string[] {
  const { revision } = payload;
  const copy =
    typeof revision === 'number' ? history.copy(change.resourceType, change.resourceId, revision) : undefined;
  if (copy === undefined) return [`payload.revision is ${JSON.stringify(revision)}: there was none such`];
  const problems: string[] = [];
  const differ = (name: string, wanted: readonly unknown[]): void => {
    if (wanted.some((one) => isDeepStrictEqual(payload[name], one))) return;
    const expected = wanted.map((one) => JSON.stringify(one)).join(' or ');
    problems.push(`payload.${name} is ${JSON.stringify(payload[name])}, expected ${expected}`);
  };
  const byWebhook = payload['observed_via'] === 'webhook';
  // What no webhook tells of can be told from copies that no longer name it: a deadline stays where it was.
  if (change.told && change.rev !== null) {
    const isShown = copy.rev >= change.rev && (change.untilRev === null || copy.rev < change.untilRev);
    if (byWebhook ? copy.rev !== change.rev : !isShown) {
      const span = byWebhook ? '' : ` to before ${change.untilRev ?? 'ever'}`;
      problems.push(`revision ${copy.rev} does not show it: ${change.rev}${span} does`);
    }
  }
  for (const [name, read] of Object.entries(FACTS[change.resourceType])) differ(name, [read(copy)]);
  for (const order of (payload['orders'] as readonly Attributes[] | null | undefined) ?? []) {
    const [made] = history.copies('kobject.order', String(order['order_id']));
    if (made === undefined || relation('customer')(made) !== change.resourceId) {
      problems.push(`order ${order['order_id']} is not one of this customer's`);
    }
  }
  if (change.eventType === 'conversation.status.changed') {
    const { previous, since, reopens } = known();
    const { status } = payload;
    const reopened = status === 'open' && previous === 'done';
    if (byWebhook) {
      differ('previous_status', [previous]);
      differ('reopened', [reopened]);
    } else {
      differ('previous_status', payload['missed_revisions'] === 0 ? [previous] : [null, ...since]);
      differ('reopened', [null, reopened, status === 'open' && reopens > 0]);
    }
  }
  return problems;
}

export interface KnownContext {
  readonly history: History;
  /** Where each change was published. */
  readonly first: ReadonlyMap<TrueChange, Published>;
  /** By id of the resource, in order. */
  readonly changesOf: ReadonlyMap<string, readonly TrueChange[]>;
}

export function knownStatus(change: TrueChange, envelope: Published, context: KnownContext): KnownStatus {
  const copies = context.history.copies(change.resourceType, change.resourceId);
  const statusOf = (copy: Resource | undefined) => (copy?.attributes['status'] ?? null) as string | null;
  const at = copies.findIndex(({ rev }) => rev === change.rev);
  const moves = (context.changesOf.get(change.resourceId) ?? []).filter(
    ({ eventType, atMs }) => eventType === change.eventType && atMs < change.atMs,
  );
  const seen = moves.findLast(
    (move) => (context.first.get(move)?.offset ?? Number.POSITIVE_INFINITY) < envelope.offset,
  );
  const last = seen === undefined ? copies[0] : copies.find(({ rev }) => rev === seen.rev);
  const reopensOf = (copy: Resource | undefined) => Number(copy?.attributes['reopenCount'] ?? 0);
  const shown = copies.find(({ rev }) => rev === envelope.payload['revision']);
  return {
    previous: statusOf(copies[at - 1]),
    since: copies.filter(({ rev }) => rev >= (last?.rev ?? 0) && rev < (change.rev ?? 0)).map(statusOf),
    reopens: reopensOf(shown) - reopensOf(last),
  };
}
