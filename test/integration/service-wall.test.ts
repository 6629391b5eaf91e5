/** The wall between tenants over HTTP, on a real broker: the same calls as in test/unit/api/wall.test.ts, fewer of them. */
import { expect, onTestFinished, test } from 'vitest';
import { openRegistry, registerSchemas } from '../../src/app/schemas.ts';
import { openWorlds, runWall } from '../support/api/wall/run.ts';
import { WALL_ADMIN, type WallKustomer, type WallSite } from '../support/api/wall/site.ts';
import { Installation } from '../support/installation.ts';

const CALLS = 1_000;

async function openServedSite({ url: kustomer, conversations }: WallKustomer): Promise<WallSite> {
  const site = await Installation.open({
    tenants: 1,
    env: { CN_ADMIN_TOKEN: WALL_ADMIN, KUSTOMER_BASE_URL: kustomer, API_RATE_PER_MINUTE: '10000000' },
  });
  const serving = await site.serve({ roles: 'api' });
  return {
    ...{ log: site.log, names: site.names, conversations },
    ids: await registerSchemas(openRegistry(site.settings), site.names, []),
    async send({ method, url, token, body, headers }) {
      const response = await fetch(`${serving.url}${url}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(60_000),
      });
      return { status: response.status, headers: Object.fromEntries(response.headers), text: await response.text() };
    },
    close: () => serving.stop(),
  };
}

test(`${CALLS} calls across the wall of a running service come to nothing`, { timeout: 240_000 }, async () => {
  const worlds = await openWorlds(openServedSite);
  onTestFinished(() => worlds.close());
  const { before, after, codes } = await runWall(worlds, { seed: 'served', calls: CALLS });
  expect(after).toEqual(before);
  expect(codes.get('not_found') ?? 0).toBeGreaterThan(CALLS / 5);
  expect(codes.get('internal')).toBeUndefined();
});
