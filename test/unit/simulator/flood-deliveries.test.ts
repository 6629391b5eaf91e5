import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { floodSends, HOLD_WINDOW, type PlannedSend, plannedSends } from '../../../src/simulator/flood/deliveries.ts';
import { expectedEnvelopes } from '../../../src/simulator/flood/expect.ts';
import type { FloodTarget } from '../../../src/simulator/flood/options.ts';
import type { ModelEvent } from '../../../src/simulator/model/event.ts';
import { signatureOf } from './receiver.ts';

const TARGETS: readonly FloodTarget[] = ['a', 'b'].map((name, at) => ({
  tenantId: `t_${name}`,
  connectionId: `cn_${name}`,
  orgId: `57bb0000000000000000000${at}`,
  token: `token-${name}`,
  url: `http://127.0.0.1:1/webhooks/kustomer/cn_${name}`,
}));

const settings = { seed: 's', count: 600, conversations: 40, duplicates: 0.2, reorder: 0.2 };

function key({ delivery }: PlannedSend): string {
  return `${delivery.event.id}@${delivery.event.rev}`;
}

function bytes(sends: readonly PlannedSend[]): string {
  return sends
    .map(({ seq, delivery, duplicate }) => `${seq} ${duplicate} ${delivery.signature} ${delivery.body}`)
    .join('\n');
}

describe('planned sends', () => {
  const anySettings = fc.record({
    seed: fc.string(),
    count: fc.integer({ min: 1, max: 300 }),
    conversations: fc.integer({ min: 1, max: 60 }),
    duplicates: fc.double({ min: 0, max: 1, noNaN: true }),
    reorder: fc.double({ min: 0, max: 1, noNaN: true }),
  });

  it('hold every change, and exactly the fraction asked for twice and after the first (D1)', () => {
    fc.assert(
      fc.property(anySettings, (options) => {
        const sends = [...floodSends(options, TARGETS)];
        expect(sends.map((send) => send.seq)).toEqual(sends.map((_, index) => index));
        expect(sends).toHaveLength(plannedSends(options));
        const firsts = sends.filter((send) => !send.duplicate);
        expect(new Set(firsts.map(key)).size).toBe(options.count);
        expect(firsts).toHaveLength(options.count);
        const seen = new Map<string, PlannedSend>();
        for (const send of sends) {
          if (send.duplicate) expect(seen.get(key(send))?.delivery).toBe(send.delivery);
          else seen.set(key(send), send);
        }
        const repeated = sends.filter((send) => send.duplicate).map(key);
        expect(new Set(repeated).size).toBe(repeated.length);
      }),
      { numRuns: 60 },
    );
  });

  it('keep the order of revisions without reorder, and not with it (D2)', () => {
    const inOrder = [...floodSends({ ...settings, reorder: 0 }, TARGETS)].filter((send) => !send.duplicate);
    expect(overtaken(inOrder)).toEqual([]);
    expect(inOrder.some((send) => send.overtaken)).toBe(false);
    const shuffled = [...floodSends(settings, TARGETS)].filter((send) => !send.duplicate);
    expect(overtaken(shuffled).length).toBeGreaterThan(20);
    expect(shuffled.filter((send) => send.overtaken).map(key)).toEqual(overtaken(shuffled));
  });

  it('hold no change back for longer than the window (D3)', () => {
    const count = HOLD_WINDOW + 500;
    const options = { ...settings, count, conversations: count, duplicates: 0, reorder: 0.01 };
    const plain = [...floodSends({ ...options, reorder: 0 }, TARGETS)].map(key);
    const place = new Map(plain.map((name, at) => [name, at]));
    [...floodSends(options, TARGETS)].forEach((send, at) => {
      expect(at - (place.get(key(send)) as number)).toBeLessThanOrEqual(HOLD_WINDOW + 1);
    });
  });

  it('are the same bytes for the same seed, and share no object with another seed or target (D4)', () => {
    const sends = [...floodSends(settings, TARGETS)];
    expect(bytes([...floodSends(settings, TARGETS)])).toBe(bytes(sends));
    const ids = new Set(sends.map(({ delivery }) => delivery.event.id));
    for (const other of floodSends({ ...settings, seed: 's2' }, TARGETS))
      expect(ids.has(other.delivery.event.id)).toBe(false);
    const targets = Map.groupBy(sends, ({ delivery }) => delivery.event.id);
    for (const [, all] of targets) expect(new Set(all.map(({ delivery }) => delivery.target)).size).toBe(1);
  });

  it('are signed with the token of their target and name its organisation', () => {
    for (const { delivery } of floodSends(settings, TARGETS)) {
      const target = TARGETS[delivery.target] as FloodTarget;
      const body = delivery.body.toString();
      expect(delivery.signature).toBe(signatureOf(target.token, body));
      expect(JSON.parse(body)).toMatchObject({
        org: target.orgId,
        name: delivery.event.name,
        dataId: delivery.event.id,
      });
    }
  });

  it('open about as many conversations as asked for', () => {
    const created = [...floodSends({ ...settings, count: 3000, conversations: 200, duplicates: 0 }, TARGETS)].filter(
      ({ delivery }) => delivery.event.name === 'kustomer.conversation.create',
    );
    expect(created).toHaveLength(200);
  });
});

