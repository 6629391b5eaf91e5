/** Where a command's words go: results to stdout, everything else to stderr; as text for people, or as JSON. */
import { once } from 'node:events';
import type { CliContext, TerminalOutput } from '../context.ts';
import { type Paint, paintFor } from './style.ts';
import { type Cell, type Column, formatFields, formatTable } from './table.ts';

export interface Output {
  /** True where the result is one JSON document (or, of a tail, one a line). */
  readonly isJson: boolean;
  readonly paint: Paint;
  /** A line of the result. */
  line(text?: string): void;
  table(columns: readonly Column[], rows: readonly (readonly Cell[])[]): void;
  fields(fields: readonly (readonly [string, Cell])[]): void;
  /** The whole result: as JSON where that was asked for, else as `human` writes it. */
  result(value: unknown, human: () => void): void;
  /** One object of a tail, on a line of its own. */
  jsonLine(value: unknown): void;
  /** A line on stderr. */
  note(text: string): void;
  /** Resolves when stdout takes more: a tail into a slow pipe waits instead of filling the memory. */
  drained(): Promise<void>;
}

export function createOutput(context: CliContext, isJson: boolean): Output {
  const { stdout, stderr, env, redactor } = context;
  const paint = paintFor(stdout, env);
  const line = (text = ''): void => write(stdout, redactor.apply(text));
  return {
    isJson,
    paint,
    line,
    table: (columns, rows) => {
      const width = stdout.isTTY === true ? (stdout.columns ?? null) : null;
      for (const row of formatTable(columns, rows, { width, paint })) line(row);
    },
    fields: (fields) => {
      for (const row of formatFields(fields, paint)) line(row);
    },
    result: (value, human) => (isJson ? line(jsonText(value, 2)) : human()),
    jsonLine: (value) => line(jsonText(value)),
    note: (text) => write(stderr, redactor.apply(text)),
    drained: async () => {
      if (stdout.writableNeedDrain) await once(stdout, 'drain', { signal: context.signal }).catch(() => undefined);
    },
  };
}

function write(stream: TerminalOutput, text: string): void {
  stream.write(`${text}\n`);
}

/** The same document, in which nothing is left that a terminal would obey. */
export function jsonText(value: unknown, indent?: number): string {
  return (JSON.stringify(value, null, indent) ?? 'null').replaceAll(
    /[\u007f-\u009f\u00ad\p{Zl}\p{Zp}]|(?![\n])\p{Cf}/gu,
    (char) =>
      Array.from({ length: char.length }, (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  );
}
