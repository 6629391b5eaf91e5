/** What a key can do, as checks that people and the command can tell apart: the first three failures of the connect guide. Pure. */
import type { Check } from '../../api/ports.ts';
import { type CodedError, hasCode } from '../../base/errors.ts';
import type { KeyReport } from '../control/key-check.ts';
import type { NeedVerdict } from '../control/key-needs.ts';

const NEW_KEY =
  'Kustomer keys cannot be re-scoped in place: make a new one with this role under Settings › Security › API Keys, and run `fibric connectors add` again';

/** The guide's table calls these optional, or does not list them: without them less works, and what works is whole. */
const OPTIONAL: ReadonlySet<string> = new Set([
  'change conversations',
  'read notes',
  'look at webhooks',
  'create webhooks',
  'delete webhooks',
]);

export function checksOfKey(report: KeyReport): readonly Check[] {
  const { orgId, userName, machineUserId, expiresAt, needs, tooBroad } = report;
  const until = expiresAt === null ? 'without an end' : `until ${expiresAt}`;
  return [
    {
      name: 'authentication',
      ok: true,
      code: 'ok',
      message: `the key is of ${userName ?? machineUserId}, organisation ${orgId ?? 'unknown'}, ${until}`,
      nextStep: null,
    },
    ...needs.map(checkOfNeed),
    ...(tooBroad.length === 0
      ? []
      : [
          {
            name: 'least_privilege',
            ok: false,
            code: 'optional_too_broad',
            message: `the key may do far more than is needed (${tooBroad.join(', ')})`,
            nextStep: 'A key with only the roles above is safer.',
          },
        ]),
  ];
}

function checkOfNeed({ need, granted }: NeedVerdict): Check {
  const name = need.what.replaceAll(' ', '_');
  const [role] = need.anyOf;
  if (granted === true) return { name, ok: true, code: 'ok', message: `may ${need.what}`, nextStep: null };
  const optional = OPTIONAL.has(need.what) ? 'optional_' : '';
  if (granted === null) {
    const message = `Kustomer does not say whether the key may ${need.what}`;
    return { name, ok: null, code: `${optional}unknown`, message, nextStep: null };
  }
  const message = `the key's roles lack ${role}: ${need.without}`;
  return { name, ok: false, code: `${optional}missing_permission`, message, nextStep: NEW_KEY };
}

/** Of a key that Kustomer was asked about in vain; null for faults that are not Kustomer's answer. */
export function checkOfFailure(error: CodedError): Check | null {
  const name = 'authentication';
  const { message } = error;
  if (isUnauthorized(error)) {
    return {
      name,
      ok: false,
      code: 'unauthorized',
      message: `401 Unauthorized: the API key is wrong, was cut when it was copied, has expired or was revoked`,
      nextStep: 'Make a new key under Settings › Security › API Keys and run `fibric connectors add` again.',
    };
  }
  if (hasCode(error, 'kustomer_permission')) {
    return { name, ok: false, code: 'missing_permission', message: `403 Forbidden: ${message}`, nextStep: NEW_KEY };
  }
  if (hasCode(error, 'kustomer_rate_limited', 'budget_exhausted')) {
    return {
      name,
      ok: null,
      code: 'rate_limited',
      message: "429: the organisation's rate limit is used up at the moment, so the key could not be checked",
      nextStep: 'Raise poll_interval if it stays so; check again with `fibric connectors test … --contract`.',
    };
  }
  if (hasCode(error, 'kustomer_misconfigured')) {
    return { name, ok: false, code: 'wrong_host', message, nextStep: 'Is the subdomain right?' };
  }
  if (hasCode(error, 'kustomer_unanswered', 'kustomer_not_sent', 'kustomer_refused')) {
    return { name, ok: false, code: 'unreachable', message, nextStep: 'Is the subdomain right? Try again.' };
  }
  return null;
}

export function isUnauthorized(error: unknown): boolean {
  return hasCode(error, 'kustomer_permission') && error.detail['status'] === 401;
}
