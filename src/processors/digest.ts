/** Vendor JSON as text to compare by. Pure, and total where JSON.stringify overflows the stack on deep nesting. */

/** Far deeper than Kustomer nests, far less than the stack holds. What lies deeper does not tell two values apart. */
const MAX_DEPTH = 100;

/** JSON text of a parsed value; alike for like values. Everything below MAX_DEPTH levels counts as the same. */
export function comparableText(value: unknown): string {
  return JSON.stringify(cut(value, MAX_DEPTH));
}

function cut(value: unknown, levels: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (levels === 0) return '…';
  if (Array.isArray(value)) return value.map((item) => cut(item, levels - 1));
  // fromEntries defines properties instead of assigning them, so a key named `__proto__` stays a mere key.
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, cut(item, levels - 1)]));
}
