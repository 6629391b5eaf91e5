/** The text of a bearer token: made, recognised, and reduced to what may be kept. Pure but for the bytes given in. */
import { createHash } from 'node:crypto';
import { Secret } from '../../base/secret.ts';

const PREFIX = 'sk_live_';
const BODY_LENGTH = 40;
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** The largest multiple of 62 in a byte: what lies above would make some letters likelier than others. */
const FAIR = 248;

/** About 238 bits: nobody finds one by trying, so its plain hash can be kept. */
export function newToken(random: (bytes: number) => Buffer): Secret {
  let body = '';
  while (body.length < BODY_LENGTH) {
    for (const byte of random(BODY_LENGTH)) {
      if (byte < FAIR && body.length < BODY_LENGTH) body += BASE62[byte % 62];
    }
  }
  return new Secret(PREFIX + body);
}

export function newId(prefix: 'key' | 't' | 'req', random: (bytes: number) => Buffer): string {
  return `${prefix}_${random(9).toString('hex')}`;
}

/** SHA-256 in hex. */
export function hashToken(token: Secret): string {
  return createHash('sha256').update(token.reveal()).digest('hex');
}

/** What a person tells tokens apart by. */
export function tokenHint(token: Secret): string {
  return `…${token.reveal().slice(-4)}`;
}

/** The token of `Authorization: Bearer …`; null where there is none of that form. */
export function bearerToken(header: string | undefined): Secret | null {
  const [, text] = /^Bearer +([\x21-\x7e]{1,512}) *$/i.exec(header ?? '') ?? [];
  return text === undefined ? null : new Secret(text);
}
