/** Which connections share one request budget. */
import type { Connection } from '../../fibric/connection.ts';

/**
 * The organisation as Kustomer's limits know it. By subdomain, which an organisation has one of and every connection
 * names: its id may become known later, and two names for one organisation would be two budgets. A host that is not
 * Kustomer's (a simulator) has organisations of its own.
 */
export function budgetKeyOf({ subdomain, apiBaseUrl }: Pick<Connection, 'subdomain' | 'apiBaseUrl'>): string {
  const organisation = `org/${subdomain.toLowerCase()}`;
  const host = apiBaseUrl === null ? null : URL.parse(apiBaseUrl)?.host;
  return host == null || /(^|\.)kustomerapp\.com(:\d+)?$/.test(host) ? organisation : `${organisation}@${host}`;
}
