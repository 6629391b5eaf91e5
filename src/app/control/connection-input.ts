/** What may be typed for a connection. All problems are reported at once. */
import { z } from 'zod';
import { CodedError } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { TENANT_ID } from '../../kafka/topics.ts';
import { CONNECTION_ID } from './connection-record.ts';

const name = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$/;
const optional = (schema: z.ZodString) => schema.optional();

const inputSchema = z.object({
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
});

export type ConnectionInput = z.output<typeof inputSchema>;

/** Throws `config_invalid` naming every option that is wrong. */
export function parseConnectionInput(options: unknown): ConnectionInput {
  const parsed = inputSchema.safeParse(options);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `--${kebab(path.join('.'))} ${message}`);
  throw new CodedError('config_invalid', problems.join('; '));
}

/** A token the vendor could have made: printable, without spaces, neither a scrap nor a file. Says nothing of its text. */
export function checkToken(token: Secret): Secret {
  if (/^[\x21-\x7e]{8,512}$/.test(token.reveal())) return token;
  throw new CodedError('config_invalid', 'a webhook token is 8 to 512 printable characters without spaces');
}

function kebab(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
