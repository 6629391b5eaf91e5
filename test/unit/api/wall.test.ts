/**
 * Tenants are walled off from one another on every route: whatever is asked with the token of one about the things of the
 * other, the answer is that for what does not exist, and nothing is changed.
 *
 * How long an answer takes is not looked at: who measures it may learn whether something exists.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineRoute } from '../../../src/api/route.ts';
import { describedRoutes } from '../../../src/app/api/described-routes.ts';
import { fieldsOf } from '../../support/api/wall/kinds.ts';
import { openWorlds, runWall, type Worlds } from '../../support/api/wall/run.ts';
import { openWallSite } from '../../support/api/wall/site.ts';

const CALLS = Number(process.env['WALL_CALLS'] ?? 10_000);
const SEEDS = (process.env['SOAK_SEEDS'] ?? '1').split(',');

describe('every route', () => {
  it('has fields of which it is known what they stand for', () => {
    for (const route of describedRoutes()) expect(() => fieldsOf(route), route.id).not.toThrow();
  });

  it('that has another one fails the wall until somebody says what it is', () => {
    const common = { method: 'GET', summary: '', tag: '', scope: 'any', response: { 200: z.object({}) } } as const;
    const handler = async () => ({ body: {} });
    const made = { ...common, id: 'getGadget', url: '/v1/gadgets/:id', handler };
    expect(() => fieldsOf(defineRoute(made))).toThrow('getGadget: what is :id');
    const query = z.strictObject({ gadget: z.string() });
    expect(() => fieldsOf(defineRoute({ ...made, url: '/v1/gadgets', query }))).toThrow('what is gadget in its query');
  });
});

describe.each(SEEDS)('seed %s', (seed) => {
  let worlds: Worlds | undefined;
  beforeAll(async () => {
    worlds = await openWorlds((kustomer) => openWallSite(kustomer));
  }, 60_000);
  afterAll(async () => {
    await worlds?.close();
  }, 60_000);

  it(`${CALLS} calls across the wall read nothing, change nothing, and hear what a missing id hears`, async () => {
    const { answers, codes, before, after, calls } = await runWall(worlds as Worlds, { seed, calls: CALLS });
    expect(after).toEqual(before);
    // It was no empty run: each route was asked, and most were refused for the id and not for the form.
    for (const { id, scope } of describedRoutes()) if (scope !== 'public') expect([...answers.keys()]).toContain(id);
    expect(codes.get('not_found') ?? 0).toBeGreaterThan(calls / 4);
    expect(codes.get('tenant_mismatch') ?? 0).toBeGreaterThan(calls / 50);
    expect(codes.get('internal')).toBeUndefined();
  }, 600_000);
});
