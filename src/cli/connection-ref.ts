/** Which connection is meant: the one named, else the only one there is. */
import type { Connector } from './api-types.ts';
import { CliError, usageError } from './errors.ts';
import { EXIT } from './exit.ts';
import type { ApiClient } from './http/client.ts';
import { fetchAll } from './pages.ts';

export async function connectionOf(api: ApiClient, named: string | undefined): Promise<string> {
  if (named !== undefined) return named;
  return theOne((await fetchAll<Connector>(api, '/connectors')).data, 'connection').name;
}

/** `what` is a listing (cn-kustomer), a role (support), or the name or id of a connection. */
export async function connectionFor(api: ApiClient, what: string, named: string | undefined): Promise<Connector> {
  if (named !== undefined) return api.get<Connector>(`/connectors/${encodeURIComponent(named)}`);
  const all = (await fetchAll<Connector>(api, '/connectors')).data;
  return theOne(
    all.filter(({ listing, role, name, id }) => [listing, role, name, id].includes(what)),
    `connection of ${what}`,
  );
}

function theOne(found: readonly Connector[], what: string): Connector {
  const [one, ...others] = found;
  if (one === undefined) {
    throw new CliError('no_connection', `there is no ${what}`, {
      exitCode: EXIT.notFound,
      hint: 'install one with `fibric connectors add`; `fibric connectors list` shows those there are',
    });
  }
  if (others.length === 0) return one;
  const names = found.map(({ name }) => name).join(', ');
  throw usageError(`there are several connections: ${names}`, 'say which with --connection <name>');
}
