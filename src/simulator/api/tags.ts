/** Tags of one conversation: added and removed one by one, while an update of the conversation replaces them all. */
import { z } from 'zod';
import type { Resource } from '../model/resource.ts';
import type { Org } from '../org.ts';
import { conversationOf, writableConversation } from './conversations.ts';
import { documentOf } from './paging.ts';
import { type ApiAnswer, type ApiRequest, caller, parseBody, type Route } from './route.ts';

/** Names or ids. */
const body = z.array(z.string().min(1).max(64)).min(1).max(20);

function change(
  request: ApiRequest,
  next: (now: readonly string[], given: readonly string[]) => readonly string[],
): ApiAnswer {
  const { org, params, nowMs } = request;
  const conversation = writableConversation(org, params['id']);
  const given = parseBody(body, request.body);
  const tags = next(
    conversation.attributes['tags'] as readonly string[],
    given.map((tag) => idOf(org, tag, request.nowMs)),
  );
  org.publish(org.organisation.editConversation(nowMs, conversation.id, { tags }, caller(org)), nowMs);
  return documentOf(conversationOf(org, conversation.id));
}

/** Tags nobody has heard of are made. */
function idOf(org: Org, tag: string, nowMs: number): string {
  const { tags } = org.organisation;
  if (tags.get(tag) !== undefined) return tag;
  const named = [...tags.values()].find(({ attributes }) => attributes['name'] === tag);
  if (named !== undefined) return named.id;
  const events = org.organisation.createTag(nowMs, tag, caller(org));
  org.publish(events, nowMs);
  return (tags.get(events[0]?.id ?? '') as Resource).id;
}

export const tagRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/v1/conversations/:id/tags',
    handle: (request) => change(request, (now, given) => [...new Set([...now, ...given])]),
  },
  {
    method: 'DELETE',
    path: '/v1/conversations/:id/tags',
    handle: (request) => change(request, (now, given) => now.filter((tag) => !given.includes(tag))),
  },
];
