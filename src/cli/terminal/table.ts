/** A table as lines: columns line up, and on a terminal the widest ones give way until it fits. Pure. */
import { printable } from '../../base/printable.ts';
import type { Paint, Style } from './style.ts';
import { displayWidth, pad, truncate } from './width.ts';

export interface Column {
  readonly title: string;
  /** Ids and numbers never give way: half an id is of no use. */
  readonly shrinks?: boolean;
}

export type Cell = string | { readonly text: string; readonly style: Style };

const GAP = '  ';
const NARROWEST = 8;

export interface TableOptions {
  /** Columns of the terminal; null = no terminal, nothing is cut. */
  readonly width: number | null;
  readonly paint: Paint;
}

export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  { width, paint }: TableOptions,
): readonly string[] {
  const cells = rows.map((row) => columns.map((_, index) => cleaned(row[index])));
  const natural = columns.map(({ title }, index) =>
    Math.max(displayWidth(title), ...cells.map((row) => displayWidth((row[index] as Plain).text))),
  );
  const widths = width === null ? natural : fitted(natural, columns, width);
  const line = (row: readonly Plain[]): string =>
    row
      .map(({ text, style }, index) => {
        const to = widths[index] as number;
        const cut = truncate(text, to);
        const last = index === row.length - 1;
        return paint(style, cut) + (last ? '' : pad(cut, to).slice(cut.length));
      })
      .join(GAP)
      .trimEnd();
  return [line(columns.map(({ title }) => ({ text: title, style: 'heading' }))), ...cells.map(line)];
}

interface Plain {
  readonly text: string;
  readonly style: Style;
}

function cleaned(cell: Cell | undefined): Plain {
  if (cell === undefined) return { text: '', style: 'plain' };
  const { text, style } = typeof cell === 'string' ? { text: cell, style: 'plain' as const } : cell;
  return { text: printable(text.replaceAll(/\s+/g, ' ')), style };
}

/** Takes from the widest that may shrink, one by one, so that narrow columns stay whole as long as any is wide. */
function fitted(natural: readonly number[], columns: readonly Column[], width: number): readonly number[] {
  const widths = [...natural];
  let excess = widths.reduce((sum, one) => sum + one, 0) + GAP.length * (widths.length - 1) - width;
  while (excess > 0) {
    let widest = -1;
    for (const [index, column] of columns.entries()) {
      const least = Math.max(NARROWEST, displayWidth(column.title));
      if (column.shrinks !== true || (widths[index] as number) <= least) continue;
      if (widest === -1 || (widths[index] as number) > (widths[widest] as number)) widest = index;
    }
    if (widest === -1) break;
    widths[widest] = (widths[widest] as number) - 1;
    excess--;
  }
  return widths;
}

/** Names and values in two columns; what is long is not cut: this is where somebody looks closely. */
export function formatFields(fields: readonly (readonly [string, Cell])[], paint: Paint): readonly string[] {
  const widest = Math.max(0, ...fields.map(([name]) => displayWidth(name)));
  return fields.map(([name, cell]) => {
    const { text, style } = cleaned(cell);
    return `${paint('faint', pad(name, widest))}${GAP}${paint(style, text)}`.trimEnd();
  });
}
