/** Notes. They have no `rev` to callers, no search by external id but the search index's, and accept duplicates. */
import { z } from 'zod';
import { snapshotOf } from '../model/event.ts';
import { createNote, editNote } from '../model/notes.ts';
import { isDeleted } from '../model/organisation.ts';
import { markDeleted, relatedTo } from '../model/removals.ts';
import type { Resource } from '../model/resource.ts';
import type { Org } from '../org.ts';
import { conversationOf, writableConversation } from './conversations.ts';
import { externalId, objectId, time } from './fields.ts';
import { pageOf } from './paging.ts';
import {
  type ApiAnswer,
  type ApiRequest,
  badParameter,
  caller,
  chosenId,
  countCreate,
  liveIn,
  notFound,
  parseBody,
  type Route,
} from './route.ts';

const attachment = z.strictObject({
  _id: objectId,
  name: z.string(),
  contentType: z.string(),
  contentLength: z.number(),
  sourceId: objectId.optional(),
});

const fields = {
  externalId: externalId.optional(),
  userMentions: z
    .array(z.strictObject({ user: objectId.optional(), team: objectId.optional() }))
    .max(20)
    .optional(),
  attachments: z.array(attachment).optional(),
  lang: z.string().max(100).optional(),
  conversation: objectId.optional(),
};
const text = z.string().min(1).max(10_240);
const createBody = z.strictObject({ ...fields, id: objectId.optional(), body: text, importedAt: time.optional() });
const updateBody = z.strictObject({
  ...fields,
  body: text.optional(),
  deleted: z.boolean().optional(),
  updatedAt: time.optional(),
});

function show(org: Org, note: Resource, showsExternalId = org.behaviour.notesShowExternalId): unknown {
  const { externalId: given, rev: _rev, ...attributes } = note.attributes;
  const visible = showsExternalId && given !== undefined ? { ...attributes, externalId: given } : attributes;
  return { ...snapshotOf(note), attributes: visible };
}

function create(request: ApiRequest): ApiAnswer {
  const { org, params, nowMs } = request;
  const { id: givenId, conversation: named, attachments: _, ...seed } = parseBody(createBody, request.body);
  const into = params['id'] ?? named;
  if (into === undefined) throw badParameter('A conversation is needed', 'conversation');
  const conversation = writableConversation(org, into);
  const id = chosenId(request, org.organisation.notes, givenId);
  if (typeof id === 'object') return { status: 201, body: { data: show(org, id, true) } };
  countCreate(request, conversation.relationships['customer']?.data?.id as string, seed.importedAt);
  const made = createNote(org.organisation, nowMs, conversation.id, { ...seed, id }, caller(org));
  if (made === null) throw notFound();
  org.publish(org.behaviour.noteEmits ? made.events : [], nowMs);
  return { status: 201, body: { data: show(org, made.note, true) } };
}

function update({ org, params, body, nowMs }: ApiRequest): ApiAnswer {
  const note = liveIn(org.organisation.notes, params['id']);
  const { conversation: _c, updatedAt: _u, attachments: _a, deleted, ...edit } = parseBody(updateBody, body);
  const edited = editNote(org.organisation, nowMs, note.id, edit, caller(org)) as Resource;
  if (deleted === true) markDeleted(org.organisation, org.organisation.notes, nowMs, edited, caller(org));
  return { status: 200, body: { data: show(org, org.organisation.notes.get(note.id) as Resource) } };
}

/** Oldest first. */
function list(request: ApiRequest, notes: Iterable<Resource>): ApiAnswer {
  const live = [...notes].filter((note) => !isDeleted(note));
  return pageOf(request, live, (note) => show(request.org, note));
}

export const noteRoutes: readonly Route[] = [
  { method: 'POST', path: '/v1/conversations/:id/notes', handle: create },
  { method: 'POST', path: '/v1/notes', handle: create },
  {
    method: 'GET',
    path: '/v1/conversations/:id/notes',
    handle: (request) => {
      const { id } = conversationOf(request.org, request.params['id']);
      return list(request, relatedTo(request.org.organisation.notes, 'conversation', id));
    },
  },
  {
    method: 'GET',
    path: '/v1/customers/:id/notes',
    handle: (request) => {
      const { id } = liveIn(request.org.organisation.customers, request.params['id']);
      return list(request, relatedTo(request.org.organisation.notes, 'customer', id));
    },
  },
  { method: 'GET', path: '/v1/notes', handle: (request) => list(request, request.org.organisation.notes.values()) },
  {
    method: 'GET',
    path: '/v1/notes/:id',
    handle: ({ org, params }) => ({
      status: 200,
      body: { data: show(org, liveIn(org.organisation.notes, params['id'])) },
    }),
  },
  { method: 'PATCH', path: '/v1/notes/:id', handle: update },
  { method: 'PUT', path: '/v1/notes/:id', handle: update },
  {
    method: 'DELETE',
    path: '/v1/notes/:id',
    handle: ({ org, params, nowMs }) => {
      markDeleted(
        org.organisation,
        org.organisation.notes,
        nowMs,
        liveIn(org.organisation.notes, params['id']),
        caller(org),
      );
      return { status: 204 };
    },
  },
];
