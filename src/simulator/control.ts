/**
 * `/_simulator`: what only a simulator has. State, traffic and faults of each organisation, named by its name. No key is
 * asked for: the server listens on loopback.
 */
import { z } from 'zod';
import { notFound, parseBody } from './api/route.ts';
import type { Org } from './org.ts';
import type { TrafficDriver } from './traffic-driver.ts';
import { faultsSchema } from './webhooks/faults.ts';

export interface ControlledOrg {
  readonly org: Org;
  readonly traffic: TrafficDriver;
}

const trafficBody = z.strictObject({
  org: z.string(),
  /** Webhook events a second; 0 stops. */
  rate: z.number().min(0).max(10_000),
});

const faultsBody = z.strictObject({ org: z.string(), faults: faultsSchema });

const actBody = z.strictObject({ org: z.string(), steps: z.int().min(1).max(10_000).default(1) });

export interface ControlRoute {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly handle: (orgs: readonly ControlledOrg[], body: unknown, nowMs: number) => unknown;
}

function find(orgs: readonly ControlledOrg[], name: string): ControlledOrg {
  const found = orgs.find(({ org }) => org.organisation.name === name);
  if (found === undefined) throw notFound('org');
  return found;
}

/** No tokens and no keys. */
function stateOf({ org, traffic }: ControlledOrg): unknown {
  const { organisation } = org;
  return {
    org: organisation.name,
    orgId: organisation.orgId,
    objects: {
      conversations: organisation.conversations.size,
      customers: organisation.customers.size,
      messages: organisation.messages.size,
      users: organisation.users.size,
      teams: organisation.teams.size,
      tags: organisation.tags.size,
    },
    published: org.published,
    traffic: { rate: traffic.eventsPerSecond },
    faults: org.faults,
    webhooks: org.webhooks.list().map(({ id, name, url, events, queue }) => ({
      id,
      name,
      url,
      events,
      enabled: queue.enabled,
      isError: queue.isError,
      pending: queue.pending,
      lost: queue.lost,
    })),
  };
}

export const CONTROL_ROUTES: readonly ControlRoute[] = [
  { method: 'GET', path: '/_simulator/state', handle: (orgs) => ({ orgs: orgs.map(stateOf) }) },
  {
    method: 'POST',
    path: '/_simulator/traffic',
    handle: (orgs, body) => {
      const { org, rate } = parseBody(trafficBody, body);
      const found = find(orgs, org);
      found.traffic.setRate(rate);
      return stateOf(found);
    },
  },
  {
    method: 'POST',
    path: '/_simulator/faults',
    handle: (orgs, body) => {
      const { org, faults } = parseBody(faultsBody, body);
      const found = find(orgs, org);
      found.org.faults = faults;
      return stateOf(found);
    },
  },
  {
    method: 'POST',
    path: '/_simulator/act',
    handle: (orgs, body, nowMs) => {
      const { org, steps } = parseBody(actBody, body);
      const found = find(orgs, org);
      for (let step = 0; step < steps; step += 1) found.org.act(nowMs);
      return stateOf(found);
    },
  },
];
