/**
 * Requests made from the OpenAPI document alone, as a client that knows nothing else would make them: right ones, and ones
 * with something broken. Random, but every byte of it from fast-check, so a failure shrinks and comes again.
 */
import fc from 'fast-check';

// biome-ignore lint/suspicious/noExplicitAny: a JSON Schema is anything
type Schema = any;

export interface FuzzRequest {
  readonly method: string;
  readonly url: string;
  readonly body: unknown;
  readonly raw: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

const odd = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(
    '',
    ' ',
    '\u0000',
    '../..',
    '__proto__',
    'constructor',
    '💥',
    'a'.repeat(5000),
    -1,
    1e308,
    [],
    {},
    null,
  ),
  fc.string({ unit: 'binary', maxLength: 30 }),
);

/** Values of a schema; `known` stands in for what a pattern cannot say, such as an id that exists. */
function anyOf(schema: Schema, known: readonly string[]): fc.Arbitrary<unknown> {
  if (schema === undefined || schema === true || Object.keys(schema).length === 0) return fc.jsonValue();
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const branches = schema['anyOf'] ?? schema.oneOf;
  if (branches !== undefined) return fc.oneof(...branches.map((one: Schema) => anyOf(one, known)));
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case 'string':
      return text(schema, known);
    case 'integer':
      return fc.integer({ min: clamp(schema.minimum ?? -1000), max: clamp(schema.maximum ?? 100_000) });
    case 'number':
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(anyOf(schema.items, known), { minLength: schema.minItems ?? 0, maxLength: 4 });
    case 'object':
      return objectOf(schema, known);
    default:
      return fc.jsonValue();
  }
}

const clamp = (n: number): number => Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, n));

function text(schema: Schema, known: readonly string[]): fc.Arbitrary<string> {
  if (schema.format === 'date-time') {
    return fc
      .date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true })
      .map((at) => at.toISOString());
  }
  const own =
    schema.pattern === undefined ? fc.string({ maxLength: schema.maxLength ?? 40 }) : matching(schema.pattern);
  return fc.oneof({ weight: 1, arbitrary: own }, { weight: 2, arbitrary: fc.constantFrom(...known) });
}

function matching(pattern: string): fc.Arbitrary<string> {
  try {
    return fc.stringMatching(new RegExp(pattern, 'u'));
  } catch {
    return fc.string({ maxLength: 40 });
  }
}

function objectOf(schema: Schema, known: readonly string[]): fc.Arbitrary<Record<string, unknown>> {
  const properties = Object.fromEntries(
    Object.entries(schema.properties ?? {}).map(([name, one]) => [name, anyOf(one, known)]),
  );
  const declared = fc.record(properties, { requiredKeys: schema.required ?? [] });
  if (typeof schema.additionalProperties !== 'object') return declared;
  return fc
    .tuple(
      declared,
      fc.dictionary(fc.string({ maxLength: 12 }), anyOf(schema.additionalProperties, known), { maxKeys: 3 }),
    )
    .map(([own, more]) => ({ ...more, ...own }));
}

/** One thing of a body is changed, dropped or added. */
function broken(body: unknown): fc.Arbitrary<unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return odd;
  const keys = Object.keys(body);
  const changes = [
    odd,
    fc.tuple(fc.string({ maxLength: 12 }), odd).map(([key, value]) => ({ ...body, [key]: value })),
    ...(keys.length === 0
      ? []
      : [
          fc.tuple(fc.constantFrom(...keys), odd).map(([key, value]) => ({ ...body, [key]: value })),
          fc
            .constantFrom(...keys)
            .map((key) => Object.fromEntries(Object.entries(body).filter(([name]) => name !== key))),
        ]),
  ];
  return fc.oneof(...changes);
}

/** `known`: ids and names that exist, and the like. */
export function requestsOf(document: Schema, known: readonly string[]): fc.Arbitrary<FuzzRequest> {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, Schema>).map(([method, operation]) => ({ path, method, operation })),
  );
  return fc.constantFrom(...operations).chain(({ path, method, operation }) => {
    const named = (at: string): Schema[] => operation.parameters.filter((one: Schema) => one.in === at);
    const params = fc.tuple(
      ...named('path').map((one) =>
        fc
          .oneof({ weight: 4, arbitrary: anyOf(one.schema, known) }, { weight: 1, arbitrary: odd })
          .map((value) => [one.name, encode(textOf(value))] as const),
      ),
    );
    const query = fc.tuple(
      fc.record(
        Object.fromEntries(
          named('query').map((one) => [
            one.name,
            fc.oneof({ weight: 9, arbitrary: anyOf(one.schema, known) }, { weight: 1, arbitrary: odd }),
          ]),
        ),
        { requiredKeys: named('query').flatMap((one) => (one.required ? [one.name] : [])) as never[] },
      ),
      rarely(fc.tuple(fc.string({ minLength: 1, maxLength: 10 }), fc.string({ maxLength: 10 }))),
    );
    const schema = operation.requestBody?.content['application/json'].schema;
    const whole = schema === undefined ? fc.constant(undefined) : anyOf(schema, known);
    const body = fc.oneof({ weight: 2, arbitrary: whole }, { weight: 1, arbitrary: whole.chain((one) => broken(one)) });
    const raw = rarely(fc.oneof(fc.string({ maxLength: 40 }), fc.json()));
    const headers = fc.record(
      {
        'idempotency-key': fc.constantFrom('k-1', 'k-2', 'k-3', 'x'.repeat(256)),
        'x-request-id': fc.constantFrom('req_abcdefgh', 'nonsense', 'req_'),
        'content-type': fc.constantFrom(
          ...Array(8).fill('application/json'),
          'application/json; charset=utf-8',
          'text/plain',
        ),
        accept: fc.constantFrom('text/event-stream', 'application/json', '*/*', 'image/png'),
        'last-event-id': fc.constantFrom('ev_1', '', 'nonsense'),
      },
      { requiredKeys: [] },
    );
    return fc
      .tuple(params, query, body, raw, headers)
      .map(([pathValues, [queryValues, extra], body, raw, headers]): FuzzRequest => {
        const filled = pathValues.reduce((url: string, [name, value]) => url.replace(`{${name}}`, value), path);
        const pairs = [...Object.entries(queryValues), ...(extra === null ? [] : [extra])];
        const search = pairs.map(([name, value]) => `${encode(name)}=${encode(textOf(value))}`).join('&');
        const withBody = method === 'get' ? undefined : body;
        return {
          method: method.toUpperCase(),
          url: search === '' ? filled : `${filled}?${search}`,
          body: withBody,
          raw: method === 'get' ? undefined : (raw ?? undefined),
          headers: withoutType(headers, method),
        };
      });
  });
}

function rarely<T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.oneof({ weight: 19, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: value });
}

/** A type without a body would be another fault than the one that is looked for. */
function withoutType(headers: Partial<Record<string, string>>, method: string): Record<string, string> {
  const entries = Object.entries(headers).filter(([name]) => method !== 'get' || name !== 'content-type');
  return Object.fromEntries(entries) as Record<string, string>;
}

function encode(value: string): string {
  return encodeURIComponent(value.toWellFormed());
}

/** Made-up objects may have a `toString` that is none. */
function textOf(value: unknown): string {
  return typeof value === 'object' ? (JSON.stringify(value) ?? '') : String(value);
}
