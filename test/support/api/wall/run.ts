/** The same calls in two worlds, one after another: in one the other tenant exists, in the other it never did. */
import { describedRoutes } from '../../../../src/app/api/described-routes.ts';
import { createRandom } from '../../../../src/simulator/model/random.ts';
import { callsAcross, inWorld, repetitionsOf, type WallCall } from './calls.ts';
import { furnish, type Inventory } from './furnish.ts';
import { createJudge, stateOf, type TenantState } from './judge.ts';
import { openWallKustomer, type WallAnswer, type WallKustomer, type WallSite } from './site.ts';

export interface Worlds {
  readonly both: WallSite;
  readonly alone: WallSite;
  /** The caller in each of them. */
  readonly near: Inventory;
  readonly nearAlone: Inventory;
  readonly far: Inventory;
  close(): Promise<void>;
}

export async function openWorlds(open: (kustomer: WallKustomer) => Promise<WallSite>): Promise<Worlds> {
  const kustomer = await openWallKustomer();
  const [both, alone] = [await open(kustomer), await open(kustomer)];
  // What the other tenant has is there before the caller comes, and in the way of everything.
  const far = await furnish(both, 't_far');
  return {
    ...{ both, alone, far },
    near: await furnish(both, 't_near'),
    nearAlone: await furnish(alone, 't_near'),
    async close() {
      await both.close();
      await alone.close();
      await kustomer.close();
    },
  };
}

export interface WallReport {
  readonly calls: number;
  /** By route and status. */
  readonly answers: ReadonlyMap<string, ReadonlyMap<number, number>>;
  /** By code of what was refused. */
  readonly codes: ReadonlyMap<string, number>;
  readonly before: TenantState;
  readonly after: TenantState;
}

export interface WallOptions {
  readonly seed: string;
  readonly calls: number;
}

/** Fails at the first call that comes through. */
export async function runWall(worlds: Worlds, { seed, calls }: WallOptions): Promise<WallReport> {
  const { both, alone, near, nearAlone, far } = worlds;
  const judge = createJudge(far);
  const next = callsAcross(describedRoutes(), far, createRandom(`wall:${seed}`));
  const [answers, codes] = [new Map<string, Map<number, number>>(), new Map<string, number>()];
  const before = await stateOf(both, far, near.tenantId);
  const first = repetitionsOf(far);
  for (let n = 0; n < calls; n += 1) {
    const call = first[n] ?? next();
    const [here, there] = await Promise.all([send(both, near, call), send(alone, nearAlone, call)]);
    const leak = judge.look(here.answer, here.asked) ?? judge.compare(here.answer, there.answer);
    if (leak !== null) {
      throw new Error(`seed ${seed}, call ${n}, ${call.route}: ${leak.what}: ${leak.detail}\nasked: ${here.asked}`);
    }
    const { status, text } = here.answer;
    const ofRoute = answers.get(call.route) ?? new Map<number, number>();
    answers.set(call.route, ofRoute.set(status, (ofRoute.get(status) ?? 0) + 1));
    const code = status >= 400 ? String(JSON.parse(text).error.code) : 'ok';
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  return { calls, answers, codes, before, after: await stateOf(both, far, near.tenantId) };
}

async function send(site: WallSite, own: Inventory, call: WallCall): Promise<{ answer: WallAnswer; asked: string }> {
  const { url, body } = inWorld(call, own);
  const { method, headers } = call;
  const answer = await site.send({ method, url, token: own.token, body, headers });
  return { answer, asked: `${method} ${decodeURIComponent(url)} ${JSON.stringify(body)} ${JSON.stringify(headers)}` };
}
