/** Medians, ratios and tables. Pure. */

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Median with the spread, since a median alone hides a noisy machine: `12,345 [11,900 .. 12,800]`. */
export function spread(values: readonly number[], digits = 0): string {
  const shown = (value: number) => value.toLocaleString('en-US', { maximumFractionDigits: digits });
  if (values.length < 2) return shown(median(values));
  return `${shown(median(values))} [${shown(Math.min(...values))} .. ${shown(Math.max(...values))}]`;
}

/** Markdown, because that is where figures go. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
