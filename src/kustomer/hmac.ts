/**
 * HMAC-SHA256 (RFC 2104) for many small messages under few keys: both padded keys are computed once, and each message
 * costs two one-shot hashes. createHmac makes a stream object and an OpenSSL context for each message, which is half of
 * what verifying a webhook costs; a test holds this to it.
 */
import { hash } from 'node:crypto';

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
/** Longer messages get memory of their own, which is thrown away again. */
const KEPT_MESSAGE_BYTES = 65_536;

// Between calls they hold the last key's padding and message; nothing outside this file sees them.
const innerInput = Buffer.alloc(BLOCK_BYTES + KEPT_MESSAGE_BYTES);
const outerInput = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES);

export class HmacKey {
  // Private fields, so that a key that ends up in a log line or a dump of an object shows nothing.
  readonly #inner = Buffer.alloc(BLOCK_BYTES, 0x36);
  readonly #outer = Buffer.alloc(BLOCK_BYTES, 0x5c);

  constructor(secret: string) {
    const bytes = Buffer.from(secret, 'utf8');
    const key = bytes.length > BLOCK_BYTES ? hash('sha256', bytes, 'buffer') : bytes;
    for (const [i, byte] of key.entries()) {
      this.#inner[i] = byte ^ 0x36;
      this.#outer[i] = byte ^ 0x5c;
    }
  }

  /** Lowercase hex. */
  sign(message: Buffer): string {
    const end = BLOCK_BYTES + message.length;
    const input = message.length > KEPT_MESSAGE_BYTES ? Buffer.allocUnsafeSlow(end) : innerInput;
    input.set(this.#inner);
    input.set(message, BLOCK_BYTES);
    outerInput.set(this.#outer);
    outerInput.write(hash('sha256', input.subarray(0, end), 'binary'), BLOCK_BYTES, 'latin1');
    return hash('sha256', outerInput, 'hex');
  }
}
