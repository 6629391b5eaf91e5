/** Floods and recorded manifests depend on it: the same seed gives the same bytes, from one version to the next. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { ModelEvent } from '../../../src/simulator/model/event.ts';
import { Organisation } from '../../../src/simulator/model/organisation.ts';
import { createRandom } from '../../../src/simulator/model/random.ts';
import { openConversation, staffOrganisation, trafficStep } from '../../../src/simulator/model/traffic.ts';

const START_MS = Date.UTC(2026, 0, 1);

function digestOf(customerActivity: boolean): string {
  const organisation = new Organisation({
    orgId: '57bb00000000000000000001',
    name: 'acme',
    seed: 'golden',
    customerActivity,
  });
  const random = createRandom('golden');
  const digest = createHash('sha256');
  const add = (events: readonly ModelEvent[]): void => {
    for (const event of events) digest.update(JSON.stringify(event.body));
  };
  add(staffOrganisation(organisation, START_MS));
  for (let step = 0; step < 2000; step += 1) {
    const nowMs = START_MS + step * 250;
    const opening = step < 20 || step % 20 === 0;
    add(opening ? openConversation(organisation, nowMs, random) : trafficStep(organisation, nowMs, random));
  }
  return digest.digest('hex');
}

describe('two thousand steps of traffic', () => {
  it('give the bytes they have always given', () => {
    expect(digestOf(false)).toBe('294f07b3666138a2fd749e88ec3d326a5106e81ace3514bb56d81bff2de691f8');
    expect(digestOf(true)).toBe('d10e6dfbd6c97f77493ea7d408023ce5fd9b55c4a97f492d71b93d5200e49f3e');
  });
});
