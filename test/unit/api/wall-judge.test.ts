/** The judge of the wall against routes that leak: each kind of leak is found, in a thousand calls. */
import { afterEach, expect, it, vi } from 'vitest';
import type { RoutePorts } from '../../../src/api/index.ts';
import type { Route } from '../../../src/api/route.ts';
import { openWorlds, runWall, type Worlds } from '../../support/api/wall/run.ts';
import { openWallSite } from '../../support/api/wall/site.ts';

const FAR = 't_far';

type Handler = (request: {
  readonly params: { readonly ref?: string; readonly name?: string; readonly id?: string };
}) => Promise<unknown>;
type Plant = (handler: Handler, ports: RoutePorts) => Handler;

/** Handlers that are put in the place of the right ones, by route. */
const planted = vi.hoisted(() => new Map<string, unknown>());

vi.mock('../../../src/api/index.ts', async (original) => {
  const room = await original<typeof import('../../../src/api/index.ts')>();
  const apiRoutes: typeof room.apiRoutes = (ports, further) =>
    room.apiRoutes(ports, further).map((route): Route => {
      const plant = planted.get(route.id) as Plant | undefined;
      return plant === undefined ? route : { ...route, handler: plant(route.handler as never, ports) as never };
    });
  return { ...room, apiRoutes };
});

let worlds: Worlds | undefined;
/** The worlds are furnished by then: the leak is there for the calls only. */
let leaking = false;
afterEach(async () => {
  leaking = false;
  planted.clear();
  await worlds?.close();
}, 60_000);

async function run(): Promise<string> {
  worlds = await openWorlds((kustomer) => openWallSite(kustomer));
  leaking = true;
  return runWall(worlds, { seed: 'judge', calls: 1_000 }).then(
    ({ before, after }) => (JSON.stringify(before) === JSON.stringify(after) ? 'nothing' : 'changed'),
    (error: Error) => error.message,
  );
}

const LEAKS: readonly (readonly [what: string, found: RegExp, route: string, plant: Plant])[] = [
  [
    'an id that is found in every tenant',
    /getConnector: (?:canary|id|differs)/,
    'getConnector',
    (handler, { connectors }) =>
      async (request) => {
        const found = leaking ? connectors.find(FAR, String(request.params.ref)) : undefined;
        if (found === undefined) return handler(request);
        return { body: { object: 'connector', name: found.connection.name } };
      },
  ],
  [
    'a refusal that says that it is there',
    /listPolicyVersions: differs/,
    'listPolicyVersions',
    (handler, { policies }) =>
      async (request) => {
        if (!leaking || !policies.set(FAR).has(String(request.params.name))) return handler(request);
        throw Object.assign(new Error('of somebody else'), { statusCode: 403 });
      },
  ],
  [
    'a list with the name of another tenant in it',
    /listCapabilities: canary/,
    'listCapabilities',
    (handler, { tenants }) =>
      async (request) => {
        if (!leaking) return handler(request);
        return { body: { object: 'list', data: [tenants.get(FAR)?.name], has_more: false, next_cursor: null } };
      },
  ],
  [
    'a header with an id of another tenant',
    /whoami: id/,
    'whoami',
    (handler, { connectors }) =>
      async (request) => {
        const answer = (await handler(request)) as object;
        const [one] = connectors.list(FAR);
        return leaking ? { ...answer, headers: { 'x-debug': one?.connection.connectionId ?? '' } } : answer;
      },
  ],
  [
    'a write that is done and answered 404',
    /^changed$/,
    'disablePolicy',
    (handler, { policies }) =>
      async (request) => {
        if (leaking) await policies.disable(FAR, String(request.params.name));
        return handler(request);
      },
  ],
  [
    'a token that is revoked and answered 404',
    /^changed$/,
    'revokeToken',
    (handler, { tokens }) =>
      async (request) => {
        const id = String(request.params.id);
        if (leaking) await tokens.update(id, (now) => (now === undefined ? now : { ...now, name: 'touched' }));
        return handler(request);
      },
  ],
];

it.each(LEAKS)(
  'finds %s',
  async (_what, found, route, plant) => {
    planted.set(route, plant);
    expect(await run()).toMatch(found);
  },
  60_000,
);

it('finds nothing where nothing leaks', async () => {
  expect(await run()).toBe('nothing');
}, 60_000);
