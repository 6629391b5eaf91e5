/**
 * What happens in a support organisation, one step at a time: the mix of changes that the simulator's traffic and the
 * flood share. A step is one action of one person or system; it may make several events. Seeded by the caller's Random.
 */
import type { Actor, ConversationStatus } from './conversation.ts';
import type { ModelEvent } from './event.ts';
import { type Organisation, SYSTEM } from './organisation.ts';
import type { Random } from './random.ts';
import { type Attributes, isoTime, type Resource } from './resource.ts';

type Step = (organisation: Organisation, nowMs: number, random: Random) => readonly ModelEvent[];

/** Relative weights: mostly status, messages and assignment. */
const MIX: readonly (readonly [weight: number, step: Step])[] = [
  [24, inboundMessage],
  [16, outboundMessage],
  [24, changeStatus],
  [14, changeAssignment],
  [5, changeTags],
  [2, changePriority],
  [8, advanceSurvey],
  [5, changeCustomer],
  [1, changeMessage],
  [1, changeStaff],
];

const TOTAL_WEIGHT = MIX.reduce((sum, [weight]) => sum + weight, 0);

/** Steps drawn again before giving up on finding one that changes something. */
const MAX_DRAWS = 20;

/** One step in an organisation that has conversations; never empty there. */
export function trafficStep(organisation: Organisation, nowMs: number, random: Random): readonly ModelEvent[] {
  for (let draw = 0; draw < MAX_DRAWS; draw += 1) {
    const events = drawStep(random)(organisation, nowMs, random);
    if (events.length > 0) return events;
  }
  return inboundMessage(organisation, nowMs, random);
}

function drawStep(random: Random): Step {
  let ticket = random.int(TOTAL_WEIGHT);
  for (const [weight, step] of MIX) {
    if (ticket < weight) return step;
    ticket -= weight;
  }
  return inboundMessage;
}

/** Agents, teams and tags for the traffic to assign, in a new organisation. */
export function staffOrganisation(organisation: Organisation, nowMs: number): readonly ModelEvent[] {
  const users = AGENTS.flatMap((name) =>
    organisation.createUser(nowMs, { name, email: `${name.toLowerCase()}@example.com`, userType: 'user' }),
  );
  const teams = TEAMS.flatMap((name, at) =>
    organisation.createTeam(
      nowMs,
      name,
      users.filter((_, index) => index % TEAMS.length === at).map((user) => user.id),
    ),
  );
  return [...users, ...teams, ...TAGS.flatMap((name) => organisation.createTag(nowMs, name))];
}

/** A new conversation, by a new customer or (one time in three) a known one. */
export function openConversation(organisation: Organisation, nowMs: number, random: Random): readonly ModelEvent[] {
  const known = random.chance(1 / 3) ? organisation.customers.pick(random) : undefined;
  const name = `${random.pick(FIRST_NAMES)} ${random.pick(LAST_NAMES)}`;
  const customer = known ? { customerId: known.id } : { customer: { name, emails: [emailOf(name)] } };
  const seed = { name: subject(random), channel: random.pick(CHANNELS), priority: 1 + random.int(5) };
  return organisation.createConversation(
    nowMs,
    { ...seed, ...customer },
    random.chance(0.7) ? SYSTEM : agent(organisation, random),
  );
}

function inboundMessage(organisation: Organisation, nowMs: number, random: Random): readonly ModelEvent[] {
  const conversation = organisation.conversations.pick(random);
  if (conversation === undefined) return [];
  const channel = channelOf(conversation);
  const seed = {
    direction: 'in',
    channel,
    app: appOf(channel),
    preview: random.pick(QUESTIONS),
    subject: subject(random),
  } as const;
  return organisation.createMessage(nowMs, conversation.id, seed);
}

function outboundMessage(organisation: Organisation, nowMs: number, random: Random): readonly ModelEvent[] {
  const conversation = organisation.conversations.pick(random);
  if (conversation === undefined) return [];
  const channel = channelOf(conversation);
  const seed = { direction: 'out', channel, app: appOf(channel), preview: random.pick(ANSWERS) } as const;
  const actor = { ...agent(organisation, random), client: 'postmark-drafts-sender' };
  return organisation.createMessage(nowMs, conversation.id, seed, actor);
}

function changeStatus(organisation: Organisation, nowMs: number, random: Random): readonly ModelEvent[] {
  const conversation = organisation.conversations.pick(random);
  if (conversation === undefined) return [];
  const now = conversation.attributes['status'] as ConversationStatus;
  const status = now === 'open' ? (random.chance(0.7) ? 'done' : 'snoozed') : 'open';
  const snooze = status === 'snoozed' ? { time: isoTime(nowMs + 3_600_000 * (1 + random.int(48))) } : undefined;
  const actor = random.chance(0.2) ? { userId: null, client: 'workflow' } : agent(organisation, random);
  return organisation.editConversation(nowMs, conversation.id, { status, snooze }, actor);
}

function changeAssignment(organisation: Organisation, nowMs: number, random: Random): readonly ModelEvent[] {
  const conversation = organisation.conversations.pick(random);
  const user = organisation.users.pick(random);
  const team = organisation.teams.pick(random);
  if (conversation === undefined || user === undefined || team === undefined) return [];
  const edit = random.chance(0.7)
    ? { assignedUsers: random.chance(0.1) ? [] : [user.id] }
    : { assignedUsers: [user.id], assignedTeams: [team.id] };
  const actor = random.chance(0.5) ? { userId: null, client: 'routing-api' } : agent(organisation, random);
  return organisation.editConversation(nowMs, conversation.id, edit, actor);
}

