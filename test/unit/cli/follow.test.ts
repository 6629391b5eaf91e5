import { describe, expect, it } from 'vitest';
import type { CliError } from '../../../src/cli/errors.ts';
import { apiError } from '../../../src/cli/http/api-error.ts';
import { follow, LONGEST_WAIT_MS } from '../../../src/cli/http/follow.ts';

interface Frame {
  readonly id: string;
  readonly cursor: string;
}

const frame = (n: number): Frame => ({ id: `ev_${n}`, cursor: `cur_${n}` });
const text = (value: Frame): string => `id: ${value.cursor}\nevent: envelope\ndata: ${JSON.stringify(value)}\n\n`;

/** One connection after another: what it sends, and how it ends. */
type Connection = readonly (string | Error)[];

function lost(): Error {
  return Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' });
}

interface World {
  readonly opened: (string | null)[];
  readonly waits: number[];
  readonly notes: string[];
  readonly ids: string[];
}

async function run(connections: readonly (Connection | Error)[], { forever = true, most = 100 } = {}): Promise<World> {
  const world: World = { opened: [], waits: [], notes: [], ids: [] };
  const stop = new AbortController();
  let next = 0;
  const stream = follow({
    open: async (lastId) => {
      world.opened.push(lastId);
      const connection = connections[next++];
      if (connection === undefined) {
        stop.abort();
        throw lost();
      }
      if (connection instanceof Error) throw connection;
      return bytes(connection);
    },
    forever,
    endpoint: 'http://api',
    signal: stop.signal,
    sleep: async (ms) => void world.waits.push(ms),
    random: () => 1,
    note: (line) => void world.notes.push(line),
  });
  for await (const { id } of stream) {
    world.ids.push(id);
    if (world.ids.length >= most) break;
  }
  return world;
}

async function* bytes(connection: Connection): AsyncGenerator<Uint8Array> {
  for (const piece of connection) {
    if (piece instanceof Error) throw piece;
    yield Buffer.from(piece);
  }
}

const refusal = (status: number, code: string): CliError =>
  apiError({
    status,
    body: { error: { code, message: code } },
    requestId: null,
    endpoint: 'http://api',
    path: '/events/stream',
  });

describe('a stream that is followed', () => {
  it('F1: goes on behind the last event handed over, and leaves half an event out', async () => {
    const world = await run([
      [text(frame(1)), text(frame(2)), 'id: cur_3\ndata: {"id":"ev_3","cur', lost()],
      [text(frame(3)), text(frame(4))],
    ]);
    expect(world.ids).toEqual(['ev_1', 'ev_2', 'ev_3', 'ev_4']);
    expect(world.opened.slice(0, 3)).toEqual([null, 'cur_2', 'cur_4']);
  });

  it('F2: hands nothing over twice where the server begins too early', async () => {
    const world = await run([
      [text(frame(1)), text(frame(2))],
      [text(frame(1)), text(frame(2)), text(frame(3))],
    ]);
    expect(world.ids).toEqual(['ev_1', 'ev_2', 'ev_3']);
  });

  it('F1: takes a place that is told without an event, so that what did not match is not read again', async () => {
    const world = await run([['id: cur_0\n\n', lost()], [text(frame(1)), ': keep-alive\n\nid: cur_7\n\n', lost()], []]);
    expect(world.opened.slice(0, 3)).toEqual([null, 'cur_0', 'cur_7']);
    expect(world.ids).toEqual(['ev_1']);
  });

  it('F3: waits longer and longer up to a bound, and begins anew once something arrived', async () => {
    const failures = Array.from({ length: 12 }, () => refusal(503, 'unavailable'));
    const world = await run([[text(frame(1)), lost()], ...failures, [text(frame(2)), lost()], []]);
    const [first, second] = world.waits;
    expect(first).toBe(250);
    expect(second).toBe(500);
    expect(Math.max(...world.waits)).toBe(LONGEST_WAIT_MS);
    expect(world.waits.at(-2)).toBe(250);
    expect(world.notes.length).toBeGreaterThanOrEqual(world.waits.length);
  });

  it('waits at least as long as the server asks', async () => {
    const world = await run([['retry: 9000\n\n', text(frame(1))], []]);
    expect(world.waits[0]).toBe(9000);
  });

  it.each([
    [401, 'key_revoked'],
    [403, 'insufficient_scope'],
    [400, 'invalid_cursor'],
    [404, 'not_found'],
  ])('F4: ends at %i %s after a loss', async (status, code) => {
    await expect(run([[text(frame(1)), lost()], refusal(status, code), [text(frame(2))]])).rejects.toMatchObject({
      code,
    });
  });

  it('F4: ends at an error that the stream itself tells, and goes on where it passes', async () => {
    const told = (type: string, code: string): string =>
      `event: error\ndata: ${JSON.stringify({ error: { type, code, message: code } })}\n\n`;
    await expect(run([[text(frame(1)), told('authentication_error', 'key_revoked')]])).rejects.toMatchObject({
      code: 'key_revoked',
    });
    const world = await run([[text(frame(1)), told('api_error', 'unavailable')], [text(frame(2))]]);
    expect(world.ids).toEqual(['ev_1', 'ev_2']);
  });

  it('does not wait for an API that was never there', async () => {
    await expect(run([refusal(503, 'unavailable'), [text(frame(1))]])).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('refuses what is no event, quoting none of it', async () => {
    const error = await run([['data: canary-of-somebody\n\n']]).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'stream_unreadable' });
    expect(String(error)).not.toContain('canary');
  });

  it('ends with the stream where it is not to follow', async () => {
    const world = await run([[text(frame(1))], [text(frame(2))]], { forever: false });
    expect(world.ids).toEqual(['ev_1']);
    expect(world.opened).toHaveLength(1);
  });
});
