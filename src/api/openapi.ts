/** The OpenAPI 3.1 document, made from the routes themselves; and the route that serves it. */
import { z } from 'zod';
import { API_ERRORS, type ApiErrorType } from './errors.ts';
import { definePublicRoute, type Route } from './route.ts';

type Json = Readonly<Record<string, unknown>>;

const ERROR_TYPES = [...new Set(Object.values(API_ERRORS).map(({ type }) => type))] as [
  ApiErrorType,
  ...ApiErrorType[],
];

const errorEnvelope = z.object({
  error: z.object({
    type: z.enum(ERROR_TYPES),
    code: z.string().describe('Branch on this, never on the message.'),
    message: z.string(),
    doc_url: z.string(),
    request_id: z.string(),
    problems: z
      .array(
        z.object({
          field: z.string().nullable(),
          code: z.string(),
          message: z.string(),
          remedy: z.string().optional(),
          line: z.number().int().optional(),
          column: z.number().int().optional(),
        }),
      )
      .optional(),
  }),
});

const RATE_HEADERS = {
  'X-RateLimit-Limit': {
    description: 'Requests in a minute, of the tenant and class of routes.',
    schema: { type: 'integer' },
  },
  'X-RateLimit-Remaining': { description: 'How many are left.', schema: { type: 'integer' } },
  'X-RateLimit-Reset': { description: 'When all are there again, Unix seconds.', schema: { type: 'integer' } },
};

export function openApiDocument(routes: readonly Route[], version: string): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    const path = route.url.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'cn-kustomer control API',
      version,
      description:
        'Tenancy comes from the bearer token alone. Lists are paged with opaque cursors. Times are RFC 3339 in UTC. New fields, enum members and error codes may come within a major version.',
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', description: 'sk_live_…' } },
      schemas: { Error: answerSchema(errorEnvelope) },
      responses: {
        Error: {
          description: 'What could not be done, and why.',
          headers: { 'X-Request-Id': { schema: { type: 'string' } }, 'Retry-After': { schema: { type: 'integer' } } },
          content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
        },
      },
    },
  };
}

function operation(route: Route): Json {
  const { id, tag, summary, scope, method, body, response, streams, idempotent } = route;
  const needed = scope === 'public' || scope === 'any' ? '' : ` Needs ${scope}.`;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(needed !== '' && { description: needed.trim() }),
    ...(scope === 'public' && { security: [] }),
    parameters: [
      ...parametersOf(route.params, 'path'),
      ...parametersOf(route.query, 'query'),
      ...(idempotent === undefined ? [] : [IDEMPOTENCY_KEY]),
    ],
    ...(body !== undefined && {
      requestBody: {
        required: method !== 'DELETE' && !body.safeParse({}).success,
        content: { 'application/json': { schema: plainSchema(body, 'input') } },
      },
    }),
    responses: {
      ...Object.fromEntries(
        Object.entries(response).map(([status, schema]) => [
          status,
          {
            description: status === '202' ? 'Accepted; not done yet.' : 'Done.',
            ...(scope !== 'public' && { headers: RATE_HEADERS }),
            content:
              streams === undefined
                ? { 'application/json': { schema: answerSchema(schema) } }
                : { [streams]: { schema: { type: 'string' } } },
          },
        ]),
      ),
      default: { $ref: '#/components/responses/Error' },
    },
  };
}

const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'The same key with the same request gets the stored answer for 24 hours.',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
};

function parametersOf(schema: z.ZodObject | undefined, at: 'path' | 'query'): readonly Json[] {
  return Object.entries(schema?.shape ?? {}).map(([name, one]) => {
    const field = one as z.ZodType;
    // A text that is read as something else has nothing to say of its result: then what is written counts.
    const { description, ...shown } = { ...plainSchema(field, 'input'), ...plainSchema(field, 'output') };
    return {
      name,
      in: at,
      required: at === 'path' || !field.safeParse(undefined).success,
      ...(description !== undefined && { description }),
      schema: shown,
    };
  });
}

function plainSchema(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Record<string, unknown>;
  return rest;
}

/** Readers must take fields that are added later, so answers are not closed although we hold ourselves to them. */
function answerSchema(schema: z.ZodType): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io: 'output',
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    },
  }) as Record<string, unknown>;
  return rest;
}

/** The document speaks of this route too. */
export function openApiRoutes(others: readonly Route[], version: string): readonly Route[] {
  let document: Json | undefined;
  const own: Route = definePublicRoute({
    id: 'getOpenApi',
    method: 'GET',
    url: '/v1/openapi.json',
    summary: 'This document.',
    tag: 'meta',
    scope: 'public',
    response: { 200: z.record(z.string(), z.unknown()) },
    handler: async () => {
      document ??= openApiDocument([...others, own], version);
      return { body: document };
    },
  });
  return [own];
}
