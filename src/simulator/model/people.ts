/** Customers, messages, users, teams and tags: the attributes they are born with. */
import type { Direction } from './conversation.ts';
import { type Attributes, isoTime } from './resource.ts';

export interface CustomerSeed {
  readonly name?: string | undefined;
  readonly externalId?: string | undefined;
  readonly username?: string | undefined;
  readonly gender?: string | undefined;
  readonly emails?: readonly Attributes[] | undefined;
  readonly phones?: readonly Attributes[] | undefined;
  readonly locale?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly custom?: Attributes | undefined;
}

export function newCustomer(seed: CustomerSeed, nowMs: number): Attributes {
  const at = isoTime(nowMs);
  const [firstName, ...rest] = (seed.name ?? '').split(' ');
  return {
    name: seed.name ?? '',
    displayName: seed.name ?? '',
    firstName: firstName ?? '',
    lastName: rest.join(' '),
    externalId: seed.externalId ?? null,
    externalIds:
      seed.externalId === undefined ? [] : [{ externalId: seed.externalId, verified: false, externalVerified: false }],
    sharedExternalIds: [],
    username: seed.username ?? null,
    emails: seed.emails ?? [],
    sharedEmails: [],
    phones: seed.phones ?? [],
    sharedPhones: [],
    socials: [],
    urls: [],
    locations: [],
    recentLocation: {},
    locale: seed.locale ?? null,
    birthdayAt: null,
    gender: seed.gender ?? null,
    avatarUrl: null,
    tags: seed.tags ?? [],
    sentiment: {},
    verified: false,
    conversationCounts: { done: 0, open: 0, snoozed: 0, all: 0 },
    lastConversation: {},
    lastActivityAt: at,
    recentItems: [],
    satisfactionLevel: {},
    modifiedAt: at,
    ...(seed.custom === undefined ? {} : { custom: seed.custom }),
  };
}

export interface MessageSeed {
  readonly direction: Direction;
  readonly channel: string;
  readonly app: string;
  readonly preview: string;
  readonly subject?: string | undefined;
  readonly externalId?: string | undefined;
  readonly status?: 'sent' | 'received' | 'error' | undefined;
  readonly sentAt?: string | undefined;
  readonly auto?: boolean | undefined;
  readonly meta?: Attributes | undefined;
  readonly custom?: Attributes | undefined;
  /** Attributes that are there only when given. */
  readonly more?: Attributes | undefined;
}

export function newMessage(seed: MessageSeed, first: boolean, nowMs: number): Attributes {
  const at = isoTime(nowMs);
  return {
    externalId: seed.externalId ?? null,
    channel: seed.channel,
    app: seed.app,
    size: Buffer.byteLength(seed.preview),
    direction: seed.direction,
    directionType: `${first ? 'initial' : 'followup'}-${seed.direction}`,
    preview: seed.preview,
    ...(seed.subject === undefined ? {} : { subject: seed.subject }),
    meta: seed.meta ?? {},
    status: seed.status ?? (seed.direction === 'in' ? 'received' : 'sent'),
    assignedTeams: [],
    assignedUsers: [],
    auto: seed.auto ?? false,
    sentAt: seed.sentAt ?? at,
    modifiedAt: at,
    redacted: false,
    createdByTeams: [],
    reactions: [],
    intentDetections: [],
    ...(seed.custom === undefined ? {} : { custom: seed.custom }),
    ...seed.more,
  };
}

export interface UserSeed {
  readonly name: string;
  readonly email: string;
  readonly userType: 'user' | 'machine' | 'limited';
}

export function newUser(seed: UserSeed, nowMs: number): Attributes {
  return {
    name: seed.name,
    displayName: seed.name,
    email: seed.email,
    userType: seed.userType,
    avatarUrl: null,
    presence: 'offline',
    roles: ['org.permission'],
    teams: [],
    deleted: false,
    modifiedAt: isoTime(nowMs),
  };
}

export function newTeam(name: string, members: readonly string[], nowMs: number): Attributes {
  return { name, displayName: name, icon: 'team', members, deleted: false, modifiedAt: isoTime(nowMs) };
}

export function newTag(name: string, nowMs: number): Attributes {
  return { name, color: '#4a90d9', deleted: false, modifiedAt: isoTime(nowMs) };
}
