/** Where the API is, as people write it. Pure. */
import { usageError } from '../errors.ts';

export const DEFAULT_ENDPOINT = 'http://127.0.0.1:8080';

/** Scheme and host, with a path below which /v1 stands, without a slash at its end. Throws `usage`. */
export function parseEndpoint(text: string): string {
  const url = URL.parse(text.trim());
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw usageError('the endpoint is not an address', `write it as ${DEFAULT_ENDPOINT} or https://api.example.com`);
  }
  // Would end up in the credentials file, and in every message that names the endpoint.
  if (url.username !== '' || url.password !== '') throw usageError('an endpoint holds no user name or password');
  const path = url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '');
  return `${url.origin}${path}`;
}

export function isLoopback(endpoint: string): boolean {
  const host = new URL(endpoint).hostname;
  return host === 'localhost' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host) || host.endsWith('.localhost');
}

/** True where what is sent, the token among it, can be read on the way. */
export function isReadableOnTheWay(endpoint: string): boolean {
  return endpoint.startsWith('http:') && !isLoopback(endpoint);
}
