/**
 * The manifest of a flood: JSON Lines, a header, one line per request sent, a footer. Read as a stream, so that a
 * manifest of any length is read in constant memory, while it is still being written if need be. A flood that was
 * killed leaves no footer and perhaps half a line; both are reported, neither is an error.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { z } from 'zod';
import { CodedError } from '../../base/errors.ts';
import type { Clock } from '../../kafka/port.ts';

const target = z.object({ tenantId: z.string(), connectionId: z.string() });

const expectation = z.object({ event_type: z.string(), fields: z.record(z.string(), z.unknown()).default({}) });

const header = z.object({
  kind: z.literal('header'),
  version: z.literal(1),
  startedAtMs: z.number(),
  targets: z.array(target).min(1),
});

const send = z.object({
  kind: z.literal('send'),
  tenant: z.string(),
  connection: z.string(),
  resource_type: z.string(),
  resource_id: z.string(),
  rev: z.int(),
  /** Null while or because nothing came back. */
  answeredAtMs: z.number().nullish(),
  /** HTTP status of the last attempt; null or 0 when there was no answer. */
  status: z.int().nullish(),
  expect: z.array(expectation),
});

const footer = z.object({ kind: z.literal('footer') });

const line = z.discriminatedUnion('kind', [header, send, footer]);

export type ManifestHeader = z.infer<typeof header>;
export type ManifestSend = z.infer<typeof send>;
export type Expectation = z.infer<typeof expectation>;
export type ManifestLine = z.infer<typeof line>;

/** `torn`: the last line is not whole, as a killed writer leaves it. */
export type ManifestEntry = ManifestLine | { readonly kind: 'torn' };

export interface ReadManifestOptions {
  readonly path: string;
  /** Keep waiting for more until the footer or the signal; otherwise stop at the end of the file. */
  readonly follow: boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const CHUNK_BYTES = 256 * 1024;
const MAX_LINE_BYTES = 1024 * 1024;
const POLL_MS = 100;

/** Entries in file order, one array per chunk read. The header comes first or CodedError `manifest_invalid` is thrown. */
export async function* readManifest(options: ReadManifestOptions): AsyncGenerator<readonly ManifestEntry[]> {
  const file = await openManifest(options);
  if (file === null) return;
  try {
    const parse = lineParser(options.path);
    let rest: Buffer = Buffer.alloc(0);
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, null);
      if (bytesRead === 0) {
        if (!options.follow || options.signal.aborted) break;
        await options.clock.sleep(POLL_MS, options.signal);
        continue;
      }
      const split = splitLines(Buffer.concat([rest, chunk.subarray(0, bytesRead)]));
      rest = split.rest;
      if (rest.length > MAX_LINE_BYTES) throw invalid(options.path, `a line exceeds ${MAX_LINE_BYTES} bytes`);
      const entries = split.lines.map(parse);
      if (entries.length > 0) yield entries;
      if (entries.at(-1)?.kind === 'footer') return;
    }
    if (rest.length > 0) yield [lastLine(rest, parse)];
  } finally {
    await file.close();
  }
}

/** When following, the flood may not have created its manifest yet. */
async function openManifest(options: ReadManifestOptions): Promise<FileHandle | null> {
  for (;;) {
    try {
      return await open(options.path, 'r');
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      if (!missing || !options.follow) throw invalid(options.path, missing ? 'no such file' : String(error));
    }
    if (options.signal.aborted) return null;
    await options.clock.sleep(POLL_MS, options.signal);
  }
}

/** Splits on the byte: a chunk may end within a multi-byte character, a line may not. */
function splitLines(bytes: Buffer): { lines: Buffer[]; rest: Buffer } {
  const lines: Buffer[] = [];
  let from = 0;
  for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, from)) {
    if (end > from) lines.push(bytes.subarray(from, end));
    from = end + 1;
  }
  return { lines, rest: Buffer.from(bytes.subarray(from)) };
}

function lineParser(path: string): (bytes: Buffer) => ManifestLine {
  let number = 0;
  return (bytes) => {
    number += 1;
    let value: unknown;
    try {
      value = JSON.parse(bytes.toString('utf8'));
    } catch {
      throw invalid(path, `line ${number} is not JSON`);
    }
    const result = line.safeParse(value);
    if (!result.success) throw invalid(path, `line ${number}: ${z.prettifyError(result.error)}`);
    if ((number === 1) !== (result.data.kind === 'header')) throw invalid(path, 'exactly the first line is the header');
    return result.data;
  };
}

/** The writer ends every line, so a line without its end was cut short, unless it happens to be whole. */
function lastLine(rest: Buffer, parse: (bytes: Buffer) => ManifestLine): ManifestEntry {
  try {
    JSON.parse(rest.toString('utf8'));
  } catch {
    return { kind: 'torn' };
  }
  return parse(rest);
}

function invalid(path: string, problem: string): CodedError {
  return new CodedError('manifest_invalid', `The manifest ${path} cannot be used: ${problem}.`);
}
