import { describe, expect, it } from 'vitest';
import { failure, type Outcome } from '../../../../src/kustomer/client/outcome.ts';
import type { VendorRead } from '../../../../src/sinks/actions/action.ts';
import { MAX_PAGES, see, sightOfAnswer, vendorIdOf } from '../../../../src/sinks/actions/sights.ts';

const read = (more: Partial<VendorRead>): VendorRead => ({
  name: 'x',
  request: { operation: 'x.get', method: 'GET', path: ['x'], permission: 'org.permission.x.read' },
  shape: 'one',
  mayBeAbsent: true,
  ...more,
});

const ok = (body: unknown): Outcome<unknown> => ({ kind: 'ok', status: 200, headers: {}, body });
const refused = (status: number) => failure('refuse', { operation: 'x.get', message: 'no', status });
const item = (id: string) => ({ type: 'note', id, attributes: {} });

describe('one object', () => {
  it('is one, none or several', () => {
    expect(see(read({}), ok({ data: item('a') }))).toMatchObject({ sight: { kind: 'one', resource: { id: 'a' } } });
    expect(see(read({}), ok({ data: [] }))).toMatchObject({ sight: { kind: 'absent' } });
    expect(see(read({}), ok({ data: [item('a')] }))).toMatchObject({ sight: { kind: 'one', resource: { id: 'a' } } });
    expect(see(read({}), ok({ data: [item('a'), item('b')] }))).toMatchObject({ sight: { kind: 'several', count: 2 } });
  });

  it('is absent by 404 only where that is an answer', () => {
    expect(see(read({}), refused(404))).toMatchObject({ sight: { kind: 'absent' } });
    expect(see(read({ mayBeAbsent: false }), refused(404))).toMatchObject({ kind: 'failure' });
    for (const status of [400, 410, 413]) expect(see(read({}), refused(status))).toMatchObject({ kind: 'failure' });
    const denied = failure('permission', { operation: 'x.get', message: 'no', status: 403 });
    expect(see(read({}), denied)).toEqual({ kind: 'failure', failure: denied });
  });

  it.each([null, 'text', {}, { data: null }, { data: { id: 5 } }, { data: [{ id: 5 }] }])(
    'is never made of %j',
    (body) => {
      expect(see(read({}), ok(body))).toMatchObject({ kind: 'failure', failure: { kind: 'retry' } });
    },
  );
});

describe('a list', () => {
  const all = read({ shape: 'all' });
  const page = (data: readonly unknown[], next: string | null) => ok({ data, links: { next } });

  it('is read page by page to its end', () => {
    const first = see(all, page([item('a')], '/v1/x?page=2'));
    if (first.kind !== 'next_page') throw new Error(first.kind);
    expect(first.link).toBe('/v1/x?page=2');
    expect(see(all, page([item('b')], null), first.pages)).toEqual({
      kind: 'sight',
      sight: { kind: 'all', items: [item('a'), item('b')], whole: true },
    });
  });

  it('is not whole with an entry nobody can read, or with too many pages', () => {
    expect(see(all, page([item('a'), { id: 5 }], null))).toMatchObject({ sight: { whole: false } });
    let seen = see(all, page([], '/next'));
    for (let n = 1; n < MAX_PAGES; n += 1) {
      if (seen.kind !== 'next_page') throw new Error(`${seen.kind} after ${n}`);
      seen = see(all, page([], '/next'), seen.pages);
    }
    expect(seen).toMatchObject({ kind: 'sight', sight: { kind: 'all', whole: false } });
  });

  it('is not whole without its pages: a failed one fails it', () => {
    const first = see(all, page([item('a')], '/v1/x?page=2'));
    if (first.kind !== 'next_page') throw new Error(first.kind);
    const lost = failure('retry', { operation: 'x.get', message: 'reset' });
    expect(see(all, lost, first.pages)).toEqual({ kind: 'failure', failure: lost });
  });
});

describe('the answer to a write', () => {
  it('tells the id and what stands there now, or nothing', () => {
    expect(vendorIdOf({ data: item('a') })).toBe('a');
    expect(sightOfAnswer({ data: item('a') })).toMatchObject({ kind: 'one', resource: { id: 'a' } });
    for (const body of [null, {}, { data: { id: '' } }, 'ok']) {
      expect(vendorIdOf(body)).toBeNull();
      expect(sightOfAnswer(body)).toBeUndefined();
    }
  });
});
