/** Cites lease.ts (A1, A2). */
import { expect, test } from 'vitest';
import { realClock } from '../../../src/base/clock.ts';
import { Lease } from '../../../src/kafka/lease.ts';

const SESSION_MS = 10_000;

/** Time goes on for both clocks; who sets the time, or has the machine sleep, moves one. */
function setUp() {
  const at = { wallMs: 1_000_000, steadyMs: 5_000 };
  const clock = { nowMs: () => at.wallMs, steadyMs: () => at.steadyMs };
  const lease = new Lease({ clock, sessionTimeoutMs: SESSION_MS });
  const pass = (ms: number) => {
    at.wallMs += ms;
    at.steadyMs += ms;
  };
  const leftMs = () => lease.untilMs - at.wallMs;
  return { at, lease, pass, leftMs };
}

test('there is none before the first heartbeat, a session from its sending, and none after a lapse', () => {
  const { at, lease, pass, leftMs } = setUp();
  expect(leftMs()).toBe(Number.NEGATIVE_INFINITY);
  const sentAtMs = at.wallMs;
  pass(300);
  lease.renew(sentAtMs);
  expect(lease.untilMs).toBe(sentAtMs + SESSION_MS);
  pass(9_700);
  expect(leftMs()).toBe(0);
  lease.renew(at.wallMs);
  expect(leftMs()).toBe(SESSION_MS);
  lease.lapse();
  expect(leftMs()).toBe(Number.NEGATIVE_INFINITY);
});

test('A1: a clock that is set back does not make it longer, however little lies between', () => {
  const { at, lease, pass, leftMs } = setUp();
  lease.renew(at.wallMs);
  pass(9_000);
  at.wallMs -= 8_000; // later than the heartbeat still
  expect(leftMs()).toBe(1_000);
  pass(1_000);
  expect(leftMs()).toBe(0);
  // A process that was stopped for a minute, and a clock that hides it.
  lease.renew(at.wallMs);
  pass(60_000);
  at.wallMs -= 59_000;
  expect(leftMs()).toBeLessThan(0);
});

test('A1: nor does a machine that slept, of which only the wall clock tells; a clock set forward ends it early', () => {
  const { at, lease, leftMs } = setUp();
  lease.renew(at.wallMs);
  at.wallMs += SESSION_MS;
  expect(leftMs()).toBe(0);
});

test('A2: a heartbeat that lies in the future is none; the next one counts', () => {
  const { at, lease, pass, leftMs } = setUp();
  lease.renew(at.wallMs);
  at.wallMs -= 1;
  expect(leftMs()).toBe(Number.NEGATIVE_INFINITY);
  // Sent before the clock was set, answered after.
  lease.renew(at.wallMs + 500);
  expect(leftMs()).toBe(Number.NEGATIVE_INFINITY);
  pass(1_000);
  expect(leftMs()).toBe(Number.NEGATIVE_INFINITY);
  lease.renew(at.wallMs);
  expect(leftMs()).toBe(SESSION_MS);
});

test("the service's clock has one that nobody sets", () => {
  const before = realClock.steadyMs?.() ?? Number.NaN;
  expect(realClock.steadyMs?.()).toBeGreaterThanOrEqual(before);
  const lease = new Lease({ clock: realClock, sessionTimeoutMs: SESSION_MS });
  lease.renew(realClock.nowMs());
  const leftMs = lease.untilMs - realClock.nowMs();
  expect(leftMs).toBeGreaterThan(SESSION_MS / 2);
  expect(leftMs).toBeLessThanOrEqual(SESSION_MS);
});
