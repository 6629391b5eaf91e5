/**
 * A schema registry in the process: the endpoints our client uses, with real compatibility checks, in the manner of
 * Confluent or of Apicurio (which answers NONE instead of 404 for a subject without a rule), and with faults.
 */
import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyReply } from 'fastify';
import { findIncompatibilities } from '../../src/kafka/compatibility.ts';

export interface RegistryStubOptions {
  readonly manner?: 'confluent' | 'apicurio';
  /** `user:password` that every request must carry. */
  readonly credentials?: string;
  /** Fixed port, to come back where an earlier stub was. */
  readonly port?: number;
}

export interface RegistryStub {
  readonly url: string;
  readonly port: number;
  /** `METHOD /path` of every request, in order. */
  readonly requests: string[];
  readonly levels: Map<string, string>;
  /** Status that answers every request from now on; `hang` never answers; null mends it. */
  fault: number | 'hang' | null;
  /** Faults of single requests: `METHOD /path` → status. */
  readonly faults: Map<string, number>;
  /** Called with `METHOD /path` before the request is answered: somebody else acting at that moment. */
  onRequest: (request: string) => void;
  /** Puts a schema (in the text our client sends) under a subject. */
  add(subject: string, schema: string): void;
  close(): Promise<void>;
}

type SubjectParams = { Params: { subject: string } };
type SchemaBody = { Body: { schema: string } };

export async function startRegistryStub(options: RegistryStubOptions = {}): Promise<RegistryStub> {
  const { manner = 'confluent', credentials, port = 0 } = options;
  const app = Fastify({ forceCloseConnections: true });
  const versions = new Map<string, string[]>();
  const schemas: string[] = [];
  const levels = new Map<string, string>();
  const requests: string[] = [];
  const faults = new Map<string, number>();
  const refuse = (reply: FastifyReply, status: number, code: number, message: string) =>
    reply.status(status).send({ error_code: code, message });
  const idOf = (schema: string) => schemas.indexOf(schema) + 1;

  app.addContentTypeParser('application/vnd.schemaregistry.v1+json', { parseAs: 'string' }, (_request, body, done) =>
    done(null, body === '' ? undefined : JSON.parse(body as string)),
  );
  app.addHook('onRequest', async (request, reply) => {
    requests.push(`${request.method} ${request.url}`);
    stub.onRequest(`${request.method} ${request.url}`);
    const expected = credentials && `Basic ${Buffer.from(credentials).toString('base64')}`;
    if (expected && request.headers.authorization !== expected) return refuse(reply, 401, 401, 'Unauthorized');
    if (stub.fault === 'hang') return new Promise(() => undefined);
    const fault = stub.fault ?? faults.get(`${request.method} ${request.url}`);
    if (fault !== undefined) return refuse(reply, fault, fault * 100, 'a fault of the stub');
  });

  app.get('/config', async () => ({ compatibilityLevel: manner === 'confluent' ? 'BACKWARD' : 'NONE' }));
  app.get<SubjectParams>('/config/:subject', async ({ params: { subject } }, reply) => {
    const level = levels.get(subject);
    if (level !== undefined) return { compatibilityLevel: level };
    if (manner === 'apicurio' && versions.has(subject)) return { compatibilityLevel: 'NONE' };
    return refuse(reply, 404, 40408, 'Subject has no compatibility level');
  });
  app.put<SubjectParams & { Body: { compatibility: string } }>('/config/:subject', async ({ params, body }) => {
    levels.set(params.subject, body.compatibility);
    return { compatibility: body.compatibility };
  });
  app.post<SubjectParams & SchemaBody>('/subjects/:subject', async ({ params: { subject }, body }, reply) => {
    const registered = versions.get(subject);
    if (registered === undefined) return refuse(reply, 404, 40401, 'Subject not found');
    const version = registered.indexOf(body.schema) + 1;
    if (version === 0) return refuse(reply, 404, 40403, 'Schema not found');
    return { subject, version, id: idOf(body.schema), schema: body.schema };
  });
  app.post<SubjectParams & SchemaBody>('/subjects/:subject/versions', async ({ params: { subject }, body }, reply) => {
    const earlier = versions.get(subject) ?? [];
    const level = levels.get(subject) ?? (manner === 'confluent' ? 'BACKWARD' : 'NONE');
    const checked = level === 'NONE' ? [] : level === 'BACKWARD' ? earlier.slice(-1) : earlier;
    const named = checked.map((schema, index) => ({ name: `v${index + 1}`, schema: JSON.parse(schema) }));
    const problems = findIncompatibilities(JSON.parse(body.schema), named);
    if (problems.length > 0) return refuse(reply, 409, 409, `Incompatible: ${problems[0]?.problem}`);
    stub.add(subject, body.schema);
    return { id: idOf(body.schema) };
  });
  app.get<{ Params: { id: string } }>('/schemas/ids/:id', async ({ params }, reply) => {
    const schema = schemas[Number(params.id) - 1];
    return schema === undefined ? refuse(reply, 404, 40403, 'Schema not found') : { schema };
  });

  const stub: RegistryStub = {
    url: '',
    port: 0,
    requests,
    levels,
    fault: null,
    faults,
    onRequest: () => undefined,
    add: (subject, schema) => {
      const earlier = versions.get(subject) ?? [];
      if (!schemas.includes(schema)) schemas.push(schema);
      if (!earlier.includes(schema)) versions.set(subject, [...earlier, schema]);
    },
    close: () => app.close(),
  };
  await app.listen({ host: '127.0.0.1', port });
  const bound = (app.server.address() as AddressInfo).port;
  return Object.assign(stub, { url: `http://127.0.0.1:${bound}`, port: bound });
}
