/** The API over HTTP, as a client with one token sees it. */
export interface HttpAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every form
  readonly body: any;
  readonly text: string;
  readonly headers: Headers;
}

export type ApiClient = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
) => Promise<HttpAnswer>;

export function apiClient(url: string, token: string | null): ApiClient {
  return async (method, path, body, headers = {}) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(token !== null && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    return {
      status: response.status,
      body: text.startsWith('{') ? JSON.parse(text) : null,
      text,
      headers: response.headers,
    };
  };
}

/** A tenant and a token of it, made as the platform does it. */
export async function newTenant(admin: ApiClient, id: string, scopes: readonly string[] = ['admin']): Promise<string> {
  const made = await admin('POST', '/v1/tenants', { id, name: id });
  if (made.status !== 201) throw new Error(made.text);
  const token = await admin('POST', `/v1/tenants/${id}/tokens`, { name: 'test', scopes });
  if (token.status !== 201) throw new Error(token.text);
  return token.body.token as string;
}
