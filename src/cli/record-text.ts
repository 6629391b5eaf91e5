/** Any JSON document for people: names and values, lists of objects as tables, the rest indented. Pure but for where it is written. */
import type { Output } from './terminal/output.ts';
import { showTime } from './times.ts';

type Document = Readonly<Record<string, unknown>>;

/** What stands in every document and says nothing to a person. */
const PLUMBING: ReadonlySet<string> = new Set(['object']);
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z$/;
const MAX_ROWS = 50;
const MAX_COLUMNS = 6;

export function showDocument(out: Output, document: Document): void {
  const entries = Object.entries(document).filter(([name]) => !PLUMBING.has(name));
  const plain = entries.filter(([, value]) => !isNested(value));
  out.fields(plain.map(([name, value]) => [name.replaceAll('_', ' '), text(value)] as const));
  for (const [name, value] of entries) {
    if (!isNested(value)) continue;
    out.line();
    out.line(out.paint('heading', name.replaceAll('_', ' ')));
    if (Array.isArray(value)) showList(out, value);
    else out.fields(Object.entries(value as Document).map(([key, inner]) => [`  ${key}`, text(inner)] as const));
  }
}

function isNested(value: unknown): boolean {
  return Array.isArray(value) ? value.some((one) => typeof one === 'object' && one !== null) : isDocument(value);
}

function isDocument(value: unknown): value is Document {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function showList(out: Output, list: readonly unknown[]): void {
  const rows = list.filter(isDocument);
  const names = columnsOf(rows);
  out.table(
    names.map((name) => ({ title: name.replaceAll('_', ' ').toUpperCase(), shrinks: !/(?:^|_)id$|_at$/.test(name) })),
    rows.slice(0, MAX_ROWS).map((row) => names.map((name) => text(row[name]))),
  );
  if (rows.length > MAX_ROWS) out.line(`… and ${rows.length - MAX_ROWS} more: --json has them all`);
}

/** Those that say something in any row, scalars before what is nested, as many as a line can hold. */
function columnsOf(rows: readonly Document[]): readonly string[] {
  const names = new Set<string>();
  for (const row of rows) {
    for (const [name, value] of Object.entries(row)) {
      if (!PLUMBING.has(name) && value !== null && !isNested(value)) names.add(name);
    }
  }
  return [...names].slice(0, MAX_COLUMNS);
}

function text(value: unknown): string {
  if (value === null || value === undefined) return '-';
  if (typeof value === 'string') return INSTANT.test(value) ? showTime(value) : value;
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
    ? value.join(', ') || '-'
    : JSON.stringify(value);
}
