import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_EVENT_CHARS, type SseEvent, SseParser } from '../../../src/cli/http/sse.ts';

function parse(...chunks: readonly string[]): readonly SseEvent[] {
  const parser = new SseParser();
  return chunks.flatMap((chunk) => [...parser.push(chunk)]);
}

describe('server-sent events', () => {
  it('S2: joins lines of data, and takes one space off each', () => {
    expect(parse('event: envelope\nid: ev_1\ndata: {\ndata:  "a": 1\ndata:}\n\n')).toEqual([
      { type: 'envelope', id: 'ev_1', data: '{\n "a": 1\n}' },
    ]);
  });

  it.each([
    ['LF', '\n'],
    ['CR LF', '\r\n'],
    ['CR', '\r'],
  ])('S1: ends lines at %s', (_name, end) => {
    const text = ['data: a', 'data: b', '', 'data: c', '', ''].join(end);
    expect(parse(text).map(({ data }) => data)).toEqual(['a\nb', 'c']);
  });

  it('S1: takes a CR LF that is cut in two for one line end, not for an empty line', () => {
    expect(parse('data: a\r', '\ndata: b\r', '\n\r', '\n')).toEqual([{ type: 'message', id: '', data: 'a\nb' }]);
  });

  it('S3: gives nothing for a frame that never ends, and does not keep its id', () => {
    const parser = new SseParser();
    parser.push('id: ev_1\ndata: a\n\n');
    expect(parser.push('id: ev_2\ndata: {"half":')).toEqual([]);
    expect(parser.lastId).toBe('ev_1');
  });

  it('S4: passes over comments and fields it does not know; retry and id hold without data', () => {
    const parser = new SseParser();
    expect(parser.push(': keep-alive\n\nretry: 1500\nid: ev_9\ntrace: x\n\n')).toEqual([]);
    expect(parser.retryMs).toBe(1500);
    expect(parser.lastId).toBe('ev_9');
    expect(parser.push('retry: soon\n\ndata\n\n')).toEqual([{ type: 'message', id: 'ev_9', data: '' }]);
    expect(parser.retryMs).toBe(1500);
  });

  it('leaves a byte order mark at the beginning out, and only there', () => {
    expect(parse('\u{feff}data: a\n\n\u{feff}data: b\n\n').map(({ data }) => data)).toEqual(['a']);
  });

  it('S5: refuses a line and an event beyond the bound', () => {
    const half = 'x'.repeat(MAX_EVENT_CHARS / 2 + 1);
    expect(() => parse(`data: ${half}`, half)).toThrow(RangeError);
    expect(() => parse(`data: ${half}\n`, `data: ${half}\n`)).toThrow(RangeError);
    expect(parse(`data: ${half}\n\n`, `data: ${half}\n\n`)).toHaveLength(2);
  });

  it('S1, S2, S3: gives the same events however the text is cut', () => {
    const word = fc.stringMatching(/^[a-z0-9 {}":,é😀]{0,12}$/u).map((text) => text.trim());
    const frame = fc.record({
      id: fc.option(fc.stringMatching(/^ev_[a-z0-9]{1,5}$/), { nil: undefined }),
      type: fc.option(fc.constantFrom('envelope', 'receipt'), { nil: undefined }),
      data: fc.array(word, { minLength: 1, maxLength: 4 }),
      comment: fc.boolean(),
      end: fc.constantFrom('\n', '\r\n', '\r'),
    });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 6 }), fc.array(fc.nat(400)), (frames, cuts) => {
        let lastId = '';
        const wanted = frames.map(({ id, type, data }) => {
          lastId = id ?? lastId;
          return { type: type ?? 'message', id: lastId, data: data.join('\n') };
        });
        const text = frames
          .map(({ id, type, data, comment, end }) =>
            [
              ...(comment ? [': hello'] : []),
              ...(id === undefined ? [] : [`id: ${id}`]),
              ...(type === undefined ? [] : [`event: ${type}`]),
              ...data.map((line) => `data: ${line}`),
              '',
              '',
            ].join(end),
          )
          .join('');
        const places = [...new Set(cuts.map((cut) => Math.min(cut, text.length)))].sort((a, b) => a - b);
        const chunks = [...places, text.length].map((to, index) => text.slice(places[index - 1] ?? 0, to));
        expect(parse(...chunks)).toEqual(wanted);
      }),
    );
  });
});
