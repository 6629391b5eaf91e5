/** What changes policies: applied, put out of force, deleted. */
import { z } from 'zod';
import { CAPABILITIES } from '../../fibric/policy/capabilities.ts';
import { parsePolicy } from '../../fibric/policy/parse.ts';
import { byLine } from '../caller.ts';
import { ApiError, notFound } from '../errors.ts';
import type { CorePorts } from '../ports.ts';
import { defineRoute, type Route } from '../route.ts';
import { foundPolicy, nameParams } from './find.ts';
import { invalid, unreadable } from './problems.ts';
import { changed, documentBody, policyRow } from './rows.ts';

/** Of one that could not be read: there is nothing else to say of it. */
const discarded = z.strictObject({ object: z.literal('policy_discarded'), name: z.string() });

/** Deleted ones too: their versions are kept, in the memory of every process. */
export const MAX_POLICY_NAMES = 1_000;

export function changeRoutes(ports: Pick<CorePorts, 'policies'>): readonly Route[] {
  const { policies } = ports;
  return [
    defineRoute({
      id: 'applyPolicy',
      method: 'POST',
      url: '/v1/policies',
      summary: 'Apply a policy: a new one, or a new version of the one of that name. In force at once.',
      tag: 'policies',
      scope: 'policies:write',
      body: documentBody,
      response: { 200: policyRow, 201: policyRow },
      idempotent: {},
      handler: async ({ caller, body }) => {
        const parsed = parsePolicy(body.document, CAPABILITIES);
        if (!parsed.ok) throw invalid(parsed.problems);
        const { tenantId } = caller;
        const broken = unreadable(ports, tenantId, parsed.document.name);
        if (broken !== undefined) throw broken;
        const all = policies.set(tenantId);
        if (all.size >= MAX_POLICY_NAMES && !all.has(parsed.document.name)) {
          const message = `there are ${MAX_POLICY_NAMES} policies with those that were deleted; use the name of one of them`;
          throw new ApiError('state_conflict', message);
        }
        const change = await policies.apply(tenantId, parsed.document, byLine(caller));
        if (change.outcome === 'full') throw new ApiError('state_conflict', 'too many policies are in force');
        return { status: change.outcome === 'created' ? 201 : 200, body: changed(tenantId, change) };
      },
    }),
    defineRoute({
      id: 'disablePolicy',
      method: 'POST',
      url: '/v1/policies/:name/disable',
      summary: 'Put a policy out of force. Applying it puts it back.',
      tag: 'policies',
      scope: 'policies:write',
      params: nameParams,
      body: z.strictObject({}),
      response: { 200: policyRow },
      idempotent: {},
      handler: async ({ caller, params }) => {
        foundPolicy(ports, caller.tenantId, params.name);
        const change = await policies.disable(caller.tenantId, params.name);
        if (change.outcome === 'unknown') throw notFound('policy');
        return { body: changed(caller.tenantId, change) };
      },
    }),
    defineRoute({
      id: 'deletePolicy',
      method: 'DELETE',
      url: '/v1/policies/:name',
      summary:
        'Delete a policy. Its versions stay, for receipts cite them; one that cannot be read goes with all of them.',
      tag: 'policies',
      scope: 'policies:write',
      params: nameParams,
      response: { 200: z.union([policyRow, discarded]) },
      handler: async ({ caller, params }) => {
        if (unreadable(ports, caller.tenantId, params.name) !== undefined) {
          await policies.discard(caller.tenantId, params.name);
          return { body: { object: 'policy_discarded' as const, name: params.name } };
        }
        foundPolicy(ports, caller.tenantId, params.name);
        const change = await policies.delete(caller.tenantId, params.name);
        if (change.outcome === 'unknown') throw notFound('policy');
        return { body: changed(caller.tenantId, change) };
      },
    }),
  ];
}
