/** From Kustomer's answers to what an action sees. Pure. */
import { type Page, readDocument, readPage } from '../../kustomer/client/documents.ts';
import { type Failure, failure, type Outcome } from '../../kustomer/client/outcome.ts';
import { isObject } from '../../kustomer/json.ts';
import type { Sight, VendorRead } from './action.ts';

/** Pages of one list that are read at most: what is longer counts as not read whole. */
export const MAX_PAGES = 50;

export type Seen =
  | { readonly kind: 'sight'; readonly sight: Sight }
  /** Of a list; what was read so far goes back in. */
  | { readonly kind: 'next_page'; readonly link: string; readonly pages: readonly Page[] }
  | { readonly kind: 'failure'; readonly failure: Failure };

/** The answer to a read, or to one more page of it. */
export function see(read: VendorRead, outcome: Outcome<unknown>, before: readonly Page[] = []): Seen {
  if (outcome.kind !== 'ok') {
    const isAbsent = read.mayBeAbsent && outcome.kind === 'refuse' && outcome.status === 404;
    return isAbsent ? { kind: 'sight', sight: { kind: 'absent' } } : { kind: 'failure', failure: outcome };
  }
  const seen = read.shape === 'one' ? seeOne(outcome.body) : seeAll(outcome.body, before);
  if (seen !== undefined) return seen;
  const { operation } = read.request;
  const message = `${operation}: Kustomer's answer has not the form expected`;
  return { kind: 'failure', failure: failure('retry', { operation, message, status: outcome.status }) };
}

/** Where several could match Kustomer may answer with a list: an empty one is none. */
function seeOne(body: unknown): Seen | undefined {
  const resource = readDocument(body);
  if (resource !== undefined) return { kind: 'sight', sight: { kind: 'one', resource } };
  const data = isObject(body) ? body['data'] : undefined;
  if (!Array.isArray(data)) return undefined;
  if (data.length === 0) return { kind: 'sight', sight: { kind: 'absent' } };
  if (data.length > 1) return { kind: 'sight', sight: { kind: 'several', count: data.length } };
  const [only] = readPage(body)?.items ?? [];
  return only === undefined ? undefined : { kind: 'sight', sight: { kind: 'one', resource: only } };
}

function seeAll(body: unknown, before: readonly Page[]): Seen | undefined {
  const page = readPage(body);
  if (page === undefined) return undefined;
  const pages = [...before, page];
  if (page.next !== null && pages.length < MAX_PAGES) return { kind: 'next_page', link: page.next, pages };
  const items = pages.flatMap((one) => one.items);
  const whole = page.next === null && pages.every(({ unreadable }) => unreadable === 0);
  return { kind: 'sight', sight: { kind: 'all', items, whole } };
}

/** What the answer to a write teaches the next plan; undefined when it is not an object. */
export function sightOfAnswer(body: unknown): Sight | undefined {
  const resource = readDocument(body);
  return resource === undefined ? undefined : { kind: 'one', resource };
}

/** Kustomer's id of what was written; null where its answer does not tell. */
export function vendorIdOf(body: unknown): string | null {
  return readDocument(body)?.id ?? null;
}
