/**
 * `/_simulator`: what only a simulator has. State, traffic and faults of each organisation, named by its name. No key is
 * asked for: the server listens on loopback.
 */
import { z } from 'zod';
import { accessSchema } from './access.ts';
import { notFound, parseBody } from './api/route.ts';
import { behaviourSchema } from './behaviour.ts';
import { applyChange, changeSchema } from './changes.ts';
import { limitsSchema } from './limits/limits.ts';
import type { Org } from './org.ts';
import { requestFaultsSchema } from './requests/faults.ts';
import { searchSettingsSchema } from './search/settings.ts';
import { serviceSchema } from './service-time.ts';
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

const faultsBody = z
  .strictObject({ org: z.string(), faults: faultsSchema.optional(), requests: requestFaultsSchema.optional() })
  .refine(({ faults, requests }) => faults !== undefined || requests !== undefined, 'faults or requests are needed');

const settingsBody = z.strictObject({
  org: z.string(),
  access: accessSchema.optional(),
  limits: limitsSchema.optional(),
  search: searchSettingsSchema.optional(),
  behaviour: behaviourSchema.optional(),
  service: serviceSchema.optional(),
});

const actBody = z.strictObject({ org: z.string(), steps: z.int().min(1).max(10_000).default(1) });

const changeBody = z.strictObject({ org: z.string(), change: changeSchema });

export interface ControlRoute {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly handle: (asked: ControlRequest) => unknown;
}

export interface ControlRequest {
  readonly orgs: readonly ControlledOrg[];
  readonly body: unknown;
  readonly query: Readonly<Record<string, string>>;
  readonly nowMs: number;
}

function find(orgs: readonly ControlledOrg[], name: string): ControlledOrg {
  const found = orgs.find(({ org }) => org.organisation.name === name);
  if (found === undefined) throw notFound('org');
  return found;
}

/** No tokens and no keys. */
function stateOf({ org, traffic }: ControlledOrg, nowMs: number): unknown {
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
      notes: organisation.notes.size,
      kobjects: organisation.kobjects.size,
    },
    published: org.published,
    traffic: { rate: traffic.eventsPerSecond },
    faults: org.faults,
    requestFaults: org.requestFaults.rules,
    requests: org.requests.received,
    writes: { applied: org.writes.count, underWay: org.writes.underWay, overlaps: org.writes.overlapCount },
    service: org.service,
    access: org.access,
    limits: { ...org.limits.settings, taken: org.limits.taken(nowMs), remaining: org.limits.org(nowMs).remaining },
    search: { ...org.search.settings, waiting: org.search.waiting },
    behaviour: org.behaviour,
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
  {
    method: 'GET',
    path: '/_simulator/state',
    handle: ({ orgs, nowMs }) => ({ orgs: orgs.map((org) => stateOf(org, nowMs)) }),
  },
  {
    method: 'POST',
    path: '/_simulator/traffic',
    handle: ({ orgs, body, nowMs }) => {
      const { org, rate } = parseBody(trafficBody, body);
      const found = find(orgs, org);
      found.traffic.setRate(rate);
      return stateOf(found, nowMs);
    },
  },
  {
    method: 'POST',
    path: '/_simulator/faults',
    handle: ({ orgs, body, nowMs }) => {
      const { org, faults, requests } = parseBody(faultsBody, body);
      const found = find(orgs, org);
      if (faults !== undefined) found.org.faults = faults;
      if (requests !== undefined) found.org.requestFaults.configure(requests);
      return stateOf(found, nowMs);
    },
  },
  {
    method: 'POST',
    path: '/_simulator/act',
    handle: ({ orgs, body, nowMs }) => {
      const { org, steps } = parseBody(actBody, body);
      const found = find(orgs, org);
      for (let step = 0; step < steps; step += 1) found.org.act(nowMs);
      return stateOf(found, nowMs);
    },
  },
  {
    method: 'POST',
    path: '/_simulator/settings',
    handle: ({ orgs, body, nowMs }) => {
      const { org, access, limits, search, behaviour, service } = parseBody(settingsBody, body);
      const found = find(orgs, org);
      if (access !== undefined) found.org.access = access;
      if (behaviour !== undefined) found.org.behaviour = behaviour;
      if (service !== undefined) found.org.service = service;
      if (limits !== undefined) found.org.limits.configure(limits);
      if (search !== undefined) found.org.search.configure(search);
      return stateOf(found, nowMs);
    },
  },
  {
    method: 'POST',
    path: '/_simulator/change',
    handle: ({ orgs, body, nowMs }) => {
      const { org, change } = parseBody(changeBody, body);
      return applyChange(find(orgs, org).org, change, nowMs);
    },
  },
  {
    method: 'GET',
    path: '/_simulator/requests',
    handle: ({ orgs, query }) => {
      const { requests } = find(orgs, query['org'] ?? '').org;
      return { received: requests.received, requests: requests.list({ method: query['method'], path: query['path'] }) };
    },
  },
  {
    method: 'GET',
    path: '/_simulator/writes',
    handle: ({ orgs, query }) => {
      const { writes } = find(orgs, query['org'] ?? '').org;
      const list = writes.list({ conversationId: query['conversation'] });
      return { applied: writes.count, overlaps: writes.overlaps, overlapCount: writes.overlapCount, writes: list };
    },
  },
];
