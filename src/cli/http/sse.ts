/**
 * Server-sent events out of text that arrives in any pieces. Pure but for its own state.
 *
 * S1 How the text is cut changes nothing: a line end CR LF that is cut in two is still one.
 * S2 Lines of `data` are joined by line feeds; one space after the colon is no part of the value.
 * S3 An event is complete at its empty line. What is not complete when the stream ends is not an event, and its id does not count.
 * S4 Comments (keep-alives) and unknown fields say nothing; `retry` and `id` hold without any data.
 * S5 An event and a line have a bound: a stream that never ends a line does not fill the memory.
 */

export interface SseEvent {
  /** `message` where the stream names none. */
  readonly type: string;
  readonly data: string;
  /** The last id seen, which may be of an earlier event. */
  readonly id: string;
}

export const MAX_EVENT_CHARS = 4 * 1024 * 1024;

export class SseParser {
  #line = '';
  #afterCr = false;
  #isFirst = true;
  #type = '';
  #data: string[] = [];
  #chars = 0;
  /** Of the frame that is being read, which counts once the frame is complete. */
  #nextId = '';
  #id = '';
  #retryMs: number | null = null;

  /** What the stream asked to wait before a new connection. */
  get retryMs(): number | null {
    return this.#retryMs;
  }

  /** Also of frames without data. */
  get lastId(): string {
    return this.#id;
  }

  /** The events that this text completed. Throws RangeError beyond the bound (S5). */
  push(text: string): readonly SseEvent[] {
    let rest = text;
    if (this.#isFirst && rest !== '') {
      this.#isFirst = false;
      rest = rest.replace(/^\u{feff}/u, '');
    }
    if (this.#afterCr && rest !== '') {
      this.#afterCr = false;
      if (rest.startsWith('\n')) rest = rest.slice(1);
    }
    const events: SseEvent[] = [];
    const lineEnd = /\r\n|\n|\r/g;
    let from = 0;
    for (let match = lineEnd.exec(rest); match !== null; match = lineEnd.exec(rest)) {
      const line = this.#line + rest.slice(from, match.index);
      this.#line = '';
      from = lineEnd.lastIndex;
      this.#afterCr = match[0] === '\r' && from === rest.length;
      const event = this.#take(line);
      if (event !== null) events.push(event);
    }
    this.#line += rest.slice(from);
    if (this.#line.length + this.#chars > MAX_EVENT_CHARS) throw new RangeError('an event of the stream is too large');
    return events;
  }

  #take(line: string): SseEvent | null {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return null;
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    switch (field) {
      case 'event':
        this.#type = value;
        break;
      case 'data':
        this.#data.push(value);
        this.#chars += value.length + 1;
        if (this.#chars > MAX_EVENT_CHARS) throw new RangeError('an event of the stream is too large');
        break;
      case 'id':
        if (!value.includes('\0')) this.#nextId = value;
        break;
      case 'retry':
        if (/^\d{1,9}$/.test(value)) this.#retryMs = Number(value);
        break;
    }
    return null;
  }

  #dispatch(): SseEvent | null {
    this.#id = this.#nextId;
    const event = { type: this.#type || 'message', data: this.#data.join('\n'), id: this.#id };
    const isEvent = this.#data.length > 0;
    this.#type = '';
    this.#data = [];
    this.#chars = 0;
    return isEvent ? event : null;
  }
}
