import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DeliveryQueue, RETRY_DELAYS_MS } from '../../../src/simulator/webhooks/delivery-queue.ts';

const EVENT = { eventName: 'kustomer.conversation.update', body: Buffer.from('{}') };
const OPTIONS = { timeScale: 1, maxPending: 100, maxTransactions: 1000 };

/** Fails every attempt at once when due; returns the times of the attempts. */
function failUntilQuiet(queue: DeliveryQueue, status = 500): number[] {
  const times: number[] = [];
  for (let due = queue.nextDueMs(); due !== undefined; due = queue.nextDueMs()) {
    const delivery = queue.take(due);
    expect(delivery).toBeDefined();
    times.push(due);
    queue.answered((delivery as { deliveryId: number }).deliveryId, { sentAtMs: due, status }, due);
  }
  return times;
}

describe('delivery queue', () => {
  it('retries after 1, 1, 2, 5, 10, 15 and 30 minutes, then switches the webhook off (W1, W3)', () => {
    const queue = new DeliveryQueue(OPTIONS);
    expect(queue.offer(EVENT, 0)).toBe('queued');
    const minutes = failUntilQuiet(queue).map((time) => time / 60_000);
    expect(minutes).toEqual([0, 1, 2, 4, 9, 19, 34, 64]);
    expect(queue).toMatchObject({ enabled: false, isError: true, pending: 0, lost: 1 });
    const retries = queue.transactions.map((line) => line.nextRetryMs);
    expect(retries.slice(0, 7).every((next) => next !== null)).toBe(true);
    expect(retries[7]).toBeNull();
  });

  it('divides the schedule by the time scale', () => {
    const queue = new DeliveryQueue({ ...OPTIONS, timeScale: 600 });
    queue.offer(EVENT, 0);
    expect(failUntilQuiet(queue, 0).at(-1)).toBe(6400);
  });

  it('loses what is offered while it is off, and takes again once enabled (W4)', () => {
    const queue = new DeliveryQueue(OPTIONS);
    queue.offer(EVENT, 0);
    failUntilQuiet(queue);
    expect(queue.offer(EVENT, 1)).toBe('disabled');
    queue.enable();
    expect(queue).toMatchObject({ enabled: true, isError: false, pending: 0 });
    expect(queue.offer(EVENT, 2)).toBe('queued');
  });

  it('gives up what waits when it is switched off by the failure of another (W3)', () => {
    const queue = new DeliveryQueue(OPTIONS);
    queue.offer(EVENT, 0);
    const lastMinute = 64 * 60_000;
    queue.offer(EVENT, lastMinute + 1);
    failUntilQuiet(queue);
    expect(queue).toMatchObject({ enabled: false, pending: 0, lost: 2 });
  });

  it('is not marked as failing when a person switches it off', () => {
    const queue = new DeliveryQueue(OPTIONS);
    queue.offer(EVENT, 0);
    const delivery = queue.take(0);
    queue.disable();
    queue.answered(delivery?.deliveryId as number, { sentAtMs: 0, status: 500 }, 1);
    expect(queue).toMatchObject({ enabled: false, isError: false, pending: 0, lost: 1 });
  });

  it('keeps its invariants over any sequence of events, answers and switches', () => {
    const command = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('offer' as const), inMs: fc.nat(5000) }) },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('take' as const) }) },
      { weight: 6, arbitrary: fc.record({ kind: fc.constant('answer' as const), ok: fc.boolean(), pick: fc.nat(50) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('enable' as const, 'disable' as const) }) },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(2_000_000) }) },
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 300 }), (commands) => {
        const queue = new DeliveryQueue({ timeScale: 1, maxPending: 5, maxTransactions: 10_000 });
        const underWay = new Map<number, { failures: number }>();
        const ended = new Set<number>();
        const notBefore = new Map<number, number>();
        let nowMs = 0;
        for (const step of commands) {
          if (step.kind === 'wait') nowMs += step.ms;
          if (step.kind === 'enable') queue.enable();
          if (step.kind === 'disable') queue.disable();
          if (step.kind === 'offer') {
            const [enabled, pending] = [queue.enabled, queue.pending];
            const offered = queue.offer(EVENT, nowMs + step.inMs);
            expect(offered).toBe(!enabled ? 'disabled' : pending >= 5 ? 'full' : 'queued');
          }
          if (step.kind === 'take') {
            const delivery = queue.take(nowMs);
            if (delivery !== undefined) {
              expect(underWay.has(delivery.deliveryId)).toBe(false); // W7
              expect(ended.has(delivery.deliveryId)).toBe(false); // W2
              expect(nowMs).toBeGreaterThanOrEqual(notBefore.get(delivery.deliveryId) ?? 0); // W1
              expect(delivery.failures).toBeLessThanOrEqual(RETRY_DELAYS_MS.length); // W1
              underWay.set(delivery.deliveryId, delivery);
            }
          }
          if (step.kind === 'answer' && underWay.size > 0) {
            const [id, delivery] = [...underWay][step.pick % underWay.size] as [number, { failures: number }];
            underWay.delete(id);
            const logged = queue.transactions.length;
            const wasEnabled = queue.enabled;
            queue.answered(id, { sentAtMs: nowMs, status: step.ok ? 200 : 503 }, nowMs);
            expect(queue.transactions.length).toBe(logged + 1); // W6
            const retried = !step.ok && wasEnabled && delivery.failures < RETRY_DELAYS_MS.length;
            expect(queue.transactions.at(-1)?.nextRetryMs !== null).toBe(retried); // W6
            if (retried) notBefore.set(id, nowMs + (RETRY_DELAYS_MS[delivery.failures] as number));
            else ended.add(id);
            if (!step.ok && wasEnabled && !retried) expect(queue).toMatchObject({ enabled: false, isError: true }); // W3
          }
          expect(queue.pending).toBeLessThanOrEqual(5); // W5
          if (!queue.enabled) expect(queue.nextDueMs()).toBeUndefined(); // W3
        }
      }),
      { numRuns: 300 },
    );
  });
});
