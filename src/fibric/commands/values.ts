/**
 * The values commands are made of. Messages complete the sentence "<field> …" and never quote the value: it may be a
 * customer's words.
 *
 * Ids are taken in one spelling only. Kustomer's are 24 hex digits, and a database that reads hex in either case would
 * take `ABC…` and `abc…` for one conversation where we would see two lanes and two entities: so lower case it is. The
 * connect guide calls conversations `cnv_63k1`; such an id passes wherever a conversation is named, dry or live (what no
 * conversation has, Kustomer answers with 404), and nowhere else.
 */
import { z } from 'zod';
import { parseInstant } from './instant.ts';

const HEX = '[0-9a-f]{24}';

/** Kustomer's object id. */
export const objectId = z.string().regex(new RegExp(`^${HEX}$`), 'is not an id of Kustomer (24 lower-case hex digits)');

export const conversationId = z
  .string()
  .regex(
    new RegExp(`^(?:${HEX}|cnv_[0-9a-z]{1,40})$`),
    'is not the id of a conversation (24 lower-case hex digits, or cnv_… as in the connect guide)',
  );

/** The voice platform's own id of a call. It becomes part of a path and of a key, so no signs that mean something there. */
export const callId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}$/, 'is not the id of a call (1 to 128 of A-Z a-z 0-9 . _ : @ + -)');

export const phone = z.string().regex(/^\+[1-9][0-9]{6,14}$/, 'is not a phone number in E.164, such as +15550100');

/** An end of a call as the platform tells it: a number, an extension, a SIP address. */
export const line = z
  .string()
  .regex(/^[A-Za-z0-9+*#._:@-]{1,100}$/, 'is not a phone number, extension or SIP address of 1 to 100 characters');

/** As milliseconds it is read by whoever needs it; here only that it can be. */
export const instant = z
  .string()
  .refine((text) => parseInstant(text) !== null, 'is not a time with its zone, such as 2026-01-31T12:00:00Z');

/** A link people may follow from the timeline: no other scheme, and no password in it. */
export const link = z
  .string()
  .max(1024, 'is longer than 1,024 characters')
  .refine(isPlainLink, 'is not an https address without user and password');

function isPlainLink(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url?.protocol === 'https:' && url.username === '' && url.password === '';
}

/** Text that comes back from Kustomer as it was sent: control characters might not, so only tab and line ends are taken. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

export function prose(maxLength: number) {
  return z
    .string()
    .max(maxLength, `is longer than ${maxLength.toLocaleString('en')} characters`)
    .regex(/\S/, 'is empty or blank')
    .refine((text) => !CONTROL.test(text), 'has control characters')
    .refine((text) => text.isWellFormed(), 'has half of a character');
}

export function distinct<T extends z.ZodType>(item: T, max: number) {
  return z
    .array(item)
    .max(max, `has more than ${max} entries`)
    .refine((items) => new Set(items).size === items.length, 'names something twice');
}
