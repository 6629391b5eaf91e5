/**
 * Webhook signatures: lowercase hex HMAC-SHA256 of the raw body under the webhook's token.
 *
 * Nothing in it is dated, so a recorded request verifies for ever: replays are caught by the change identity later.
 */
import { timingSafeEqual } from 'node:crypto';
import { HmacKey } from './hmac.ts';

/** As Node spells request headers. */
export const SIGNATURE_HEADER = 'x-kustomer-webhook-signature';

export type SignatureVerdict = 'valid' | 'missing' | 'invalid';

const HEX_LENGTH = 64;
// Compared as text in two fixed buffers, so that nothing is allocated.
const given = Buffer.alloc(HEX_LENGTH);
const wanted = Buffer.alloc(HEX_LENGTH);

/** A token prepared for many verifications. */
export function signingKey(token: string): HmacKey {
  return new HmacKey(token);
}

export function sign(rawBody: Buffer, key: HmacKey): string {
  return key.sign(rawBody);
}

/**
 * True to its name only over the bytes as received. Every live key is tried whatever the earlier ones said, so the
 * time taken tells nothing about which token is in use. No keys: nothing is valid.
 */
export function verifySignature(
  rawBody: Buffer,
  headerValue: string | undefined,
  keys: readonly HmacKey[],
): SignatureVerdict {
  if (headerValue === undefined || headerValue === '') return 'missing';
  // As UTF-8, which maps only ASCII to single bytes: whatever is not lowercase hex then differs from every signature.
  if (headerValue.length !== HEX_LENGTH || given.write(headerValue) !== HEX_LENGTH) return 'invalid';
  let matches = false;
  for (const key of keys) {
    wanted.write(sign(rawBody, key), 'latin1');
    matches = timingSafeEqual(given, wanted) || matches;
  }
  return matches ? 'valid' : 'invalid';
}
