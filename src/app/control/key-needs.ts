/** What a key must be allowed to do, and what does not work without. Pure; the roles are Kustomer's (any one will do). */

export interface KeyNeed {
  readonly what: string;
  readonly anyOf: readonly string[];
  /** What does not work without it. */
  readonly without: string;
  /** `write`: only for what is written back to Kustomer. */
  readonly purpose: 'read' | 'webhook' | 'write';
}

export interface NeedVerdict {
  readonly need: KeyNeed;
  /** Null = Kustomer does not say what roles the key has. */
  readonly granted: boolean | null;
}

/** More than any need of ours: such a key is a risk and buys nothing. */
const TOO_BROAD = ['org', 'org.permission', 'org.user', 'org.admin'];

const either = (resource: string, verb: string, legacy: string): readonly string[] => [
  `org.permission.${resource}.${verb}`,
  `org.user.${resource}.${legacy}`,
];
const webhook = (verb: string): readonly string[] => [
  `org.permission.outbound_webhook.${verb}`,
  'org.outbound_webhooks',
  'org.admin.outbound_webhooks',
];

export function keyNeeds(orderKlass: string | null): readonly KeyNeed[] {
  const needs: KeyNeed[] = [
    {
      what: 'search',
      anyOf: [
        'org.permission.search.create',
        'org.permission.search.update',
        'org.permission.search_global.create',
        'org.permission.search_preview.create',
        'org.user.search.read',
        'org.admin.search.read',
      ],
      without: 'nothing is polled and there is no backfill: what webhooks miss is missed',
      purpose: 'read',
    },
    {
      what: 'read conversations',
      anyOf: either('conversation', 'read', 'read'),
      without: 'conversations and SLA breaches are not polled',
      purpose: 'read',
    },
    {
      what: 'read messages',
      anyOf: either('message', 'read', 'read'),
      without: 'messages are not polled',
      purpose: 'read',
    },
    {
      what: 'read customers',
      anyOf: either('customer', 'read', 'read'),
      without: 'customers are not polled',
      purpose: 'read',
    },
    {
      what: 'look at webhooks',
      anyOf: webhook('read'),
      without: 'whether webhooks still arrive cannot be checked',
      purpose: 'webhook',
    },
    {
      what: 'create webhooks',
      anyOf: webhook('create'),
      without: 'the webhook must be made, and switched on again, by hand',
      purpose: 'webhook',
    },
    {
      what: 'delete webhooks',
      anyOf: webhook('delete'),
      without: 'after a rotation the old webhook must be deleted by hand',
      purpose: 'webhook',
    },
    {
      what: 'write notes',
      anyOf: either('note', 'create', 'write'),
      without: 'notes cannot be written',
      purpose: 'write',
    },
    {
      what: 'read notes',
      anyOf: either('note', 'read', 'read'),
      without: 'a note whose answer was lost cannot be looked for, so it is parked',
      purpose: 'write',
    },
    {
      what: 'change conversations',
      anyOf: either('conversation', 'update', 'write'),
      without: 'status and assignment cannot be changed',
      purpose: 'write',
    },
  ];
  if (orderKlass === null) return needs;
  const orders: KeyNeed = {
    what: 'read orders',
    anyOf: [
      ...either('customer', 'read', 'read'),
      `org.permission.kobject.kobject_${orderKlass}.read`,
      ...either('kobject', 'read', 'read'),
    ],
    without: 'customers come without their orders',
    purpose: 'read',
  };
  return needs.toSpliced(4, 0, orders);
}

export function judgeRoles(roles: readonly string[] | null, orderKlass: string | null): readonly NeedVerdict[] {
  return keyNeeds(orderKlass).map((need) => ({
    need,
    granted: roles === null ? null : need.anyOf.some((wanted) => roles.some((held) => covers(held, wanted))),
  }));
}

/** Roles that stand for far more than is needed. */
export function broadRoles(roles: readonly string[] | null): readonly string[] {
  return (roles ?? []).filter((role) => TOO_BROAD.includes(role));
}

/** A shorter name covers everything below it. */
function covers(held: string, wanted: string): boolean {
  return held === wanted || wanted.startsWith(`${held}.`);
}