function changeTags(organisation: Organisation, nowMs: number, random: Random): readonly ModelEvent[] {
  const conversation = organisation.conversations.pick(random);
  const tag = organisation.tags.pick(random);
  if (conversation === undefined || tag === undefined) return [];
  const tags = conversation.attributes['tags'] as readonly string[];
  const edit = { tags: tags.includes(tag.id) ? tags.filter((id) => id !== tag.id) : [...tags, tag.id] };
  return organisation.editConversation(nowMs, conversation.id, edit, agent(organisation, random));
}

function changePriority(organisation: Organisation, nowMs: number, random: Random): readonly ModelEvent[] {
  const conversation = organisation.conversations.pick(random);
  if (conversation === undefined) return [];
  return organisation.editConversation(
    nowMs,
    conversation.id,
    { priority: 1 + random.int(5) },
    agent(organisation, random),
  );
}

/** offered → rated → commented, then a new survey. */
function advanceSurvey(organisation: Organisation, nowMs: number, random: Random): readonly ModelEvent[] {
  const conversation = organisation.conversations.pick(random);
  if (conversation === undefined) return [];
  const level = conversation.attributes['satisfactionLevel'] as Attributes;
  if (level['status'] === 'offered') {
    const rating = random.int(11);
    return organisation.rateSurvey(nowMs, conversation.id, { rating, score: rating >= 6 ? 1 : 0 });
  }
  if (level['status'] === 'rated') return organisation.commentSurvey(nowMs, conversation.id, random.pick(COMMENTS));
  return organisation.offerSurvey(nowMs, conversation.id, {
    formId: SURVEY_FORM_ID,
    channel: channelOf(conversation),
    sentBy: organisation.users.pick(random)?.id ?? null,
    sentByTeams: [],
  });
}

function changeCustomer(organisation: Organisation, nowMs: number, random: Random): readonly ModelEvent[] {
  const customer = organisation.customers.pick(random);
  if (customer === undefined) return [];
  const fields = random.chance(0.5)
    ? { lastActivityAt: isoTime(nowMs) }
    : {
        phones: [{ type: 'mobile', phone: `+1555${String(random.int(10_000_000)).padStart(7, '0')}`, verified: false }],
      };
  return organisation.edit(
    'customer',
    nowMs,
    customer.id,
    fields,
    random.chance(0.5) ? SYSTEM : agent(organisation, random),
  );
}

function changeMessage(organisation: Organisation, nowMs: number, random: Random): readonly ModelEvent[] {
  const message = organisation.messages.pick(random);
  if (message === undefined) return [];
  const failed = message.attributes['status'] === 'error';
  const fields = failed
    ? { status: 'sent', error: {} }
    : { status: 'error', error: { code: 'bounce', title: 'Mailbox full' } };
  return organisation.edit('message', nowMs, message.id, fields);
}

function changeStaff(organisation: Organisation, nowMs: number, random: Random): readonly ModelEvent[] {
  const actor = agent(organisation, random);
  const kind = random.pick(['user', 'team', 'tag'] as const);
  const stores = { user: organisation.users, team: organisation.teams, tag: organisation.tags };
  const fields = {
    user: { presence: random.pick(['online', 'offline', 'busy']) },
    team: { icon: random.pick(['team', 'star', 'globe']) },
    tag: { color: random.pick(['#4a90d9', '#d94a4a', '#4ad97a']) },
  };
  const resource = stores[kind].pick(random);
  return resource === undefined ? [] : organisation.edit(kind, nowMs, resource.id, fields[kind], actor);
}

function agent(organisation: Organisation, random: Random): Actor {
  return { userId: organisation.users.pick(random)?.id ?? null, client: random.chance(0.5) ? 'api-gw' : null };
}

function channelOf(conversation: Resource): string {
  return (conversation.attributes['channels'] as readonly string[])[0] ?? 'email';
}

function appOf(channel: string): string {
  return channel === 'email' ? 'postmark' : channel;
}

function subject(random: Random): string {
  return `${random.pick(SUBJECTS)} #${10_000 + random.int(90_000)}`;
}

function emailOf(name: string): Attributes {
  return { type: 'home', email: `${name.toLowerCase().replace(' ', '.')}@example.org`, verified: false };
}

const SURVEY_FORM_ID = '5e0c3d2f1a2b3c4d5e6f7a8b';
const CHANNELS = ['email', 'email', 'email', 'chat', 'sms', 'whatsapp'] as const;
const AGENTS = ['Ada', 'Grace', 'Edsger', 'Barbara', 'Leslie', 'Radia', 'Donald', 'Margaret'] as const;
const TEAMS = ['Orders', 'Returns', 'Billing'] as const;
const TAGS = ['vip', 'refund', 'late-delivery', 'damaged', 'exchange', 'wholesale'] as const;
const FIRST_NAMES = ['Noor', 'Mateo', 'Yuki', 'Amara', 'Lars', 'Zofia', 'Chidi', 'Ines'] as const;
const LAST_NAMES = ['Haddad', 'Rossi', 'Tanaka', 'Okafor', 'Berg', 'Nowak', 'Silva', 'Müller'] as const;
const SUBJECTS = ['Where is my order', 'Return of order', 'Wrong size in order', 'Invoice for order'] as const;
const QUESTIONS = [
  'Hello, my parcel has not arrived yet. Can you tell me where it is?',
  'The jacket is too small. How do I exchange it?',
  'Thank you, but the refund has still not reached my account.',
  'Could you change the delivery address, please? — Zoë',
] as const;
const ANSWERS = [
  'Hi, I have checked with the carrier: it will arrive tomorrow.',
  'Of course! Here is your return label.',
  'The refund was issued today and takes two to five days.',
] as const;
const COMMENTS = ['Quick and friendly.', 'Took three days to get an answer.', 'Solved, thanks 👍'] as const;
