/** The search a walk needs next. Pure. */
import type { Filter, StreamSpec } from './streams.ts';
import type { Walk } from './walk.ts';

export interface PageQuery {
  readonly body: {
    readonly queryContext: string;
    readonly and: readonly Filter[];
    readonly sort: readonly Readonly<Record<string, 'asc' | 'desc'>>[];
    readonly includeDeleted: true;
  };
  readonly page: number;
  readonly pageSize: number;
}

/** Each bound is a criterion of its own: two operators on one field are documented nowhere. */
export function queryOf(spec: StreamSpec, { fromMs, toMs, place }: Walk, pageSize: number): PageQuery {
  const { queryContext, timeField, createdField, filters } = spec;
  const bound = (field: string, operator: 'gte' | 'lte', ms: number): Filter => ({
    [field]: { [operator]: new Date(ms).toISOString() },
  });
  const exactly = (field: string, ms: number) => [bound(field, 'gte', ms), bound(field, 'lte', ms)];
  const ask = (and: readonly Filter[], sort: Readonly<Record<string, 'asc' | 'desc'>>, page = 1, size = pageSize) => ({
    body: { queryContext, and: [...filters, ...and], sort: [sort], includeDeleted: true as const },
    page,
    pageSize: size,
  });
  if (place.kind === 'head') return ask([bound(timeField, 'gte', fromMs)], { [timeField]: 'desc' }, 1, 1);
  if (place.kind === 'range') {
    const upper = toMs === null ? [] : [bound(timeField, 'lte', toMs)];
    return ask([bound(timeField, 'gte', place.fromMs), ...upper], { [timeField]: 'asc' }, place.page);
  }
  const tie = exactly(timeField, place.atMs);
  if (place.kind === 'tie') {
    const created = place.createdFromMs === null ? [] : [bound(createdField, 'gte', place.createdFromMs)];
    return ask([...tie, ...created], { [createdField]: 'asc' });
  }
  const created = place.createdMs === null ? [] : exactly(createdField, place.createdMs);
  return ask([...tie, ...created], { [timeField]: 'asc' }, place.page);
}
