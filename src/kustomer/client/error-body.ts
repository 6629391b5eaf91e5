/** Kustomer's two forms of error bodies, and what a CDN in front of it may answer instead. */
import { isObject, type JsonObject, objectOrEmpty, parseObject, textOrNull } from '../json.ts';
import type { VendorError } from './outcome.ts';

const MAX_ERRORS = 10;
const MAX_TEXT_LENGTH = 300;

/** `{errors: [{code, message, meta}]}` and `{errors: [{status, source, code, title, detail}]}`; never throws. */
export function vendorErrors(body: Buffer): readonly VendorError[] {
  const parsed = parseObject(body);
  if (parsed === undefined) return [];
  const listed = parsed['errors'] ?? parsed['error'];
  const items = Array.isArray(listed) ? listed : [listed ?? parsed];
  return items.slice(0, MAX_ERRORS).flatMap((item) => {
    const error: JsonObject = isObject(item) ? item : { message: item };
    const texts = [error['title'], error['detail'], error['message']].flatMap((text) => textOrNull(text) ?? []);
    const code = textOrNull(error['code']);
    if (texts.length === 0 && code === null) return [];
    return {
      code: code?.slice(0, MAX_TEXT_LENGTH) ?? null,
      message: [...new Set(texts)].join(': ').slice(0, MAX_TEXT_LENGTH),
      parameter: textOrNull(objectOrEmpty(error['source'])['parameter'])?.slice(0, MAX_TEXT_LENGTH) ?? null,
    };
  });
}

export function describeErrors(errors: readonly VendorError[]): string {
  return errors
    .map(({ code, message, parameter }) => [code, message, parameter === null ? '' : `(${parameter})`])
    .map((parts) => parts.filter((part) => part !== null && part !== '').join(' '))
    .join('; ');
}

/** "Auth token associated with pod prod2 but request is being handled by prod1": it looks like a bad key and is not. */
const POD_MISMATCH = /\bpod\s+(\w+)\b.{0,80}\bhandled by\s+(?:pod\s+)?(\w+)/is;

export interface PodMismatch {
  readonly keyPod: string;
  readonly askedPod: string;
}

export function podMismatch(errors: readonly VendorError[], body: Buffer): PodMismatch | null {
  const text = errors.length > 0 ? describeErrors(errors) : body.subarray(0, 2000).toString('utf8');
  const match = POD_MISMATCH.exec(text);
  return match === null ? null : { keyPod: match[1] as string, askedPod: match[2] as string };
}
