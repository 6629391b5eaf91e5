/**
 * Writer schemas by wire id, straight from the registry over HTTP, without the client the service uses. When the
 * registry cannot say, the schema file committed with this version is used, and the report says so.
 */
import { readFile } from 'node:fs/promises';
import { request } from 'undici';
import { decoderFor, type EnvelopeDecoder } from './decode.ts';

export interface RegistrySettings {
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
}

export interface SchemaSource {
  /** How many schemas came from where. */
  readonly used: { registry: number; file: number };
  decoder(schemaId: number): Promise<EnvelopeDecoder>;
  /** Only what has been asked for before: the hot path stays synchronous. */
  known(schemaId: number): EnvelopeDecoder | undefined;
}

const TIMEOUT_MS = 5_000;
const FALLBACK = new URL('../../../schemas/envelope.avsc', import.meta.url);

/** Without a registry every schema is the committed one: envelopes of an in-memory log have no registered id. */
export function schemaSource(registry: RegistrySettings | null, fallback: URL = FALLBACK): SchemaSource {
  const decoders = new Map<number, EnvelopeDecoder>();
  const used = { registry: 0, file: 0 };
  return {
    used,
    known: (schemaId) => decoders.get(schemaId),
    async decoder(schemaId) {
      const known = decoders.get(schemaId);
      if (known !== undefined) return known;
      const fetched = registry === null ? null : await fetchSchema(registry, schemaId);
      used[fetched === null ? 'file' : 'registry'] += 1;
      const decoder = decoderFor(fetched ?? JSON.parse(await readFile(fallback, 'utf8')));
      decoders.set(schemaId, decoder);
      return decoder;
    },
  };
}

/** Null when the registry does not answer or does not know the id. */
async function fetchSchema(registry: RegistrySettings, schemaId: number): Promise<unknown> {
  const url = `${registry.url.replace(/\/+$/, '')}/schemas/ids/${schemaId}`;
  const headers: Record<string, string> = { accept: 'application/vnd.schemaregistry.v1+json, application/json' };
  if (registry.username !== undefined)
    headers['authorization'] =
      `Basic ${Buffer.from(`${registry.username}:${registry.password ?? ''}`).toString('base64')}`;
  try {
    const response = await request(url, { headers, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS });
    const body = (await response.body.json()) as { schema?: unknown };
    return response.statusCode === 200 && typeof body.schema === 'string' ? JSON.parse(body.schema) : null;
  } catch {
    return null;
  }
}
