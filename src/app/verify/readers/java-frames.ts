/** Parses the frames ReadCommitted.java writes; their layout is described there. */
import { CodedError } from '../../../base/errors.ts';
import type { ReaderItem } from './reader.ts';

export type JavaItem = ReaderItem | { readonly kind: 'version'; readonly version: string };

/** Thrown and caught in this file only: the frame continues in the next chunk. */
const INCOMPLETE = Symbol('incomplete');

/** Feed chunks as they come; each call gives the items completed by it. */
export function javaFrames(headersOnly: ReadonlySet<string>): (chunk: Buffer) => JavaItem[] {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const cursor = new Cursor(bytes);
    const items: JavaItem[] = [];
    let complete = 0;
    try {
      while (cursor.at < bytes.length) {
        items.push(frame(cursor, headersOnly));
        complete = cursor.at;
      }
    } catch (error) {
      if (error !== INCOMPLETE) throw error;
    }
    rest = Buffer.from(bytes.subarray(complete));
    return items;
  };
}

function frame(cursor: Cursor, headersOnly: ReadonlySet<string>): JavaItem {
  const tag = String.fromCharCode(cursor.byte());
  if (tag === 'V') return { kind: 'version', version: cursor.utf() };
  if (tag === 'T') return { kind: 'topic', topic: cursor.utf(), partitions: cursor.int() };
  if (tag === 'E') return { kind: 'end', topic: cursor.utf(), partition: cursor.int(), offset: cursor.long() };
  if (tag !== 'R') throw new CodedError('reader_failed', `the Java reader wrote an unknown frame ${cursor.at}`);
  const topic = cursor.utf();
  const place = { partition: cursor.int(), offset: cursor.long() };
  const times = { timestampMs: cursor.long(), arrivalMs: cursor.long() };
  const key = cursor.bytes();
  const value = cursor.bytes();
  const headers: Record<string, string> = {};
  for (let left = cursor.int(); left > 0; left -= 1) {
    const name = cursor.utf();
    headers[name] = cursor.bytes()?.toString('utf8') ?? '';
  }
  const body = headersOnly.has(topic) ? { key: null, value: null, headers } : { key, value, headers };
  return { kind: 'record', topic, ...place, ...times, ...body };
}

class Cursor {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  #take(length: number): number {
    const from = this.at;
    if (from + length > this.#bytes.length) throw INCOMPLETE;
    this.at = from + length;
    return from;
  }

  byte(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  int(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  long(): number {
    return Number(this.#bytes.readBigInt64BE(this.#take(8)));
  }

  utf(): string {
    const length = this.#bytes.readUInt16BE(this.#take(2));
    const from = this.#take(length);
    return this.#bytes.toString('utf8', from, this.at);
  }

  bytes(): Buffer | null {
    const length = this.int();
    if (length < 0) return null;
    const from = this.#take(length);
    return this.#bytes.subarray(from, this.at);
  }
}
