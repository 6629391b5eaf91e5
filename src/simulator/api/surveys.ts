/** Survey answers by id, the survey they answer, and the SLA definition. Answers have no list. */
import type { Attributes } from '../model/resource.ts';
import { pageOf } from './paging.ts';
import { notFound, type Route } from './route.ts';

export const surveyRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/satisfaction',
    handle: (request) => {
      const { org } = request;
      const forms = new Set([...org.organisation.surveys.values()].map(({ level }) => level['form'] as string));
      return pageOf(request, [...forms], (id) => ({
        type: 'satisfaction',
        id,
        attributes: { name: 'CSAT', formType: 'csat', enabled: true, scale: { options: 11, type: 'number' } },
        links: { self: `/v1/satisfaction/${id}` },
      }));
    },
  },
  {
    method: 'GET',
    path: '/v1/satisfaction-responses/:id',
    handle: ({ org, params }) => {
      const id = params['id'] as string;
      const survey = org.organisation.surveys.get(id);
      if (survey === undefined) throw notFound();
      return { status: 200, body: { data: response(id, survey.level, survey.conversationId) } };
    },
  },
  {
    method: 'GET',
    path: '/v1/slas/:id',
    handle: ({ org, params }) => {
      const { sla } = org.organisation;
      if (sla === undefined || sla.id !== params['id']) throw notFound();
      const { id, name, version, targetsMs } = sla;
      const attributes = { name, enabled: true, versions: [{ version, metrics: targetsMs }] };
      return { status: 200, body: { data: { type: 'sla', id, attributes, links: { self: `/v1/slas/${id}` } } } };
    },
  },
];

function response(id: string, level: Attributes, conversationId: string): unknown {
  const answered = level['status'] === 'rated' || level['status'] === 'commented';
  return {
    type: 'satisfaction_response',
    id,
    attributes: {
      status: level['status'],
      answers: level['answers'],
      sentAt: level['sentAt'],
      createdAt: level['createdAt'],
      updatedAt: level['updatedAt'],
      ...(answered ? { rating: level['rating'], score: level['score'], submittedAt: level['firstAnswer'] } : {}),
      ...(level['status'] === 'commented' ? { completedAt: level['updatedAt'] } : {}),
    },
    relationships: {
      form: { data: { type: 'satisfaction', id: level['form'] } },
      conversation: { data: { type: 'conversation', id: conversationId } },
    },
    links: { self: `/v1/satisfaction-responses/${id}` },
  };
}
