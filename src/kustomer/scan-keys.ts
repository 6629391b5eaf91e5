/** The keys scan.ts looks for: where each stands in the body and which field it fills. */
import type { EventFields } from './fields.ts';

type TextField = Exclude<keyof EventFields, 'rev'>;

export interface ScanKey {
  readonly bytes: Buffer;
  /** Its own bit, to notice a second occurrence. */
  readonly bit: number;
  /** All four always present: keys of one shape are cheaper to look at. */
  readonly text: TextField | undefined;
  readonly revision: 'snapshot' | 'changed' | undefined;
  readonly inner: readonly ScanKey[] | undefined;
}

let count = 0;
function key(name: string, { text, revision, inner }: Partial<Pick<ScanKey, 'text' | 'revision' | 'inner'>>): ScanKey {
  count += 1;
  return { bytes: Buffer.from(name), bit: 1 << count, text, revision, inner };
}

/** Any key below these means that the event tells what it changed. */
export const CHANGED_ATTRIBUTES: readonly ScanKey[] = [key('rev', { inner: [key('after', { revision: 'changed' })] })];
export const CHANGED_RELATIONSHIPS: readonly ScanKey[] = [];

export const BODY_KEYS: readonly ScanKey[] = [
  key('id', { text: 'eventId' }),
  key('name', { text: 'name' }),
  key('org', { text: 'org' }),
  key('data', {
    inner: [
      key('type', { text: 'resourceType' }),
      key('id', { text: 'resourceId' }),
      key('attributes', { inner: [key('rev', { revision: 'snapshot' })] }),
    ],
  }),
  key('changes', {
    inner: [key('attributes', { inner: CHANGED_ATTRIBUTES }), key('relationships', { inner: CHANGED_RELATIONSHIPS })],
  }),
];

export function findKey(bytes: Buffer, start: number, end: number, keys: readonly ScanKey[]): ScanKey | undefined {
  const length = end - start;
  for (let k = 0; k < keys.length; k += 1) {
    const candidate = keys[k] as ScanKey;
    if (candidate.bytes.length === length && sameBytes(bytes, start, candidate.bytes)) return candidate;
  }
  return undefined;
}

function sameBytes(bytes: Buffer, start: number, wanted: Buffer): boolean {
  for (let i = 0; i < wanted.length; i += 1) if (bytes[start + i] !== wanted[i]) return false;
  return true;
}
