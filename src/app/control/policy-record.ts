/**
 * A policy as a document of the control topic: `policy/<tenant>/<name>`, with the versions that receipts may cite.
 *
 * Strict: a field this version does not know may be what narrows a rule, so a record of a newer version is unreadable, and
 * its tenant closed, rather than half understood.
 */
import { z } from 'zod';
import { CodedError } from '../../base/errors.ts';
import { RULE_KINDS, WINDOW_UNITS } from '../../fibric/policy/document.ts';
import type { Policy, PolicyVersion } from '../../fibric/policy/versions.ts';
import type { DocumentKind } from './documents.ts';

/** Old versions are dropped before a document becomes larger. A version has a few kB: rules repeat no capability. */
export const MAX_POLICY_BYTES = 600_000;

const instant = z.number().int().nonnegative();

const rule = z.strictObject({
  kind: z.enum(RULE_KINDS),
  capability: z.string().min(1),
  limit: z.strictObject({ per: z.enum(WINDOW_UNITS), max: z.number().int().positive() }).nullable(),
  single_flight: z.string().nullable(),
  max_value: z.number().nonnegative().nullable(),
});

const version = z.strictObject({
  version: z.number().int().positive(),
  hash: z.string().min(1),
  applies_to: z.string().nullable(),
  rules: z.array(rule).min(1),
  applied_at_ms: instant,
  applied_by: z.string(),
});

const record = z.strictObject({
  version: z.literal(1),
  name: z.string().min(1),
  status: z.enum(['active', 'disabled', 'deleted']),
  versions: z.array(version).min(1),
  created_at_ms: instant,
  updated_at_ms: instant,
});

type Version = z.infer<typeof version>;

export const POLICY_DOCUMENTS: DocumentKind<Policy> = {
  prefix: 'policy',
  parse(value) {
    const parsed = record.safeParse(value);
    if (!parsed.success || !isAscending(parsed.data.versions)) {
      throw new CodedError('policy_state_unreadable', 'the policy is damaged or of a newer version');
    }
    const { name, status, versions, created_at_ms: createdAtMs, updated_at_ms: updatedAtMs } = parsed.data;
    return { name, status, versions: versions.map((one) => versionOf(name, one)), createdAtMs, updatedAtMs };
  },
  encode({ name, status, versions, createdAtMs, updatedAtMs }) {
    return {
      version: 1,
      name,
      status,
      versions: latest(versions.map(recordOf)),
      created_at_ms: createdAtMs,
      updated_at_ms: updatedAtMs,
    };
  },
};

function isAscending(versions: readonly Version[]): boolean {
  return versions.every((one, at) => at === 0 || one.version > (versions[at - 1] as Version).version);
}

/** The newest always. */
function latest(versions: readonly Version[]): readonly Version[] {
  let bytes = 0;
  let from = versions.length - 1;
  for (let at = versions.length - 1; at >= 0; at -= 1) {
    bytes += Buffer.byteLength(JSON.stringify(versions[at])) + 1;
    if (bytes > MAX_POLICY_BYTES) break;
    from = at;
  }
  return versions.slice(from);
}

function versionOf(name: string, { version, hash, applies_to, rules, applied_at_ms, applied_by }: Version) {
  return {
    version,
    hash,
    document: {
      name,
      appliesTo: applies_to,
      rules: rules.map(({ kind, capability, limit, single_flight, max_value }) => ({
        kind,
        capability,
        limit,
        singleFlight: single_flight,
        maxValue: max_value,
      })),
    },
    appliedAtMs: applied_at_ms,
    appliedBy: applied_by,
  } satisfies PolicyVersion;
}

function recordOf({ version, hash, document, appliedAtMs, appliedBy }: PolicyVersion): Version {
  return {
    version,
    hash,
    applies_to: document.appliesTo,
    rules: document.rules.map(({ kind, capability, limit, singleFlight, maxValue }) => ({
      kind,
      capability,
      limit,
      single_flight: singleFlight,
      max_value: maxValue,
    })),
    applied_at_ms: appliedAtMs,
    applied_by: appliedBy,
  };
}
