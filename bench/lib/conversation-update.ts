/** The webhook body all benches send: an update of a conversation, about 1.67 kB, of the shape and size Kustomer sends. */
export interface UpdateFacts {
  readonly conversationId: string;
  readonly eventId: string;
  readonly org: string;
  readonly rev: number;
  /** RFC 3339. */
  readonly at: string;
  /** The status it moved from and to; from done to open if absent. */
  readonly status?: readonly [before: string, after: string];
  /** Ids of whatever else the conversation refers to. */
  readonly newId: () => string;
}

export function conversationUpdate(facts: UpdateFacts): string {
  const { conversationId: id, eventId, org, rev, at, newId } = facts;
  const [before, after] = facts.status ?? ['done', 'open'];
  const attributes = {
    name: `Where is my order #${1000 + rev}`,
    channels: ['email'],
    status: after,
    ...(after === 'done' ? { lastDone: { createdAt: at } } : { open: { statusAt: at } }),
    messageCount: rev,
    noteCount: 0,
    satisfaction: 0,
    satisfactionLevel: { channels: [], sentByTeams: [], answers: [] },
    createdAt: at,
    updatedAt: at,
    modifiedAt: at,
    lastActivityAt: at,
    spam: false,
    ended: false,
    tags: [newId(), newId()],
    suggestedTags: [],
    predictions: [],
    suggestedShortcuts: [],
    assignedUsers: [newId()],
    assignedTeams: [],
    rev,
    priority: 3,
    defaultLang: 'en_us',
    locale: 'US',
    reopenCount: 0,
    direction: 'in',
    outboundMessageCount: 1,
    snooze: null,
  };
  const customerId = newId();
  const relationships = {
    customer: { data: { type: 'customer', id: customerId }, links: { self: `/v1/customers/${customerId}` } },
    org: { data: { type: 'org', id: org } },
    modifiedBy: { data: { type: 'user', id: newId() } },
  };
  const changed = {
    status: { op: 'replace', before, after },
    rev: { op: 'replace', before: rev - 1, after: rev },
    updatedAt: { op: 'replace', before: at, after: at },
  };
  return JSON.stringify({
    id: eventId,
    name: 'kustomer.conversation.update',
    org,
    partition: org,
    orgName: 'acme',
    createdAt: at,
    persist: true,
    client: 'api-gw',
    dataId: id,
    data: { type: 'conversation', id, attributes, relationships, links: { self: `/v1/conversations/${id}` } },
    changes: { attributes: changed, relationships: {} },
  });
}
