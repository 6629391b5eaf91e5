import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { withDeadline } from '../../../src/base/deadline.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const never = () => new Promise<string>(() => undefined);

test('work in time is what it came to, and nobody is told that it was late', async () => {
  const late = vi.fn(() => 'late');
  await expect(withDeadline(Promise.resolve('done'), 10, late)).resolves.toBe('done');
  await expect(withDeadline(Promise.reject(new Error('its own')), 10, late)).rejects.toThrow('its own');
  // No timer is left, which would keep a finished command alive.
  expect(vi.getTimerCount()).toBe(0);
  await vi.advanceTimersByTimeAsync(100);
  expect(late).not.toHaveBeenCalled();
});

test('late work comes to what the caller says, at its deadline and not before', async () => {
  let outcome: string | undefined;
  const waiting = withDeadline(never(), 10, () => 'late').then((value) => {
    outcome = value;
  });
  await vi.advanceTimersByTimeAsync(9);
  expect(outcome).toBeUndefined();
  await vi.advanceTimersByTimeAsync(1);
  await waiting;
  expect(outcome).toBe('late');
});

test('what the caller throws is thrown, and what late work fails of is no unhandled rejection', async () => {
  const failing = Promise.withResolvers<string>();
  const waiting = withDeadline(failing.promise, 10, () => {
    throw new RangeError('too late');
  });
  const rejected = expect(waiting).rejects.toThrow(RangeError);
  await vi.advanceTimersByTimeAsync(10);
  await rejected;
  failing.reject(new Error('nobody listens'));
  await vi.advanceTimersByTimeAsync(0); // an unhandled rejection would fail the run
});
