/** Asks Kustomer who an API key is and what it may do. */
import { CodedError } from '../../base/errors.ts';
import type { Connection } from '../../fibric/connection.ts';
import type { KustomerClient } from '../../kustomer/client/client.ts';
import { type Ask, currentToken, currentUser } from '../../kustomer/client/operations.ts';
import type { Failure } from '../../kustomer/client/outcome.ts';
import { alignColumns, printable } from '../text-table.ts';
import { broadRoles, judgeRoles, type NeedVerdict } from './key-needs.ts';

export interface KeyReport {
  /** Null where Kustomer does not say. */
  readonly orgId: string | null;
  readonly machineUserId: string;
  readonly userName: string | null;
  readonly expiresAt: string | null;
  readonly needs: readonly NeedVerdict[];
  readonly tooBroad: readonly string[];
}

const ASK: Ask = { lane: 'probes', waitMs: 10_000 };

/** Throws a CodedError that says what is wrong with the key and what to do. */
export async function checkKey(client: KustomerClient, { settings }: Connection): Promise<KeyReport> {
  const { origin } = client.health();
  const user = await currentUser(client, ASK);
  if (user.kind !== 'ok') throw keyProblem(user, origin);
  const token = await currentToken(client, ASK);
  if (token.kind !== 'ok') throw keyProblem(token, origin);
  const { roles, expiresAt } = token.body;
  return {
    orgId: token.body.orgId ?? user.body.orgId,
    machineUserId: user.body.userId,
    userName: user.body.name,
    expiresAt,
    needs: judgeRoles(roles, settings.orderKlass),
    tooBroad: broadRoles(roles),
  };
}

function keyProblem(failure: Failure, origin: string): CodedError {
  return new CodedError(failure.code, `${whatToDo(failure, origin)} (${printable(failure.message)})`, {
    status: failure.status,
  });
}

function whatToDo({ kind, status }: Failure, origin: string): string {
  if (kind === 'permission' && status === 401) {
    return 'Kustomer refuses the API key: it is wrong, was cut when it was copied, has expired or was revoked. Make a new one under Settings › Security › API Keys and give it again';
  }
  if (kind === 'permission') {
    return 'Kustomer knows the API key and does not let it do this. The roles of a key cannot be changed: make a new one with the roles in docs/cli.md';
  }
  if (kind === 'config') {
    return `the key does not belong to the host that was asked, ${origin}. Leave --api-base-url out (or \`none\`) to ask the organisation's own host, or name the host of its pod`;
  }
  if (kind === 'wait') {
    return "the organisation's rate limit is used up at the moment. Try again in a minute, or store the key unchecked with --no-check";
  }
  if (kind === 'refuse') return `${origin} does not answer like Kustomer. Is the subdomain right?`;
  return `Kustomer does not answer at ${origin}. Is the subdomain right? --no-check stores the key unchecked`;
}

/** For people. */
export function describeKey(report: KeyReport): readonly string[] {
  const { orgId, machineUserId, userName, expiresAt, needs, tooBroad } = report;
  const who = `API key of ${printable(userName ?? 'a machine user')} (${machineUserId}), organisation ${orgId ?? 'unknown'}`;
  const rows = needs.map(({ need, granted }) => [
    granted === null ? '?' : granted ? 'yes' : 'no',
    need.what,
    need.anyOf[0] ?? '',
  ]);
  const missing = needs.filter(({ granted }) => granted === false);
  return [
    `${who}, ${expiresAt === null ? 'without an end' : `until ${printable(expiresAt)}`}`,
    ...alignColumns([['MAY', 'WHAT', 'ROLE'], ...rows]),
    ...(needs.some(({ granted }) => granted === null) ? ['Kustomer does not say what roles the key has.'] : []),
    ...missing.map(({ need }) => `missing ${need.anyOf[0]}: ${need.without}`),
    ...(missing.length > 0 ? ['The roles of a key cannot be changed: make a new key with what is missing.'] : []),
    ...(tooBroad.length > 0
      ? [`The key may do far more than is needed (${tooBroad.join(', ')}): a key with only the roles above is safer.`]
      : []),
  ];
}
