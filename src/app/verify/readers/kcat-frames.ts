/**
 * The output of kcat as we ask for it. Records are framed by lengths, so keys and values may hold any byte:
 *
 *     R <topic> <partition> <offset> <timestamp> <key length> <value length>\n<key><value>\n
 *
 * What kcat has to say (end of a partition, errors) comes on the same pipe between frames, on lines that start with
 * "% ": only so is its place among the records known.
 */
import { CodedError } from '../../../base/errors.ts';
import type { ReaderItem } from './reader.ts';

export const KCAT_FORMAT = 'R %t %p %o %T %K %S\\n%k%s\\n';

const LINE_BREAK = 10;
const MAX_LINE_BYTES = 64 * 1024;
const END = /^% Reached end of topic (\S+) \[(\d+)\] at offset (\d+)/;
const NO_HEADERS = Object.freeze({});

/** Feed chunks as they come; each call gives the items completed by it. */
export function kcatFrames(): (chunk: Buffer, arrivalMs: number) => ReaderItem[] {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk, arrivalMs) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const items: ReaderItem[] = [];
    let at = 0;
    while (at < bytes.length) {
      const parsed = parseFrame(bytes, at, arrivalMs);
      if (parsed === null) break;
      items.push(parsed.item);
      at = parsed.next;
    }
    rest = Buffer.from(bytes.subarray(at));
    return items;
  };
}

/** Null = not complete yet. */
function parseFrame(bytes: Buffer, at: number, arrivalMs: number): { item: ReaderItem; next: number } | null {
  const lineEnd = bytes.indexOf(LINE_BREAK, at);
  if (lineEnd === -1) {
    if (bytes.length - at > MAX_LINE_BYTES) throw nonsense('a line without end');
    return null;
  }
  const line = bytes.toString('latin1', at, lineEnd);
  if (line.startsWith('%')) return { item: notice(line), next: lineEnd + 1 };
  const fields = line.split(' ');
  if (fields[0] !== 'R' || fields.length !== 7) throw nonsense(`not a frame: ${line.slice(0, 80)}`);
  const [partition, offset, timestampMs, keyLength, valueLength] = fields.slice(2).map(Number) as [number, number, number, number, number]; // biome-ignore format: one line
  const keyEnd = lineEnd + 1 + Math.max(keyLength, 0);
  const valueEnd = keyEnd + Math.max(valueLength, 0);
  if (!Number.isSafeInteger(valueEnd + offset + partition)) throw nonsense(`not a frame: ${line.slice(0, 80)}`);
  if (valueEnd >= bytes.length) return null;
  if (bytes[valueEnd] !== LINE_BREAK) throw nonsense('a frame longer than its lengths say');
  const item: ReaderItem = {
    kind: 'record',
    topic: fields[1] as string,
    partition,
    offset,
    timestampMs,
    key: keyLength < 0 ? null : bytes.subarray(lineEnd + 1, keyEnd),
    value: valueLength < 0 ? null : bytes.subarray(keyEnd, valueEnd),
    headers: NO_HEADERS,
    arrivalMs,
  };
  return { item, next: valueEnd + 1 };
}

/** The same pipe in kcat's JSON mode, for topics of which only the headers matter: one record a line. */
export function kcatJsonLines(): (chunk: Buffer, arrivalMs: number) => ReaderItem[] {
  let rest = Buffer.alloc(0);
  return (chunk, arrivalMs) => {
    const bytes = Buffer.concat([rest, chunk]);
    const end = bytes.lastIndexOf(LINE_BREAK) + 1;
    rest = Buffer.from(bytes.subarray(end));
    const lines = bytes.toString('utf8', 0, end).split('\n').filter((line) => line !== ''); // biome-ignore format: one line
    return lines.map((line) => (line.startsWith('%') ? notice(line) : jsonRecord(line, arrivalMs)));
  };
}

interface KcatJson {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly ts: number;
  readonly headers?: readonly (string | null)[];
}

function jsonRecord(line: string, arrivalMs: number): ReaderItem {
  let json: KcatJson;
  try {
    json = JSON.parse(line) as KcatJson;
  } catch {
    throw nonsense(`not JSON: ${line.slice(0, 80)}`);
  }
  const headers: Record<string, string> = {};
  const flat = json.headers ?? [];
  for (let i = 0; i + 1 < flat.length; i += 2) headers[flat[i] as string] = flat[i + 1] ?? '';
  const { topic, partition, offset, ts } = json;
  return { kind: 'record', topic, partition, offset, timestampMs: ts, key: null, value: null, headers, arrivalMs };
}

function notice(line: string): ReaderItem {
  const end = END.exec(line);
  if (end === null) return { kind: 'notice', text: line.replace(/^%\s*/, '') };
  return { kind: 'end', topic: end[1] as string, partition: Number(end[2]), offset: Number(end[3]) };
}

function nonsense(problem: string): CodedError {
  return new CodedError('reader_failed', `kcat's output cannot be read: ${problem}`);
}
