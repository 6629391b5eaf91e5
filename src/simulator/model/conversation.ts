/**
 * How a conversation changes. Pure: attributes in, the attributes that change out; `resource.ts` makes the revision.
 *
 * Traps of the vendor kept on purpose: empty sub-objects are `{}`, `reopenCount` is absent until the first reopen,
 * `satisfaction` is 0 when nobody has rated, `satisfactionLevel` is never empty.
 */
import { type Attributes, isoTime, sameJson } from './resource.ts';

export type ConversationStatus = 'open' | 'snoozed' | 'done';
export type Direction = 'in' | 'out';

/** Who changed it: a user (also through an API key) or, with null, the system. */
export interface Actor {
  readonly userId: string | null;
  /** Name of the software that made the change, as the webhook shows it; null = not shown. */
  readonly client: string | null;
}

export interface ConversationSeed {
  readonly name?: string | undefined;
  readonly externalId?: string | undefined;
  readonly channel?: string | undefined;
  readonly direction?: Direction | undefined;
  readonly status?: 'open' | 'done' | undefined;
  readonly priority?: number | undefined;
  readonly defaultLang?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly assignedUsers?: readonly string[] | undefined;
  readonly assignedTeams?: readonly string[] | undefined;
  readonly custom?: Attributes | undefined;
  /** Attributes that are there only when given. */
  readonly more?: Attributes | undefined;
}

/** The fields a conversation can be edited in; absent means unchanged. Arrays replace the whole array. */
export interface ConversationEdit {
  readonly name?: string | undefined;
  readonly externalId?: string | undefined;
  readonly direction?: Direction | undefined;
  readonly priority?: number | undefined;
  readonly status?: ConversationStatus | undefined;
  readonly snooze?: { readonly time: string; readonly status?: string | undefined } | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly assignedUsers?: readonly string[] | undefined;
  readonly assignedTeams?: readonly string[] | undefined;
  readonly satisfaction?: number | undefined;
  readonly satisfactionLevel?: Attributes | undefined;
  readonly defaultLang?: string | undefined;
  readonly custom?: Attributes | undefined;
  readonly subStatus?: string | undefined;
  readonly replyChannel?: string | undefined;
  readonly queue?: string | undefined;
  readonly locked?: boolean | undefined;
  readonly ended?: boolean | undefined;
  readonly endedAt?: string | undefined;
  readonly endedReason?: string | undefined;
  readonly endedBy?: string | undefined;
  readonly endedByType?: string | undefined;
}

/** Where `modificationHistory` keeps the time of the last edit of a field. */
const HISTORY_KEYS: Readonly<Record<string, string>> = {
  name: 'nameAt',
  priority: 'priorityAt',
  status: 'statusAt',
  tags: 'tagsAt',
  assignedUsers: 'assignedUsersAt',
  assignedTeams: 'assignedTeamsAt',
  defaultLang: 'defaultLangAt',
  custom: 'customAt',
};

export function newConversation(seed: ConversationSeed, nowMs: number): Attributes {
  const at = isoTime(nowMs);
  const status = seed.status ?? 'open';
  return {
    externalId: seed.externalId ?? '',
    name: seed.name ?? '',
    channels: seed.channel === undefined ? [] : [seed.channel],
    status,
    open: status === 'open' ? { statusAt: at } : {},
    snooze: {},
    messageCount: 0,
    noteCount: 0,
    inboundMessageCount: 0,
    outboundMessageCount: 0,
    doneCount: status === 'done' ? 1 : 0,
    snoozeCount: 0,
    satisfaction: 0,
    satisfactionLevel: { sentByTeams: [], answers: [] },
    modifiedAt: at,
    lastActivityAt: at,
    spam: false,
    ended: false,
    tags: seed.tags ?? [],
    assignedUsers: seed.assignedUsers ?? [],
    assignedTeams: seed.assignedTeams ?? [],
    firstResponse: {},
    lastDone: {},
    lastMessageIn: {},
    lastMessageOut: {},
    priority: seed.priority ?? 3,
    direction: seed.direction ?? 'in',
    defaultLang: seed.defaultLang ?? 'en_us',
    modificationHistory: {},
    ...(seed.custom === undefined ? {} : { custom: seed.custom }),
    ...seed.more,
  };
}

