/** What happens in the demo's Kustomer, one thing after the other: each a change that the connector has to find out about. */
import type { ModelEvent } from '../../simulator/model/event.ts';
import { createKobject } from '../../simulator/model/kobjects.ts';
import type { Organisation } from '../../simulator/model/organisation.ts';
import type { SlaPolicy } from '../../simulator/model/sla.ts';
import type { Org } from '../../simulator/org.ts';

/** An answer is due this soon, so that nobody has to wait for it to be late. */
export const DEMO_SLA: SlaPolicy = {
  id: '51a000000000000000000001',
  name: 'Answer within three seconds',
  version: 1,
  targetsMs: { firstResponse: 3000 },
};

const SURVEY_FORM_ID = '5e0c3d2f1a2b3c4d5e6f7a8b';

/** Ids of what everything is about. */
export interface Case {
  readonly customerId: string;
  readonly conversationId: string;
}

type Perform = (change: (organisation: Organisation, nowMs: number) => readonly ModelEvent[]) => readonly ModelEvent[];

/** Somebody with two orders writes, and waits for an answer. */
export function customerWrites(perform: Perform): Case {
  const [customer] = perform((organisation, nowMs) =>
    organisation.createCustomer(nowMs, { name: 'Noor Haddad', emails: [email('noor.haddad')] }),
  );
  const customerId = (customer as ModelEvent).id;
  for (const number of ['10001', '10002']) {
    const attributes = { custom: { orderNumberStr: number, totalNum: 4250, statusStr: 'shipped' } };
    const order = { title: `Order ${number}`, externalId: number, customerId, attributes };
    perform((organisation, nowMs) => createKobject(organisation, nowMs, 'order', order).events);
  }
  const conversation = perform((organisation, nowMs) =>
    organisation.createConversation(nowMs, { customerId, name: 'Where is order 10002', channel: 'email' }),
  ).find(({ type }) => type === 'conversation') as ModelEvent;
  perform((organisation, nowMs) => organisation.createMessage(nowMs, conversation.id, inbound('It has not arrived.')));
  return { customerId, conversationId: conversation.id };
}

export function isLate(org: Org, { conversationId }: Case): boolean {
  const sla = org.organisation.conversations.get(conversationId)?.attributes['sla'] as
    | { breached?: boolean }
    | undefined;
  return sla?.breached === true;
}

/** An answer, the end, a survey and what the customer says to it. */
export function agentAnswers(perform: Perform, { conversationId }: Case): void {
  const answer = { direction: 'out', channel: 'email', app: 'postmark', preview: 'It arrives tomorrow.' } as const;
  const offer = { formId: SURVEY_FORM_ID, channel: 'email', sentBy: null, sentByTeams: [] };
  perform((organisation, nowMs) => organisation.createMessage(nowMs, conversationId, answer));
  perform((organisation, nowMs) => organisation.editConversation(nowMs, conversationId, { status: 'done' }));
  perform((organisation, nowMs) => organisation.offerSurvey(nowMs, conversationId, offer));
  perform((organisation, nowMs) => organisation.rateSurvey(nowMs, conversationId, { rating: 9, score: 1 }));
}

/** Writes again, which opens the conversation again. */
export function customerThanks(perform: Perform, { conversationId }: Case): void {
  perform((organisation, nowMs) =>
    organisation.createMessage(nowMs, conversationId, inbound('It is here, thank you!')),
  );
}

function inbound(preview: string) {
  return { direction: 'in', channel: 'email', app: 'postmark', preview } as const;
}

function email(name: string) {
  return { type: 'home', email: `${name}@example.org`, verified: false };
}
