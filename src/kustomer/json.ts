/** Reading vendor JSON without trusting its shape. Arrays and null are no objects here. */
export type JsonObject = Readonly<Record<string, unknown>>;

const NOTHING: JsonObject = Object.freeze({});

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object, or an empty one for whatever else stands there. */
export function objectOrEmpty(value: unknown): JsonObject {
  return isObject(value) ? value : NOTHING;
}

/** A non-empty string, or null. */
export function textOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** The JSON object these bytes spell, or undefined. Invalid UTF-8 inside strings becomes U+FFFD, as everywhere in Node. */
export function parseObject(bytes: Buffer): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
