/** What may be typed for a connection. All problems are reported at once. */
import { z } from 'zod';
import { CodedError } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { type Parsed, parseBackfillSince, parsePollInterval } from '../../fibric/poll-settings.ts';
import { TENANT_ID } from '../../kafka/topics.ts';
import { baseOf } from '../../kustomer/client/base-url.ts';
import { CONNECTION_ID } from './connection-record.ts';

const name = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$/;
const optional = (schema: z.ZodString) => schema.optional();

/** What is typed to unset a value. */
const NONE = 'none';

function parsed<T>(parse: (text: string) => Parsed<T>) {
  return z.string().transform((text, context) => {
    const result = parse(text);
    if ('value' in result) return result.value;
    context.addIssue({ code: 'custom', message: result.problem });
    return z.NEVER;
  });
}

function orNone<T>(parse: (text: string) => Parsed<T>): (text: string) => Parsed<T | null> {
  return (text) => (text === NONE ? { value: null } : parse(text));
}

function parseApiBaseUrl(text: string): Parsed<string> {
  try {
    return { value: baseOf({ baseUrl: text }).origin };
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    return { problem: `is not taken: ${error.message}` };
  }
}

function parseKlass(text: string): Parsed<string> {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_-]{0,99}$/.test(text)) return { value: text };
  return { problem: 'is the name of a class of custom objects, such as order, or none' };
}

const inputSchema = (nowMs: number) =>
  z.object({
    tenant: z.string({ error: 'is needed' }).regex(TENANT_ID, 'is a letter or digit, then up to 99 of a-z A-Z 0-9 _ -'),
    id: optional(z.string().regex(CONNECTION_ID, 'is a letter or digit, then up to 63 of a-z A-Z 0-9 _ -')),
    name: optional(z.string().regex(name, 'is a letter or digit, then up to 99 of a-z A-Z 0-9 . _ -')),
    subdomain: optional(
      z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'is the acme of acme.kustomerapp.com, in lower case'),
    ),
    org: optional(z.string().regex(/^[0-9a-f]{24}$/, 'is the organisation id, 24 lower-case hex digits')),
    reseller: optional(z.string().regex(TENANT_ID, 'has characters that are not allowed in an id')),
    workspace: optional(z.string().regex(TENANT_ID, 'has characters that are not allowed in an id')),
    machineUser: optional(z.string().regex(/^[0-9a-f]{24}$/, 'is a user id, 24 lower-case hex digits')),
    extendedEvents: z.boolean().optional(),
    rotate: z.boolean().optional(),
    dropOld: z.boolean().optional(),
    /** true: a new key comes; false: the present one is forgotten. */
    apiKey: z.boolean().optional(),
    /** Default: when there is a new key. */
    check: z.boolean().optional(),
    apiBaseUrl: parsed(orNone(parseApiBaseUrl)).optional(),
    pollInterval: parsed(parsePollInterval).optional(),
    backfillSince: parsed(orNone((text) => parseBackfillSince(text, nowMs))).optional(),
    orderKlass: parsed(orNone(parseKlass)).optional(),
  });

export type ConnectionInput = z.output<ReturnType<typeof inputSchema>>;

/** Throws `config_invalid` naming every option that is wrong. */
export function parseConnectionInput(options: unknown, nowMs: number): ConnectionInput {
  const result = inputSchema(nowMs).safeParse(options);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => `--${kebab(path.join('.'))} ${message}`);
  throw new CodedError('config_invalid', problems.join('; '));
}

/** A token the vendor could have made: printable, without spaces, neither a scrap nor a file. Says nothing of its text. */
export function checkToken(token: Secret): Secret {
  if (/^[\x21-\x7e]{8,512}$/.test(token.reveal())) return token;
  throw new CodedError('config_invalid', 'a webhook token is 8 to 512 printable characters without spaces');
}

/** The same for a key: they are JSON web tokens, but that is the vendor's affair. */
export function checkApiKey(key: Secret): Secret {
  if (/^[\x21-\x7e]{8,8192}$/.test(key.reveal())) return key;
  throw new CodedError('config_invalid', 'an API key is 8 to 8192 printable characters without spaces');
}

function kebab(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
