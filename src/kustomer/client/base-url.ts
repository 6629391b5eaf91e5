/** Where an organisation's API is, and which links may be followed from it. */
import { CodedError } from '../../base/errors.ts';

export interface Base {
  readonly origin: string;
  /** In front of every path of ours. */
  readonly prefix: '/v1';
}

export interface BaseOptions {
  /** The `acme` of acme.kustomerapp.com. */
  readonly subdomain?: string | undefined;
  /** Another host, for the simulator or a pod's own. With or without `/v1`. */
  readonly baseUrl?: string | undefined;
}

const SUBDOMAIN = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost']);

/** Plain HTTP only to this machine: the key travels in a header. */
export function baseOf({ subdomain, baseUrl }: BaseOptions): Base {
  if (baseUrl !== undefined) {
    const url = URL.canParse(baseUrl) ? new URL(baseUrl) : null;
    const plain = url?.protocol === 'http:' && LOOPBACK.has(url.hostname);
    if (url === null || !(url.protocol === 'https:' || plain)) {
      throw new CodedError('config_invalid', 'the base URL of Kustomer must be https, or http on this machine');
    }
    if (
      !/^\/(?:v1\/?)?$/.test(url.pathname) ||
      url.search !== '' ||
      url.hash !== '' ||
      url.username !== '' ||
      url.password !== ''
    ) {
      throw new CodedError('config_invalid', 'the base URL of Kustomer must be a host, at most followed by /v1');
    }
    return { origin: url.origin, prefix: '/v1' };
  }
  if (subdomain === undefined || !SUBDOMAIN.test(subdomain)) {
    throw new CodedError('config_invalid', 'the subdomain of Kustomer must be the acme of acme.kustomerapp.com');
  }
  return { origin: `https://${subdomain.toLowerCase()}.api.kustomerapp.com`, prefix: '/v1' };
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** Path and query as sent; null when a segment is empty or would climb the path. */
export function pathOf(base: Base, segments: readonly string[], query: Query = {}): string | null {
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) return null;
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.set(name, String(value));
  }
  const path = [base.prefix, ...segments.map(encodeSegment)].join('/');
  return search.size === 0 ? path : `${path}?${search}`;
}

/** `phone=%2B49…` and `id1,id2`: the signs that carry meaning inside a segment of Kustomer's stay as they are. */
function encodeSegment(text: string): string {
  return encodeURIComponent(text).replaceAll('%3D', '=').replaceAll('%2C', ',');
}

/** A link of an answer, relative as Kustomer writes them; null when it leads to another host. */
export function linkPath(base: Base, link: string): string | null {
  const url = resolve(base, link);
  return url === null ? null : url.pathname + url.search;
}

function resolve({ origin }: Base, reference: string): URL | null {
  if (!URL.canParse(reference, origin)) return null;
  const url = new URL(reference, origin);
  return url.origin === origin ? url : null;
}
