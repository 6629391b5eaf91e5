/**
 * Reads the identifying fields of an event body straight from its bytes, without building the body as objects, which
 * the receiver would do for every delivery only to throw it away.
 *
 * S1  An answer is given only for bytes that JSON.parse takes as an object, and it is the answer JSON.parse leads to.
 * S2  Whatever is unusual is left to JSON.parse by answering undefined: syntax errors, a key that matters twice, an
 *     escape or a non-ASCII byte in a key or field that matters, a revision not written plainly, deep nesting.
 *
 * So a mistake can only lie in being too sure; test/unit/kustomer/peek.test.ts searches for one by mutation. Bytes from
 * 0x80 up may stand in other strings as they are: decoding never lets an invalid sequence swallow an ASCII byte.
 *
 * One loop over tokens, with the open containers as bits of a number: calls and objects per token would cost as much as
 * JSON.parse does.
 */
import { type EventFields, isUpdateWithoutRevision } from './fields.ts';
import { escapeEnd, GIVE_UP, isSpace, scalarEnd, wholeNumber } from './json-tokens.ts';
import { BODY_KEYS, CHANGED_ATTRIBUTES, CHANGED_RELATIONSHIPS, findKey, type ScanKey } from './scan-keys.ts';

const MAX_DEPTH = 30;

// What may come next; after FIRST_KEY and FIRST_VALUE the container may also end at once.
const FIRST_KEY = 0;
const KEY = 1;
const COLON = 2;
const FIRST_VALUE = 3;
const VALUE = 4;
const AFTER_VALUE = 5;

export function scanFields(bytes: Buffer): EventFields | undefined {
  const length = bytes.length;
  const found: { -readonly [F in keyof EventFields]: EventFields[F] } = {
    eventId: null,
    name: null,
    org: null,
    resourceType: null,
    resourceId: null,
    rev: null,
  };
  let changedRev: number | null = null;
  let tellsChanges = false;
  let seen = 0;
  let depth = 1;
  let objects = 1 << depth; // bit d: the container at depth d is an object
  let tracked = depth; // the objects at depths 1…tracked are those whose keys matter, keysAt[d] being these keys
  const keysAt: (readonly ScanKey[])[] = [BODY_KEYS, BODY_KEYS];
  let key: ScanKey | undefined; // the key that matters whose value comes next
  let expect = FIRST_KEY;
  let at = 0;
  while (at < length && isSpace(bytes[at] as number)) at += 1;
  if (bytes[at] !== 0x7b) return undefined;
  at += 1;

  while (at < length) {
    const byte = bytes[at] as number;
    at += 1;

    if (byte === 0x22) {
      const start = at;
      let bits = 0; // of all bytes: below 0x80 while the text is plain ASCII without escapes
      for (;;) {
        if (at >= length) return undefined;
        const inner = bytes[at] as number;
        at += 1;
        if (inner > 0x22 && inner !== 0x5c) bits |= inner;
        else if (inner === 0x22) break;
        else if (inner < 0x20) return undefined;
        else if (inner === 0x5c) {
          bits = 0x80;
          at = escapeEnd(bytes, at);
          if (at === GIVE_UP) return undefined;
        }
      }
      if (expect <= KEY) {
        expect = COLON;
        if (depth !== tracked) continue;
        if (bits >= 0x80) return undefined;
        const keys = keysAt[depth] as readonly ScanKey[];
        if (keys === CHANGED_ATTRIBUTES || keys === CHANGED_RELATIONSHIPS) tellsChanges = true;
        key = findKey(bytes, start, at - 1, keys);
        if (key === undefined) continue;
        if ((seen & key.bit) !== 0) return undefined;
        seen |= key.bit;
      } else if (expect === VALUE || expect === FIRST_VALUE) {
        expect = AFTER_VALUE;
        if (key === undefined) continue;
        if (key.text !== undefined) {
          if (bits >= 0x80) return undefined;
          if (at - 1 > start) found[key.text] = bytes.toString('latin1', start, at - 1);
        }
        key = undefined;
      } else return undefined;
    } else if (byte === 0x2c) {
      if (expect !== AFTER_VALUE) return undefined;
      expect = (objects >> depth) & 1 ? KEY : VALUE;
    } else if (byte === 0x3a) {
      if (expect !== COLON) return undefined;
      expect = VALUE;
    } else if (byte === 0x7b || byte === 0x5b) {
      if (expect !== VALUE && expect !== FIRST_VALUE) return undefined;
      if (depth === MAX_DEPTH) return undefined;
      depth += 1;
      if (byte === 0x5b) {
        expect = FIRST_VALUE;
        objects &= ~(1 << depth);
      } else {
        expect = FIRST_KEY;
        objects |= 1 << depth;
        if (key?.inner !== undefined) {
          keysAt[depth] = key.inner;
          tracked = depth;
        }
      }
      key = undefined;
    } else if (byte === 0x7d || byte === 0x5d) {
      const isObject = byte === 0x7d;
      if (((objects >> depth) & 1) !== (isObject ? 1 : 0)) return undefined;
      if (expect !== AFTER_VALUE && expect !== (isObject ? FIRST_KEY : FIRST_VALUE)) return undefined;
      depth -= 1;
      if (tracked > depth) tracked = depth;
      expect = AFTER_VALUE;
      if (depth === 0) break;
    } else if (!isSpace(byte)) {
      if (expect !== VALUE && expect !== FIRST_VALUE) return undefined;
      expect = AFTER_VALUE;
      const start = at - 1;
      at = scalarEnd(bytes, start);
      if (at === GIVE_UP) return undefined;
      if (key !== undefined) {
        if (key.revision !== undefined && byte <= 0x39) {
          const value = wholeNumber(bytes, start, at);
          if (value === undefined) return undefined;
          if (key.revision === 'changed') changedRev = value;
          else found.rev = value;
        }
        key = undefined;
      }
    }
  }
  if (depth !== 0 || expect !== AFTER_VALUE) return undefined;
  for (; at < length; at += 1) if (!isSpace(bytes[at] as number)) return undefined;
  if (changedRev !== null) found.rev = changedRev;
  else if (isUpdateWithoutRevision(found.name, tellsChanges)) found.rev = null;
  return found;
}
