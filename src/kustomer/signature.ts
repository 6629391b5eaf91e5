/**
 * Webhook signatures: lowercase hex HMAC-SHA256 of the raw body under the webhook's token.
 *
 * Nothing in it is dated, so a recorded request verifies for ever: replays are caught by the change identity later.
 */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';

/** As Node spells request headers. */
export const SIGNATURE_HEADER = 'x-kustomer-webhook-signature';

export type SignatureVerdict = 'valid' | 'missing' | 'invalid';

const HEX_LENGTH = 64;
const HEX = /^[0-9a-f]*$/;
// Compared as text in two fixed buffers, so that nothing is allocated.
const given = Buffer.alloc(HEX_LENGTH);
const wanted = Buffer.alloc(HEX_LENGTH);

/** A token prepared for many verifications. */
export function signingKey(token: string): KeyObject {
  return createSecretKey(token, 'utf8');
}

export function sign(rawBody: Buffer, key: KeyObject): string {
  return createHmac('sha256', key).update(rawBody).digest('hex');
}

/**
 * True to its name only over the bytes as received. Every live key is tried whatever the earlier ones said, so the
 * time taken tells nothing about which token is in use. No keys: nothing is valid.
 */
export function verifySignature(
  rawBody: Buffer,
  headerValue: string | undefined,
  keys: readonly KeyObject[],
): SignatureVerdict {
  if (headerValue === undefined || headerValue === '') return 'missing';
  if (headerValue.length !== HEX_LENGTH || !HEX.test(headerValue)) return 'invalid';
  given.write(headerValue, 'latin1');
  let matches = false;
  for (const key of keys) {
    wanted.write(sign(rawBody, key), 'latin1');
    matches = timingSafeEqual(given, wanted) || matches;
  }
  return matches ? 'valid' : 'invalid';
}
