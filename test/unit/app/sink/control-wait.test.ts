/** Cites control-wait.ts (H1–H3). */
import { describe, expect, test } from 'vitest';
import { ControlWait } from '../../../../src/app/sink/control-wait.ts';
import { CodedError } from '../../../../src/base/errors.ts';
import { HEADER } from '../../../../src/kafka/headers.ts';
import { VirtualClock } from '../../../../src/kafka/memory/index.ts';

const PAUSE_MS = 250;
const TIMEOUT_MS = 1_000;
/** Of a question to the broker. */
const ANSWER_MS = 4;

/** `end`: of the topic; the follower here is at `position`. */
function setUp(position: number, end = position) {
  const clock = new VirtualClock();
  const at = { position, end, asked: 0, isAway: false };
  const wait = new ControlWait({
    position: () => at.position,
    end: async () => {
      at.asked += 1;
      await clock.sleep(ANSWER_MS);
      if (at.isAway) throw new CodedError('log_unavailable', 'away');
      return at.end;
    },
    clock,
    timeoutMs: TIMEOUT_MS,
    pauseMs: PAUSE_MS,
  });
  const heard = (text?: string | number) =>
    wait.heard({ headers: text === undefined ? {} : { [HEADER.controlAt]: Buffer.from(String(text)) } });
  /** How long the partition stands. */
  const held = async (waiting: Promise<unknown> | undefined): Promise<number> => {
    const beganAtMs = clock.nowMs();
    if (waiting !== undefined) await clock.run(waiting);
    return clock.nowMs() - beganAtMs;
  };
  return { clock, at, wait, heard, held };
}

describe('a command that names a place', () => {
  test('waits for what its sender knew, and for nothing else', async () => {
    const { clock, at, heard, held } = setUp(10, 12);
    for (const text of [undefined, '', '0', '10', '-1', 'x', '1e9', '99999999999999999999'])
      expect(heard(text)).toBeUndefined();
    let done = false;
    const waiting = heard(12)?.then(() => {
      done = true;
    });
    await clock.advance(500);
    expect(done).toBe(false);
    at.position = 11;
    await clock.advance(20);
    expect(done).toBe(false);
    at.position = 12;
    await held(waiting);
    expect(done).toBe(true);
    expect(heard(12)).toBeUndefined();
  });

  test('waits again and again where each place is there: one who grants and writes by turns', async () => {
    const { at, clock, heard } = setUp(10);
    for (let place = 11; place < 40; place++) {
      at.end = place;
      const waiting = heard(place);
      expect(waiting).toBeDefined();
      await clock.advance(ANSWER_MS + 1);
      at.position = place;
      await clock.run(waiting as Promise<void>);
    }
    // Told by one answer, what lies before is not asked for.
    at.end = 50;
    const before = at.asked;
    const far = heard(45);
    await clock.advance(ANSWER_MS + 1);
    const near = heard(44);
    at.position = 50;
    await clock.run(Promise.all([far, near]));
    expect(at.asked).toBe(before + 1);
  });

  test('H1: beyond the end of the topic is not waited for', async () => {
    const { at, heard, held } = setUp(10, 12);
    expect(await held(heard(1_000_000))).toBe(ANSWER_MS);
    // What is there all the same is.
    const legitimate = heard(12);
    expect(legitimate).toBeDefined();
    at.position = 12;
    await held(legitimate);
  });

  test('H1, H3: a flood of places that do not exist costs a partition next to nothing', async () => {
    const { clock, at, heard, held } = setUp(10);
    let heldMs = 0;
    const beganAtMs = clock.nowMs();
    for (let record = 0; record < 10_000; record++) {
      heldMs += await held(heard(1_000_000 - record));
      await clock.advance(0.1); // what else a record takes
    }
    const tookMs = clock.nowMs() - beganAtMs;
    expect(heldMs).toBeGreaterThan(0);
    expect(heldMs / tookMs).toBeLessThan(0.05);
    expect(at.asked).toBeLessThanOrEqual(Math.ceil(tookMs / PAUSE_MS));
  });

  test('H2: that is not reached in time is given up, once, with what lies behind it; a nearer one is waited for', async () => {
    const { at, heard, held } = setUp(10, 1_000_001);
    expect(await held(heard(1_000_000))).toBeGreaterThanOrEqual(TIMEOUT_MS);
    expect(heard(1_000_000)).toBeUndefined();
    expect(heard(1_000_001)).toBeUndefined();
    const nearer = heard(20);
    expect(nearer).toBeDefined();
    at.position = 20;
    await held(nearer);
    at.position = 1_000_000;
    expect(heard(1_000_000)).toBeUndefined();
    expect(heard(1_000_001)).toBeDefined();
  });

  test('is waited for, for its time, while nobody tells where the topic ends', async () => {
    const { at, heard, held } = setUp(10, 12);
    at.isAway = true;
    const heldMs = await held(heard(12));
    expect(heldMs).toBeGreaterThanOrEqual(TIMEOUT_MS);
    expect(heldMs).toBeLessThan(TIMEOUT_MS + 100);
    expect(heard(12)).toBeUndefined();
  });
});

describe('what is not known here', () => {
  test('waits for all there was when it came, and is told whether that was anything', async () => {
    const { clock, at, wait } = setUp(10, 12);
    let news: boolean | undefined;
    const waiting = wait.newest()?.then((isNews) => {
      news = isNews;
    });
    await clock.advance(100);
    expect(news).toBeUndefined();
    at.end = 1_000; // since
    at.position = 12;
    await clock.run(waiting as Promise<void>);
    expect(news).toBe(true);
    // The next one waits at once: the last question was of use.
    expect(wait.newest()).toBeDefined();
  });

  test('H3: a flood of tenants that nobody knows costs a partition next to nothing', async () => {
    const { clock, at, wait, held } = setUp(10);
    let heldMs = 0;
    const beganAtMs = clock.nowMs();
    for (let record = 0; record < 10_000; record++) {
      const waiting = wait.newest();
      if (waiting !== undefined) expect(await clock.run(waiting)).toBe(false);
      heldMs += waiting === undefined ? 0 : ANSWER_MS;
      await clock.advance(0.1);
    }
    const tookMs = clock.nowMs() - beganAtMs;
    expect(heldMs).toBeGreaterThan(0);
    expect(heldMs / tookMs).toBeLessThan(0.05);
    expect(at.asked).toBeLessThanOrEqual(Math.ceil(tookMs / PAUSE_MS));
    // Also where the follower stands still: once, for its time.
    at.end = 11;
    await clock.advance(PAUSE_MS);
    expect(await held(wait.newest())).toBeGreaterThanOrEqual(TIMEOUT_MS);
    expect(await held(wait.newest())).toBeLessThanOrEqual(ANSWER_MS);
    expect(await held(wait.newest())).toBe(0);
  });
});
