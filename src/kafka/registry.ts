/**
 * The schema registry, Confluent's API (also Apicurio's /apis/ccompat/v7): only to register schemas and to turn schemas
 * into ids and ids into schemas. Each id is asked for once and kept, so a dead registry does not touch running traffic.
 *
 * R1 a version is registered only while its subject is checked against all earlier versions
 * R2 registering what is registered already changes nothing and gives the same id
 * R3 every call ends within its deadline, with a CodedError when it fails; credentials are in none of them
 */
import { hash } from 'node:crypto';
import registryClient, { type SchemaRegistry } from '@kafkajs/confluent-schema-registry';
import avsc from 'avsc';
import { withDeadline } from '../base/deadline.ts';
import { CodedError, hasCode } from '../base/errors.ts';
import { OnceMap } from './once-map.ts';
import { ensureCompatibilityLevel, type Level, pingRegistry } from './registry-config.ts';
import { type RegistryEndpoint, type RegistrySettings, registryEndpoint } from './registry-endpoint.ts';
import { asRegistryError } from './registry-errors.ts';

export interface SchemaRegistryPort {
  /** Fit for logs: no credentials. */
  readonly url: string;
  /** Registers `schema` (Avro JSON) as the newest version of `subject`, BACKWARD_TRANSITIVE, and returns its id. */
  registerSchema(options: { readonly subject: string; readonly schema: string }): Promise<number>;
  /** Id of a schema that has been registered under `subject`; `schema_unknown` when it has not. Asked once, then kept. */
  schemaId(subject: string, schema: string): Promise<number>;
  /** Schema text of an id; `schema_unknown` when there is none. Asked once, then kept. */
  schemaById(schemaId: number): Promise<string>;
  /** Resolves when the registry answers, else rejects with `registry_unavailable` or `config_invalid`. */
  ping(): Promise<void>;
}

/** The subject of a topic's values (TopicNameStrategy). */
export function valueSubject(topic: string): string {
  return `${topic}-value`;
}

export function createSchemaRegistry(settings: RegistrySettings): SchemaRegistryPort {
  const endpoint = registryEndpoint(settings);
  const client = createClient(endpoint);
  const ids = new OnceMap<string, number>();
  const schemas = new OnceMap<number, string>();

  /** One request of the client: bounded, and its errors as ours. */
  async function ask<T>(detail: CodedError['detail'], request: () => Promise<T>): Promise<T> {
    const { baseUrl, requestTimeoutMs } = endpoint;
    const facts = { registry: baseUrl, ...detail };
    try {
      // The client has no bound of its own on a response that stops half way.
      return await withDeadline(request(), requestTimeoutMs, () => {
        throw new Error(`no answer within ${requestTimeoutMs} ms`);
      });
    } catch (error) {
      throw asRegistryError(error, facts);
    }
  }

  const lookUp = (subject: string, schema: string) =>
    ask({ subject }, () => client.getRegistryIdBySchema(subject, avro(schema)));

  async function lookUpOrNull(subject: string, schema: string): Promise<number | null> {
    try {
      return await lookUp(subject, schema);
    } catch (error) {
      if (hasCode(error, 'schema_unknown')) return null;
      throw error;
    }
  }

  async function register(subject: string, schema: string, level: Level): Promise<number> {
    const compatibility = registryClient.COMPATIBILITY[level];
    try {
      // Four requests at most, each bounded by the client's own timeout; the deadline here bounds the sum.
      return (await ask({ subject }, () => client.register(avro(schema), { subject, compatibility }))).id;
    } catch (error) {
      if (!hasCode(error, 'schema_incompatible')) throw error;
      // Somebody else may have registered the same version at the same moment, which some registries refuse to both.
      const registered = await lookUpOrNull(subject, schema);
      if (registered === null) throw error;
      return registered;
    }
  }

  return {
    url: endpoint.baseUrl,
    async registerSchema({ subject, schema }) {
      const text = canonical(schema);
      const level = await ensureCompatibilityLevel(endpoint, subject);
      return (await lookUpOrNull(subject, text)) ?? (await register(subject, text, level));
    },
    async schemaId(subject, schema) {
      const text = canonical(schema);
      return ids.get(`${subject}\n${hash('sha256', text)}`, () => lookUp(subject, text));
    },
    schemaById(schemaId) {
      return schemas.get(schemaId, async () => {
        const type = await ask({ schemaId }, () => client.getSchema(schemaId));
        if (!('schema' in type) || typeof type.schema !== 'function') {
          throw new CodedError('schema_unknown', 'The schema of this id is not Avro', { schemaId });
        }
        return JSON.stringify(type.schema({ exportAttrs: true }));
      });
    },
    ping: () => pingRegistry(endpoint),
  };
}

function createClient({ baseUrl, auth, requestTimeoutMs }: RegistryEndpoint): SchemaRegistry {
  return new registryClient.SchemaRegistry({
    host: baseUrl,
    ...(auth === null ? {} : { auth: { username: auth.username, password: auth.password.reveal() } }),
    // Waiting for a registry is waitForRegistry's business. Every field is given: the client merges them into a global.
    retry: { retries: 0, maxRetryTimeInSecs: 1, initialRetryTimeInSecs: 0.1, factor: 0.2, multiplier: 2 },
    middlewares: [
      () => ({
        prepareRequest: async (next) => (await next()).enhance({ timeout: requestTimeoutMs }),
        // The client's HTTP layer reports a refused or broken connection as status 400.
        response: (next) =>
          next().catch((response) => {
            const isNetworkError = typeof response?.error === 'function' && response.error() !== null;
            throw isNetworkError ? response.enhance({ status: 503 }) : response;
          }),
      }),
    ],
  });
}

/** Ids belong to a schema's text, so white space must not make another schema of it. */
function canonical(schema: string): string {
  try {
    const parsed = JSON.parse(schema);
    avsc.Type.forSchema(parsed);
    return JSON.stringify(parsed);
  } catch (cause) {
    throw new CodedError('schema_incompatible', 'The text is not an Avro schema', {}, { cause });
  }
}

function avro(schema: string) {
  return { type: registryClient.SchemaType.AVRO as const, schema };
}
