/** A conversation update of about 1.67 kB, of the shape and size seen in the wild. */
export function webhookBody(conversationId: string, rev: number, org = '5a8f1c2e9b1d4e0012ab34cd'): string {
  const now = new Date().toISOString();
  const hex = () => Math.random().toString(16).slice(2, 14).padEnd(12, '0').repeat(2);
  return JSON.stringify({
    id: hex(),
    name: 'kustomer.conversation.update',
    org,
    partition: org,
    orgName: 'acme',
    createdAt: now,
    persist: true,
    client: 'api-gw',
    dataId: conversationId,
    data: {
      type: 'conversation',
      id: conversationId,
      attributes: {
        name: `Where is my order #${1000 + rev}`,
        channels: ['email'],
        status: 'open',
        open: { statusAt: now },
        messageCount: rev,
        noteCount: 0,
        satisfaction: 0,
        satisfactionLevel: { channels: [], sentByTeams: [], answers: [] },
        createdAt: now,
        updatedAt: now,
        modifiedAt: now,
        lastActivityAt: now,
        spam: false,
        ended: false,
        tags: [hex(), hex()],
        suggestedTags: [],
        predictions: [],
        suggestedShortcuts: [],
        assignedUsers: [hex()],
        assignedTeams: [],
        rev,
        priority: 3,
        defaultLang: 'en_us',
        locale: 'US',
        reopenCount: 0,
        direction: 'in',
        outboundMessageCount: 1,
        snooze: null,
      },
      relationships: {
        customer: { data: { type: 'customer', id: hex() }, links: { self: `/v1/customers/${hex()}` } },
        org: { data: { type: 'org', id: org } },
        modifiedBy: { data: { type: 'user', id: hex() } },
      },
      links: { self: `/v1/conversations/${conversationId}` },
    },
    changes: {
      attributes: {
        status: { op: 'replace', before: 'done', after: 'open' },
        rev: { op: 'replace', before: rev - 1, after: rev },
        updatedAt: { op: 'replace', before: now, after: now },
      },
      relationships: {},
    },
  });
}
