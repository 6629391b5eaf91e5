/** What a write request is about, and what one that was applied did: read from its address, its body and its answer. */
import type { ApiAnswer, Route } from '../api/route.ts';
import type { Resource } from '../model/resource.ts';
import type { Org } from '../org.ts';
import type { AppliedWrite, WriteSubject } from './write-log.ts';

/** Null for what writes nothing. */
export function writeSubject(
  org: Org,
  route: Route,
  params: Readonly<Record<string, string>>,
  body: unknown,
): WriteSubject | null {
  if (route.method === 'GET' || route.isSearch === true) return null;
  return { lane: laneOf(org, route.path, params['id'], body), operation: `${route.method} ${route.path}` };
}

function laneOf(org: Org, path: string, id: string | undefined, body: unknown): string | null {
  const { notes, messages } = org.organisation;
  if (path.startsWith('/v1/conversations/:id')) return id ?? null;
  const isMessage = path.endsWith('/messages') || path.startsWith('/v1/messages');
  const named = isMessage ? externalIdOf(messages.get(id ?? ''), body) : null;
  if (named !== null) return `message:${named}`;
  if (path === '/v1/notes/:id') return conversationOf(notes.get(id ?? ''));
  if (path === '/v1/messages/:id') return conversationOf(messages.get(id ?? ''));
  if (path !== '/v1/notes' && path !== '/v1/messages') return null;
  const { conversation, customer } = Object(body) as { conversation?: unknown; customer?: unknown };
  if (typeof conversation === 'string') return conversation;
  return typeof customer === 'string' ? `customer:${customer}` : null;
}

/** A message that nobody placed in a conversation is one thing, whether or not it is there yet. */
function externalIdOf(message: Resource | undefined, body: unknown): string | null {
  return text(message?.attributes['externalId']) ?? text((Object(body) as { externalId?: unknown }).externalId);
}

interface Answered {
  readonly type?: unknown;
  readonly id?: unknown;
  readonly attributes?: { readonly externalId?: unknown; readonly rev?: unknown };
  readonly relationships?: { readonly conversation?: { readonly data?: { readonly id?: unknown } } };
}

/** What it did, by what it answered, or would have answered. */
export function appliedWrite(
  answer: ApiAnswer,
  body: unknown,
): Pick<AppliedWrite, 'objectType' | 'objectId' | 'conversationId' | 'externalId' | 'rev' | 'body'> {
  const data = ((answer.body ?? {}) as { data?: Answered }).data ?? {};
  const objectType = text(data.type);
  const objectId = text(data.id);
  const rev = data.attributes?.rev;
  return {
    objectType,
    objectId,
    conversationId: objectType === 'conversation' ? objectId : conversationOf(data),
    externalId: text((Object(body) as { externalId?: unknown }).externalId) ?? text(data.attributes?.externalId),
    rev: typeof rev === 'number' ? rev : null,
    body,
  };
}

function conversationOf(resource: Pick<Answered, 'relationships'> | undefined): string | null {
  return text(resource?.relationships?.conversation?.data?.id);
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
