/**
 * Secrets at rest: AES-256-GCM under a master key, as text `v1.<keyId>.<iv>.<ciphertext and tag>` (base64url).
 *
 * K1  What is sealed for one tenant, connection and purpose opens for no other: they are its associated data.
 * K2  The first master key seals, all of them open: a new key goes in front, the old one leaves once nothing needs it.
 * K3  No error carries plaintext, ciphertext or key.
 *
 * IVs are random: 96 bits stay far below the collision bound for the number of secrets one key will ever seal.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { CodedError } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';
import { deriveKeys } from './derive.ts';
import { MASTER_KEY_BYTES } from './master-key.ts';

const VERSION = 'v1';
const CIPHER = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;

export interface SealContext {
  readonly tenantId: string;
  readonly connectionId: string;
  /** `webhook-token`, `api-key`, … */
  readonly purpose: string;
}

export interface Keyring {
  seal(secret: Secret, context: SealContext): string;
  /** Throws `secret_unreadable`. */
  open(sealed: string, context: SealContext): Secret;
  /** Id of the key that seals. */
  readonly keyId: string;
  /** True when another key than the first is needed to open it. */
  isStale(sealed: string): boolean;
  /** Keys for something else than sealing, one for each master key, that of the first one first. */
  derive(purpose: string): readonly Buffer[];
}

export function createKeyring(keys: readonly Buffer[], random: (bytes: number) => Buffer = randomBytes): Keyring {
  const sealing = keys[0];
  if (sealing === undefined || keys.some((key) => key.length !== MASTER_KEY_BYTES)) {
    throw new CodedError('config_invalid', `a keyring needs at least one key, each of ${MASTER_KEY_BYTES} bytes`);
  }
  const byId = new Map(keys.map((key) => [keyIdOf(key), key]));
  const keyId = keyIdOf(sealing);

  return {
    keyId,
    seal(secret, context) {
      const iv = random(IV_BYTES);
      const cipher = createCipheriv(CIPHER, sealing, iv, { authTagLength: TAG_BYTES });
      cipher.setAAD(associatedData(context));
      const text = Buffer.concat([cipher.update(secret.reveal(), 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return [VERSION, keyId, iv.toString('base64url'), text.toString('base64url')].join('.');
    },
    open(sealed, context) {
      const parts = sealed.split('.');
      if (parts.length !== 4 || parts[0] !== VERSION) throw unreadable(context, 'it is not of a known form');
      const [, id, ivText, text] = parts as [string, string, string, string];
      const key = byId.get(id);
      if (key === undefined) throw unreadable(context, 'its master key is not in use here');
      const iv = Buffer.from(ivText, 'base64url');
      const bytes = Buffer.from(text, 'base64url');
      if (iv.length !== IV_BYTES || bytes.length < TAG_BYTES) throw unreadable(context, 'it is not of a known form');
      const decipher = createDecipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES });
      decipher.setAAD(associatedData(context));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      try {
        const plain = Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]);
        return new Secret(plain.toString('utf8'));
      } catch {
        throw unreadable(context, 'it was altered, or sealed for something else');
      }
    },
    derive: (purpose) => deriveKeys(keys, purpose),
    isStale: (sealed) => sealed.split('.')[1] !== keyId,
  };
}

/** Tells keys apart without telling them. */
function keyIdOf(key: Buffer): string {
  return createHash('sha256').update('cn-kustomer master key id\0').update(key).digest('hex').slice(0, 8);
}

/** As JSON, so that no two contexts run together. */
function associatedData({ tenantId, connectionId, purpose }: SealContext): Buffer {
  return Buffer.from(JSON.stringify(['cn-kustomer', VERSION, tenantId, connectionId, purpose]));
}

function unreadable({ tenantId, connectionId, purpose }: SealContext, why: string): CodedError {
  return new CodedError('secret_unreadable', `a sealed secret cannot be opened: ${why}`, {
    tenantId,
    connectionId,
    purpose,
  });
}