/** What an edit changes, with everything that follows from it (status times, counts, history). */
export function editConversation(before: Attributes, edit: ConversationEdit, actor: Actor, nowMs: number): Attributes {
  const at = isoTime(nowMs);
  const patch: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(edit)) {
    if (value !== undefined && field !== 'snooze' && !sameJson(before[field], value)) patch[field] = value;
  }
  if (patch['status'] !== undefined) Object.assign(patch, statusConsequences(before, patch, edit, actor, at));
  else if (edit.snooze !== undefined) patch['snooze'] = { ...(before['snooze'] as object), ...edit.snooze };
  if (Object.keys(patch).length === 0) return patch;
  const history = historyAfter(before, patch, at);
  if (history !== null) patch['modificationHistory'] = history;
  return patch;
}

function statusConsequences(
  before: Attributes,
  patch: Attributes,
  edit: ConversationEdit,
  actor: Actor,
  at: string,
): Attributes {
  if (patch['status'] === 'open') {
    const reopened = before['status'] === 'done';
    return {
      open: { statusAt: at },
      ...(before['status'] === 'snoozed' ? { snooze: { ...(before['snooze'] as object), status: 'elapsed' } } : {}),
      // The count is absent until the first reopen, so the first reopen shows `before: null`.
      ...(reopened
        ? {
            reopenCount: count(before['reopenCount']) + 1,
            reopenFromDoneCount: count(before['reopenFromDoneCount']) + 1,
          }
        : {}),
    };
  }
  if (patch['status'] === 'snoozed') {
    const time = edit.snooze?.time ?? at;
    return {
      open: {},
      snooze: { status: 'scheduled', statusAt: at, time },
      snoozeCount: count(before['snoozeCount']) + 1,
    };
  }
  const done = {
    createdAt: at,
    ...(actor.userId === null ? {} : { createdBy: actor.userId }),
    assignedUsers: patch['assignedUsers'] ?? before['assignedUsers'],
    assignedTeams: patch['assignedTeams'] ?? before['assignedTeams'],
  };
  return {
    open: {},
    doneCount: count(before['doneCount']) + 1,
    lastDone: done,
  };
}

function historyAfter(before: Attributes, patch: Attributes, at: string): Attributes | null {
  let history: Record<string, unknown> | null = null;
  for (const field in patch) {
    const key = HISTORY_KEYS[field];
    if (key === undefined) continue;
    history ??= { ...(before['modificationHistory'] as object) };
    history[key] = at;
  }
  return history;
}

export interface MessageSeen {
  readonly direction: Direction;
  readonly channel: string;
  readonly sentAt: string;
}

/** What a message changes in its conversation. An inbound one reopens a snoozed or done conversation. */
export function recordMessage(before: Attributes, message: MessageSeen, actor: Actor, nowMs: number): Attributes {
  const at = isoTime(nowMs);
  const inbound = message.direction === 'in';
  const reopening = inbound && before['status'] !== 'open';
  const patch: Record<string, unknown> = reopening
    ? { ...editConversation(before, { status: 'open' }, actor, nowMs) }
    : {};
  const counter = inbound ? 'inboundMessageCount' : 'outboundMessageCount';
  patch['messageCount'] = count(before['messageCount']) + 1;
  patch[counter] = count(before[counter]) + 1;
  patch['lastActivityAt'] = at;
  patch['lastMessageAt'] = message.sentAt;
  const channels = before['channels'] as readonly string[];
  if (!channels.includes(message.channel)) patch['channels'] = [...channels, message.channel];
  if (inbound) patch['lastMessageIn'] = { sentAt: message.sentAt };
  else {
    patch['lastMessageOut'] = { sentAt: message.sentAt };
    if (sameJson(before['firstResponse'], {})) patch['firstResponse'] = { createdAt: at };
  }
  return patch;
}

function count(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
