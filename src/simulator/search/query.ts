/** A search as it is asked: what is valid, and which objects it means. Anything unknown is refused, as the vendor does. */
import { z } from 'zod';
import { badParameter, parseBody } from '../api/route.ts';
import type { Resource } from '../model/resource.ts';
import { contextOf, type FieldKind, fieldOf, type SearchField } from './fields.ts';

export interface SortKey {
  readonly name: string;
  readonly field: SearchField;
  readonly descending: boolean;
}

export type Matches = (resource: Resource) => boolean;

export interface Query {
  readonly queryContext: string;
  readonly includeDeleted: boolean;
  /** Bounds on the time of the last update that every match keeps; they make the scan short. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Null when the bounds say it all. */
  readonly matches: Matches | null;
  readonly sort: readonly SortKey[];
}

export interface QueryRules {
  readonly archive: boolean;
  /** Whether other than customer's attributes can be sorted by: the vendor's page says no, connectors do it. */
  readonly sortByAny: boolean;
}

const CONTEXT_PATTERN =
  /^(company|customer|message|conversation|conversation_time|note|kobject|kobject_.*|work_session|work_item)$/;
const ARCHIVE_PATTERN = /^(message|conversation|customer|kobject|kobject_.*|company)$/;

const object = z.record(z.string(), z.unknown());
const criteria = z.union([object, z.array(object).max(20)]).optional();

const body = (context: RegExp, more: z.core.$ZodLooseShape) =>
  z.strictObject({
    queryContext: z.string().regex(context).default('customer'),
    includeDeleted: z.boolean().default(false),
    timeZone: z.enum(['GMT', 'UTC']).default('GMT'),
    and: criteria,
    or: criteria,
    not: criteria,
    sort: z.union([object, z.array(object).max(5)]).optional(),
    aggs: object.optional(),
    fields: z.array(object).max(20).optional(),
    ...more,
  });

const standardBody = body(CONTEXT_PATTERN, { searchHash: z.string().optional() });
const archiveBody = body(ARCHIVE_PATTERN, {});

export function parseQuery(asked: unknown, rules: QueryRules): Query {
  const parsed = parseBody(rules.archive ? archiveBody : standardBody, asked);
  const { queryContext } = parsed;
  if (contextOf(queryContext) === null) {
    throw badParameter(`The simulator has no objects of ${queryContext}`, 'queryContext');
  }
  const group = (name: 'and' | 'or' | 'not') =>
    list(parsed[name], name).flatMap((one) => termsOf(one, queryContext, rules));
  const and = group('and');
  const or = group('or');
  const not = group('not');
  const bounds = and.filter((term) => term.bound !== null);
  const others = and.filter((term) => term.bound === null);
  const matches: Matches = (resource) =>
    others.every((term) => term.matches(resource)) &&
    (or.length === 0 || or.some((term) => term.matches(resource))) &&
    !not.some((term) => term.matches(resource));
  return {
    queryContext,
    includeDeleted: parsed.includeDeleted,
    fromMs: Math.max(Number.NEGATIVE_INFINITY, ...bounds.map((term) => term.bound?.fromMs ?? Number.NEGATIVE_INFINITY)),
    toMs: Math.min(Number.POSITIVE_INFINITY, ...bounds.map((term) => term.bound?.toMs ?? Number.POSITIVE_INFINITY)),
    matches: others.length + or.length + not.length === 0 ? null : matches,
    sort: list(parsed.sort, 'sort').flatMap((one) => sortKeys(one, queryContext, rules)),
  };
}

interface Term {
  readonly matches: Matches;
  /** In whole milliseconds, both ends included. */
  readonly bound: { readonly fromMs: number; readonly toMs: number } | null;
}

type Criterion = Readonly<Record<string, unknown>>;

/** One object, or several that must differ. */
function list(given: Criterion | readonly Criterion[] | undefined, parameter: string): readonly Criterion[] {
  if (given === undefined) return [];
  if (!Array.isArray(given)) return [given as Criterion];
  const items = given as readonly Criterion[];
  if (new Set(items.map((item) => JSON.stringify(item))).size < items.length) {
    throw badParameter('Items must be unique', parameter);
  }
  return items;
}

function termsOf(criterion: Criterion, queryContext: string, rules: QueryRules): readonly Term[] {
  return Object.entries(criterion).flatMap(([name, condition]) => {
    const field = fieldOf(queryContext, name, rules.archive);
    if (field === undefined) throw badParameter('Additional properties not allowed', name);
    if (typeof condition !== 'object' || condition === null || Array.isArray(condition)) {
      throw badParameter('An operator is needed', name);
    }
    return Object.entries(condition).map(([operator, value]) => termOf(name, field, operator, value));
  });
}

const COMPARISONS = ['gte', 'lte', 'gt', 'lt'];
const PRESENCE = ['is_set', 'not_set'];

