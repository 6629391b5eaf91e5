/** A client for one command: its few calls are not worth a share of the budget that the service's processes hand out. */
import { CodedError } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import type { Connection } from '../../fibric/connection.ts';
import { createBudgetGate } from '../../kustomer/client/budget-gate.ts';
import { createKustomerClient, type KustomerClient } from '../../kustomer/client/client.ts';

export async function withClient<T>(
  connection: Connection & { readonly apiKey: Secret | null },
  work: (client: KustomerClient) => Promise<T>,
): Promise<T> {
  const { apiKey, subdomain, apiBaseUrl, connectionId } = connection;
  if (apiKey === null) {
    throw new CodedError(
      'config_invalid',
      'the connection has no API key; give it one with `connection add --api-key`',
      {
        connectionId,
      },
    );
  }
  const gate = createBudgetGate();
  const client = createKustomerClient({ subdomain, baseUrl: apiBaseUrl ?? undefined, apiKey, gate });
  try {
    return await work(client);
  } finally {
    gate.close();
    await client.close();
  }
}
