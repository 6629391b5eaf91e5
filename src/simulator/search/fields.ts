/** What can be searched and sorted by: the vendor's names, from its list of standard attributes, for the objects we have. */
import type { Attributes, Resource } from '../model/resource.ts';

export type FieldKind = 'datetime' | 'list' | 'exact' | 'text' | 'number' | 'boolean';

export interface SearchField {
  readonly kind: FieldKind;
  /** Undefined or null = not set. An array matches when any of its items does. */
  readonly read: (resource: Resource) => unknown;
  /** Also known to the archive search, which knows fewer. */
  readonly archive?: boolean;
}

export const CONTEXTS = ['customer', 'conversation', 'message', 'note', 'kobject'] as const;
export type Context = (typeof CONTEXTS)[number];

type Fields = Readonly<Record<string, SearchField>>;

const attribute =
  (...path: readonly string[]) =>
  ({ attributes }: Resource): unknown =>
    path.reduce<unknown>((value, key) => (value as Attributes | null | undefined)?.[key], attributes);

const related =
  (relation: string) =>
  ({ relationships }: Resource): unknown =>
    relationships[relation]?.data?.id;

const field = (kind: FieldKind, ...path: readonly string[]): SearchField => ({ kind, read: attribute(...path) });
const relation = (kind: FieldKind, name: string): SearchField => ({ kind, read: related(name) });
const archived = (known: SearchField): SearchField => ({ ...known, archive: true });
const id: SearchField = { kind: 'exact', read: (resource) => resource.id };

const STAMPS = {
  created_at: archived(field('datetime', 'createdAt')),
  updated_at: archived(field('datetime', 'updatedAt')),
};

const EDITS = {
  modified_at: field('datetime', 'modifiedAt'),
  created_by: relation('list', 'createdBy'),
  modified_by: relation('list', 'modifiedBy'),
};

const FIELDS: Readonly<Record<Context, Fields>> = {
  conversation: {
    ...STAMPS,
    ...EDITS,
    name: field('text', 'name'),
    any_text: archived(field('text', 'name')),
    customer_id: archived(relation('exact', 'customer')),
    status: field('list', 'status'),
    sub_status: field('exact', 'subStatus'),
    direction: field('list', 'direction'),
    channels: field('list', 'channels'),
    priority: field('number', 'priority'),
    tags: field('list', 'tags'),
    default_lang: field('exact', 'defaultLang'),
    assigned_users: field('list', 'assignedUsers'),
    assigned_teams: field('list', 'assignedTeams'),
    message_count: field('number', 'messageCount'),
    note_count: field('number', 'noteCount'),
    outbound_message_count: field('number', 'outboundMessageCount'),
    last_message_at: field('datetime', 'lastMessageAt'),
    last_done_created_at: field('datetime', 'lastDone', 'createdAt'),
    ended: field('boolean', 'ended'),
    ended_at: field('datetime', 'endedAt'),
    sla_id: relation('list', 'sla'),
    sla_status: field('list', 'sla', 'status'),
    sla_breached: field('boolean', 'sla', 'breached'),
    sla_breach_at: field('datetime', 'sla', 'breach', 'at'),
    sla_breach_metric: field('list', 'sla', 'breach', 'metric'),
    sla_satisfied_at: field('datetime', 'sla', 'summary', 'satisfiedAt'),
    satisfaction_status: field('list', 'satisfactionLevel', 'status'),
    satisfaction_score: field('number', 'satisfactionLevel', 'score'),
    satisfaction_rating: field('number', 'satisfactionLevel', 'rating'),
    satisfaction_created_at: field('datetime', 'satisfactionLevel', 'createdAt'),
    satisfaction_survey_id: field('list', 'satisfactionLevel', 'form'),
    imported_at: field('datetime', 'importedAt'),
  },
  message: {
    ...STAMPS,
    created_by: EDITS.created_by,
    modified_by: EDITS.modified_by,
    any_text: archived(field('text', 'preview')),
    body: field('text', 'preview'),
    subject: field('text', 'subject'),
    channel: field('list', 'channel'),
    direction: field('list', 'direction'),
    direction_type: field('list', 'directionType'),
    sent_at: field('datetime', 'sentAt'),
    size: field('number', 'size'),
    status: field('list', 'status'),
    error_at: field('datetime', 'errorAt'),
    auto: field('boolean', 'auto'),
    redacted: field('boolean', 'redacted'),
    external_id: field('exact', 'externalId'),
    customer_id: relation('exact', 'customer'),
    imported_at: field('datetime', 'importedAt'),
  },
  note: {
    ...STAMPS,
    ...EDITS,
    any_text: field('text', 'body'),
    body: field('text', 'body'),
    deleted: field('boolean', 'deleted'),
    external_id: field('exact', 'externalId'),
    customer_id: relation('exact', 'customer'),
    conversation_id: relation('exact', 'conversation'),
    lang: field('exact', 'lang'),
    imported_at: field('datetime', 'importedAt'),
  },
  customer: {
    ...STAMPS,
    ...EDITS,
    name: field('text', 'name'),
    any_text: field('text', 'name'),
    email: {
      kind: 'text',
      read: ({ attributes }) => (attributes['emails'] as readonly Attributes[]).map((e) => e['email']),
    },
    phone: {
      kind: 'text',
      read: ({ attributes }) => (attributes['phones'] as readonly Attributes[]).map((p) => p['phone']),
    },
    gender: field('list', 'gender'),
    locale: field('text', 'locale'),
    externalId: field('exact', 'externalId'),
    tags: field('list', 'tags'),
    activity_at: field('datetime', 'lastActivityAt'),
    conversations_count: field('number', 'conversationCounts', 'all'),
  },
  kobject: {
    ...STAMPS,
    any_text: archived(field('text', 'title')),
    imported_at: field('datetime', 'importedAt'),
  },
};

