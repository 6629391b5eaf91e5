/**
 * The policies of all tenants, as they are now: what the sink asks before every call, and what the API changes.
 *
 * K1  A tenant of whose policies one cannot be read is closed entirely: that one may be what forbids.
 * K2  A change is decided on all policies of its tenant as they stand at that moment in the log (documents.ts, D1).
 */
import type { Clock } from '../../base/clock.ts';
import { type CompiledPolicies, closedPolicies, compilePolicies } from '../../fibric/policy/compile.ts';
import type { PolicyDocument } from '../../fibric/policy/document.ts';
import {
  changePolicies,
  type Policy,
  type PolicyChange,
  type PolicyCommand,
  type PolicySet,
} from '../../fibric/policy/versions.ts';
import { TENANT_ID } from '../../kafka/topics.ts';
import type { Documents, UnreadableDocument } from './documents.ts';
import { POLICY_DOCUMENTS } from './policy-record.ts';

export interface PolicyStore {
  /** For deciding. The same object until a policy of the tenant changes. */
  of(tenantId: string): CompiledPolicies;
  /** Those that can be read. */
  set(tenantId: string): PolicySet;
  /** Policies for whose sake the tenant is closed. */
  unreadable(tenantId: string): readonly UnreadableDocument[];
  apply(tenantId: string, document: PolicyDocument, by: string): Promise<PolicyChange>;
  disable(tenantId: string, name: string): Promise<PolicyChange>;
  delete(tenantId: string, name: string): Promise<PolicyChange>;
  /** Removes a policy that cannot be read, with all its versions: their numbers come again. False when there is none. */
  discard(tenantId: string, name: string): Promise<boolean>;
  onChange(listener: (tenantId: string) => void): () => void;
}

export function openPolicyStore(documents: Documents, clock: Pick<Clock, 'nowMs'>): PolicyStore {
  const table = documents.table(POLICY_DOCUMENTS);
  const compiled = new Map<string, CompiledPolicies>();
  const listeners = new Set<(tenantId: string) => void>();
  table.onChange((key) => {
    const tenantId = key.slice(0, key.indexOf('/'));
    compiled.delete(tenantId);
    for (const listener of listeners) listener(tenantId);
  });

  const set = (tenantId: string): PolicySet =>
    new Map(table.list(`${tenantId}/`).map(([, policy]) => [policy.name, policy]));

  function compile(tenantId: string): CompiledPolicies {
    const [problem, ...others] = table.unreadable(`${tenantId}/`);
    if (problem === undefined) return compilePolicies(tenantId, set(tenantId));
    const name = problem.key.slice(tenantId.length + 1);
    const more = others.length === 0 ? '' : ` and ${others.length} more`;
    const which = `the policy ${name}${more}`;
    return closedPolicies(tenantId, `${which} cannot be read here, so everything is blocked: ${problem.message}`);
  }

  async function change(tenantId: string, name: string, command: () => PolicyCommand): Promise<PolicyChange> {
    if (!TENANT_ID.test(tenantId)) throw new TypeError('no tenant id');
    let outcome: PolicyChange = { set: new Map(), outcome: 'unknown', policy: null };
    await table.update(`${tenantId}/${name}`, (now): Policy | undefined => {
      outcome = changePolicies(set(tenantId), command());
      return outcome.policy ?? now;
    });
    return outcome;
  }

  return {
    of(tenantId) {
      const known = compiled.get(tenantId);
      if (known !== undefined) return known;
      const made = compile(tenantId);
      // Tenants without policies are not remembered: their names may come from anywhere.
      if (made.policies > 0 || made.closed !== undefined) compiled.set(tenantId, made);
      return made;
    },
    set,
    unreadable: (tenantId) => table.unreadable(`${tenantId}/`),
    apply: (tenantId, document, by) =>
      change(tenantId, document.name, () => ({ do: 'apply', document, by, nowMs: clock.nowMs() })),
    disable: (tenantId, name) => change(tenantId, name, () => ({ do: 'disable', name, nowMs: clock.nowMs() })),
    delete: (tenantId, name) => change(tenantId, name, () => ({ do: 'delete', name, nowMs: clock.nowMs() })),
    discard: (tenantId, name) => table.discard(`${tenantId}/${name}`),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
