/** Pages and cursors. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ApiError } from '../../../src/api/errors.ts';
import { decodeCursor, encodeCursor, paginate } from '../../../src/api/pagination.ts';
import { startApi } from '../../support/api/harness.ts';

const binding = { route: 'r', tenantId: 't_a', filters: { q: 'x' } };

describe('cursors', () => {
  it('open for the list they are of, and for no other', () => {
    const cursor = encodeCursor(binding, [1, 'a']);
    expect(cursor).toMatch(/^cur_/);
    expect(decodeCursor(binding, cursor, z.tuple([z.number(), z.string()]))).toEqual([1, 'a']);
    for (const other of [
      { ...binding, route: 's' },
      { ...binding, tenantId: 't_b' },
      { ...binding, filters: { q: 'y' } },
      { ...binding, filters: {} },
    ]) {
      expect(() => decodeCursor(other, cursor, z.unknown())).toThrow(ApiError);
    }
  });

  it('are never more than refused, whatever they are', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json().map((text) => `cur_${Buffer.from(text).toString('base64url')}`),
        ),
        (text) => {
          expect(() => decodeCursor(binding, text, z.string())).toThrow(
            expect.objectContaining({ code: 'invalid_cursor' }),
          );
        },
      ),
    );
  });
});

describe('pages', () => {
  it('show every entry once, in order, whatever the limit', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1, maxLength: 5 })),
        fc.integer({ min: 1, max: 7 }),
        (keys, limit) => {
          const seen: string[] = [];
          let cursor: string | undefined;
          do {
            const page = paginate(keys, { limit, cursor, binding, keyOf: (key) => key });
            expect(page.has_more).toBe(page.next_cursor !== null);
            expect(page.data.length).toBeLessThanOrEqual(limit);
            seen.push(...page.data);
            cursor = page.next_cursor ?? undefined;
          } while (cursor !== undefined);
          expect(seen).toEqual([...keys].sort((a, b) => (a < b ? 1 : -1)));
        },
      ),
    );
  });

  it('lose nothing and repeat nothing where entries come between two of them', () => {
    const first = paginate(['a', 'c', 'e'], { limit: 2, binding, keyOf: (key) => key });
    const second = paginate(['a', 'b', 'c', 'd', 'e', 'f'], {
      ...{ limit: 2, binding, keyOf: (key: string) => key },
      cursor: first.next_cursor ?? undefined,
    });
    expect([first.data, second.data]).toEqual([
      ['e', 'c'],
      ['b', 'a'],
    ]);
  });
});

describe('lists of the API', () => {
  it('out of range is refused and never clamped; changed filters are refused; the limit may change', async () => {
    const api = await startApi();
    await api.tenant('t_a');
    const token = await api.token('t_a');
    for (let n = 0; n < 5; n += 1) api.memory.addConnection('t_a', `c${n}`);
    for (const limit of ['0', '101', '-1', '1.5', 'x', '', '1e1', '0x10', ' 5']) {
      const answer = await api.call('GET', `/v1/connectors?limit=${encodeURIComponent(limit)}`, { token });
      expect([limit, answer.status, answer.body.error?.code]).toEqual([limit, 400, 'invalid_parameter']);
    }
    const first = await api.call('GET', '/v1/connectors?limit=2', { token });
    expect(first.body).toMatchObject({ object: 'list', has_more: true });
    const cursor = encodeURIComponent(first.body.next_cursor);
    const rest = await api.call('GET', `/v1/connectors?limit=100&cursor=${cursor}`, { token });
    expect(rest.body).toMatchObject({ has_more: false, next_cursor: null });
    expect(first.body.data.length + rest.body.data.length).toBe(5);
    for (const url of [
      `/v1/connectors?status=error&cursor=${cursor}`,
      `/v1/capabilities?cursor=${cursor}`,
      '/v1/connectors?cursor=cur_x',
    ]) {
      expect((await api.call('GET', url, { token })).body.error.code).toBe('invalid_cursor');
    }
    await api.tenant('t_b');
    const other = await api.call('GET', `/v1/connectors?cursor=${cursor}`, { token: await api.token('t_b') });
    expect(other.body.error.code).toBe('invalid_cursor');
    await api.server.close();
  });
});