const OPERATORS: Readonly<Record<FieldKind, readonly string[]>> = {
  datetime: ['equals', ...COMPARISONS, ...PRESENCE],
  number: ['equals', 'not_equals', 'in', ...COMPARISONS, ...PRESENCE],
  boolean: ['equals', ...PRESENCE],
  list: ['equals', 'not_equals', 'in', 'not_in', 'contains', 'not_contains', ...PRESENCE],
  exact: ['equals', 'not_equals', 'in', 'not_in', ...PRESENCE],
  text: ['equals', 'not_equals', 'in', 'contains', 'not_contains', ...PRESENCE],
};

function termOf(name: string, field: SearchField, operator: string, asked: unknown): Term {
  if (!OPERATORS[field.kind].includes(operator)) {
    throw badParameter('Additional properties not allowed', `${name}.${operator}`);
  }
  const operands = (Array.isArray(asked) ? asked : [asked]).map((item) => operandOf(field.kind, item, name, operator));
  if (Array.isArray(asked) !== (operator === 'in' || operator === 'not_in')) {
    throw badParameter(
      operator === 'in' || operator === 'not_in' ? 'must be an array' : 'must be a single value',
      name,
    );
  }
  const values = (resource: Resource): readonly (string | number | boolean)[] => valuesOf(field, resource);
  const test = testOf(operator, operands);
  return {
    matches: (resource) => test(values(resource)),
    bound: name.endsWith('_updated_at') ? boundOf(operator, operands[0] as number) : null,
  };
}

function boundOf(operator: string, ms: number): Term['bound'] {
  const all = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
  if (operator === 'gte') return { ...all, fromMs: ms };
  if (operator === 'gt') return { ...all, fromMs: ms + 1 };
  if (operator === 'lte') return { ...all, toMs: ms };
  if (operator === 'lt') return { ...all, toMs: ms - 1 };
  return operator === 'equals' ? { fromMs: ms, toMs: ms } : null;
}

type Value = string | number | boolean;

function testOf(operator: string, operands: readonly Value[]): (values: readonly Value[]) => boolean {
  const [operand] = operands as readonly [Value];
  const any = (test: (value: Value) => boolean) => (values: readonly Value[]) => values.some(test);
  const has = (value: Value): boolean => String(value).toLowerCase().includes(String(operand).toLowerCase());
  switch (operator) {
    case 'equals':
      return any((value) => value === operand);
    case 'not_equals':
      return (values) => !values.includes(operand);
    case 'in':
      return any((value) => operands.includes(value));
    case 'not_in':
      return (values) => !values.some((value) => operands.includes(value));
    case 'contains':
      return any(has);
    case 'not_contains':
      return (values) => !values.some(has);
    case 'gte':
      return any((value) => value >= operand);
    case 'lte':
      return any((value) => value <= operand);
    case 'gt':
      return any((value) => value > operand);
    case 'lt':
      return any((value) => value < operand);
    case 'is_set':
      return (values) => values.length > 0;
    default:
      return (values) => values.length === 0;
  }
}

/** What is compared: times in milliseconds, texts in lower case, nothing where nothing is set. */
export function valuesOf(field: SearchField, resource: Resource): readonly Value[] {
  const value = field.read(resource);
  const items = Array.isArray(value) ? value : [value];
  return items.flatMap((item): Value[] => {
    if (item === undefined || item === null || item === '') return [];
    if (field.kind === 'datetime') return [Date.parse(item as string)];
    return [field.kind === 'text' ? String(item).toLowerCase() : (item as Value)];
  });
}

const DATE = /^\d{4}-\d{2}-\d{2}$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,3})?Z$/;

function operandOf(kind: FieldKind, asked: unknown, name: string, operator: string): Value {
  if (PRESENCE.includes(operator)) return true;
  if (kind === 'datetime') {
    const ms = typeof asked === 'string' && (DATE.test(asked) || INSTANT.test(asked)) ? Date.parse(asked) : Number.NaN;
    if (Number.isNaN(ms)) throw badParameter('must be a date or a UTC time', name);
    return ms;
  }
  const wanted = kind === 'number' ? 'number' : kind === 'boolean' ? 'boolean' : 'string';
  if (typeof asked !== wanted) throw badParameter(`must be a ${wanted}`, name);
  return kind === 'text' ? String(asked).toLowerCase() : (asked as Value);
}

function sortKeys(given: Criterion, queryContext: string, rules: QueryRules): readonly SortKey[] {
  return Object.entries(given).map(([name, order]) => {
    const field = fieldOf(queryContext, name, rules.archive);
    const allowed = rules.sortByAny || rules.archive || name.startsWith('customer_');
    if (field === undefined || !allowed) throw badParameter('Additional properties not allowed', `sort.${name}`);
    if (order !== 'asc' && order !== 'desc') throw badParameter('must be asc or desc', `sort.${name}`);
    return { name, field, descending: order === 'desc' };
  });
}