/** Only the archive search filters by these. */
const ARCHIVE_ONLY: Readonly<Record<Context, Fields>> = {
  conversation: { id, deleted: field('boolean', 'deleted') },
  customer: { id, deleted: field('boolean', 'deleted') },
  message: { id, conversation_id: relation('exact', 'conversation') },
  note: {},
  kobject: { id, customer_id: relation('exact', 'customer') },
};

/** `kobject_order` → `order`; null when the context is no klass's. */
export function klassOf(queryContext: string): string | null {
  return queryContext.startsWith('kobject_') ? queryContext.slice('kobject_'.length) : null;
}

export function contextOf(queryContext: string): Context | null {
  if (klassOf(queryContext) !== null) return 'kobject';
  return (CONTEXTS as readonly string[]).includes(queryContext) ? (queryContext as Context) : null;
}

/** Undefined when the vendor would refuse the name. */
export function fieldOf(queryContext: string, name: string, archive: boolean): SearchField | undefined {
  const context = contextOf(queryContext);
  if (context === null) return undefined;
  const custom = customField(context, queryContext, name);
  if (custom !== undefined) return archive ? undefined : custom;
  const prefixes = queryContext === context ? [context] : [queryContext, context];
  for (const prefix of prefixes) {
    if (!name.startsWith(`${prefix}_`)) continue;
    const short = name.slice(prefix.length + 1);
    const known = FIELDS[context][short];
    if (known !== undefined && (!archive || known.archive === true)) return known;
    if (archive && ARCHIVE_ONLY[context][short] !== undefined) return ARCHIVE_ONLY[context][short];
  }
  return undefined;
}

/** `conversation_custom_regionStr`, `kobject_custom_order_totalNum`: the end of the name tells the type. */
function customField(context: Context, queryContext: string, name: string): SearchField | undefined {
  const klass = klassOf(queryContext);
  const prefix = context === 'kobject' ? `kobject_custom_${klass}_` : `${context}_custom_`;
  if (!name.startsWith(prefix)) return undefined;
  const key = name.slice(prefix.length);
  const suffix = /(Str|Txt|Num|At|Bool|Url|Id|Tree)$/.exec(key)?.[1];
  if (suffix === undefined) return undefined;
  const kinds: Readonly<Record<string, FieldKind>> = { Num: 'number', At: 'datetime', Bool: 'boolean', Txt: 'text' };
  return field(kinds[suffix] ?? 'exact', 'custom', key);
}
