/** Keys for one purpose out of the master keys: HKDF-SHA-256, so that none tells of another, nor of the master key. */
import { hkdfSync } from 'node:crypto';

const KEY_BYTES = 32;

/** In the order of the master keys: the newest first. */
export function deriveKeys(masterKeys: readonly Buffer[], purpose: string): readonly Buffer[] {
  const info = `cn-kustomer derived key 1\0${purpose}`;
  return masterKeys.map((key) => Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), info, KEY_BYTES)));
}
