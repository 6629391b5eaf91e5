/** Asks Kustomer for one page of a walk. */
import type { KustomerClient } from '../../kustomer/client/client.ts';
import type { Resource } from '../../kustomer/client/documents.ts';
import { search } from '../../kustomer/client/operations.ts';
import type { Failure } from '../../kustomer/client/outcome.ts';
import { queryOf } from './query.ts';
import { rowOf, type StreamSpec } from './streams.ts';
import type { Answer, Walk } from './walk.ts';

export interface PageAsk {
  readonly client: KustomerClient;
  readonly spec: StreamSpec;
  readonly walk: Walk;
  readonly pageSize: number;
  readonly lane: 'poll' | 'backfill';
  readonly archive?: boolean;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}

export interface PageAnswered {
  readonly answer: Answer<Resource>;
  /** By our clock. */
  readonly observedAtMs: number;
  /** By the server's `Date`; ours without one. */
  readonly serverMs: number;
}

export async function readPage(ask: PageAsk): Promise<PageAnswered | { readonly failure: Failure }> {
  const { client, spec, walk, lane, archive = false, signal, nowMs } = ask;
  const query = queryOf(spec, walk, ask.pageSize);
  const outcome = await search(client, { ...query, lane, archive, signal });
  const observedAtMs = nowMs();
  if (outcome.kind !== 'ok') return { failure: outcome };
  const { items, unreadable, next, pageSize, total } = outcome.body;
  // A page as long as pages are may have another behind it, whatever the links say.
  const isFull = items.length + unreadable >= Math.min(query.pageSize, pageSize ?? query.pageSize);
  const answer = {
    rows: items.map((item) => rowOf(spec, item)),
    unreadable,
    more: next !== null || isFull,
    total,
  };
  return { answer, observedAtMs, serverMs: serverMs(outcome.headers['date']) ?? observedAtMs };
}

function serverMs(date: string | readonly string[] | undefined): number | null {
  const ms = typeof date === 'string' ? Date.parse(date) : Number.NaN;
  return Number.isFinite(ms) ? ms : null;
}