/** Keys sent after a higher revision of their object. */
function overtaken(sends: readonly PlannedSend[]): string[] {
  const highest = new Map<string, number>();
  return sends
    .filter(({ delivery: { event } }) => {
      const before = highest.get(event.id) ?? 0;
      highest.set(event.id, Math.max(before, event.rev));
      return event.rev < before;
    })
    .map(key);
}

describe('expectations', () => {
  it('follow from what the body says', () => {
    const types = new Map<string, number>();
    for (const { delivery } of floodSends({ ...settings, count: 5000, duplicates: 0 }, TARGETS)) {
      const body = JSON.parse(delivery.body.toString());
      const changed = body.changes?.attributes ?? {};
      const answer = changed.satisfactionLevel?.after.status;
      const wanted = [
        ...(body.name === 'kustomer.conversation.create' ? ['conversation.created'] : []),
        ...(body.name === 'kustomer.message.create' ? ['conversation.message.created'] : []),
        ...(body.name === 'kustomer.conversation.update' && changed.status ? ['conversation.status.changed'] : []),
        ...(answer === 'rated' || answer === 'commented' ? ['conversation.satisfaction.updated'] : []),
        ...(body.name === 'kustomer.customer.update' ? ['customer.updated'] : []),
      ];
      expect(delivery.expect.map((envelope) => envelope.event_type)).toEqual(wanted);
      for (const { event_type, fields } of delivery.expect) {
        types.set(event_type, (types.get(event_type) ?? 0) + 1);
        if (event_type !== 'conversation.status.changed') continue;
        expect(fields).toMatchObject({
          status: body.data.attributes.status,
          previous_status: changed.status.before,
          reopened: changed.status.before === 'done' && body.data.attributes.status === 'open',
          reopen_count: body.data.attributes.reopenCount ?? null,
        });
        if (fields['reopened'] === true) expect(changed.reopenCount.after).toBe(fields['reopen_count']);
      }
    }
    for (const count of types.values()) expect(count).toBeGreaterThan(30);
    expect([...types.keys()].sort()).toEqual([
      'conversation.created',
      'conversation.message.created',
      'conversation.satisfaction.updated',
      'conversation.status.changed',
      'customer.updated',
    ]);
  });

  it('hold nothing for a survey merely offered, nor for users, teams, tags and messages changed', () => {
    const level = { status: 'offered' };
    const event = (name: string, attributes: object): ModelEvent =>
      ({
        name,
        id: 'x',
        body: { data: { attributes: {}, relationships: {} }, changes: { attributes } },
      }) as unknown as ModelEvent;
    expect(expectedEnvelopes(event('kustomer.conversation.update', { satisfactionLevel: { after: level } }))).toEqual(
      [],
    );
    for (const name of [
      'message.update',
      'user.create',
      'user.update',
      'team.update',
      'tag.create',
      'customer.create',
    ]) {
      expect(expectedEnvelopes(event(`kustomer.${name}`, {}))).toEqual([]);
    }
  });
});
