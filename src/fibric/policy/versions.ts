/**
 * The policies of one tenant through time: applied, disabled, deleted. Receipts cite a policy by name and version for as
 * long as they are kept, so what a version said must never change and a number must never come twice.
 *
 * V1 A policy's versions are 1, 2, 3, …; the highest is the one that counts.
 * V2 Applying content that differs from the highest version makes the next one; applying the same content again makes
 *    none. Content is compared in its canonical form (document.ts).
 * V3 A version is never changed. Of old versions the latest MAX_VERSIONS are kept; numbers go on.
 * V4 Only active policies govern. Applying makes active, also what was disabled or deleted: what was applied is in force.
 * V5 A deleted policy keeps its versions, so that the same name goes on where it was.
 * V6 At most MAX_POLICIES govern at once: that bounds what one decision looks at.
 */
import { contentHash, type PolicyDocument } from './document.ts';

export const MAX_POLICIES = 200;
export const MAX_VERSIONS = 100;

export type PolicyStatus = 'active' | 'disabled' | 'deleted';

export interface PolicyVersion {
  readonly version: number;
  readonly hash: string;
  readonly document: PolicyDocument;
  readonly appliedAtMs: number;
  /** Who applied it. */
  readonly appliedBy: string;
}

export interface Policy {
  readonly name: string;
  readonly status: PolicyStatus;
  /** Ascending; never empty. */
  readonly versions: readonly PolicyVersion[];
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** By name. */
export type PolicySet = ReadonlyMap<string, Policy>;

export const NO_POLICIES: PolicySet = new Map();

export type PolicyCommand =
  | { readonly do: 'apply'; readonly document: PolicyDocument; readonly by: string; readonly nowMs: number }
  | { readonly do: 'disable' | 'delete'; readonly name: string; readonly nowMs: number };

/** What a command came to: `created` and `changed` made a version, `activated` only put one back into force. */
export type PolicyOutcome =
  | 'created'
  | 'changed'
  | 'activated'
  | 'disabled'
  | 'deleted'
  | 'unchanged'
  | 'unknown'
  | 'full';

export interface PolicyChange {
  /** The very set given in when nothing changed. */
  readonly set: PolicySet;
  readonly outcome: PolicyOutcome;
  /** As it stands now; null when there is none. */
  readonly policy: Policy | null;
}

export function changePolicies(set: PolicySet, command: PolicyCommand): PolicyChange {
  return command.do === 'apply' ? apply(set, command) : setAside(set, command);
}

function apply(set: PolicySet, command: Extract<PolicyCommand, { do: 'apply' }>): PolicyChange {
  const { document, by, nowMs } = command;
  const before = set.get(document.name) ?? null;
  const hash = contentHash(document);
  const isSame = before !== null && currentVersion(before).hash === hash;
  if (isSame && before.status === 'active') return { set, outcome: 'unchanged', policy: before };
  if (before?.status !== 'active' && activePolicies(set).length >= MAX_POLICIES) {
    return { set, outcome: 'full', policy: before };
  }
  const version = before === null ? 1 : currentVersion(before).version + 1;
  const made: PolicyVersion = { version, hash, document, appliedAtMs: nowMs, appliedBy: by };
  const policy: Policy = {
    name: document.name,
    status: 'active',
    versions: isSame ? before.versions : [...(before?.versions ?? []), made].slice(-MAX_VERSIONS),
    createdAtMs: before?.createdAtMs ?? nowMs,
    updatedAtMs: nowMs,
  };
  return {
    set: withPolicy(set, policy),
    outcome: before === null ? 'created' : isSame ? 'activated' : 'changed',
    policy,
  };
}

function setAside(set: PolicySet, command: Exclude<PolicyCommand, { do: 'apply' }>): PolicyChange {
  const before = set.get(command.name);
  if (before === undefined) return { set, outcome: 'unknown', policy: null };
  const status = command.do === 'disable' ? 'disabled' : 'deleted';
  // A deleted policy cannot be disabled: to whoever asks, it is not there.
  if (before.status === 'deleted')
    return { set, outcome: status === 'deleted' ? 'unchanged' : 'unknown', policy: before };
  if (before.status === status) return { set, outcome: 'unchanged', policy: before };
  const policy: Policy = { ...before, status, updatedAtMs: command.nowMs };
  return { set: withPolicy(set, policy), outcome: status, policy };
}

function withPolicy(set: PolicySet, policy: Policy): PolicySet {
  return new Map(set).set(policy.name, policy);
}

export function currentVersion({ versions }: Policy): PolicyVersion {
  return versions.at(-1) as PolicyVersion;
}

/** Whatever the policy's status: a receipt may cite what has been deleted since. */
export function policyVersion(set: PolicySet, name: string, version: number): PolicyVersion | null {
  return set.get(name)?.versions.find((kept) => kept.version === version) ?? null;
}

/** Those in force, by name, so that decisions do not depend on the order in which they were applied. */
export function activePolicies(set: PolicySet): readonly Policy[] {
  return [...set.values()].filter(({ status }) => status === 'active').toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
