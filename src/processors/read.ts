/**
 * Reading a snapshot without trusting its shape, into the contract's values: real ones or null. Kustomer writes
 * "nothing" as absent, null, `""` or `{}`; none of them becomes a default.
 */

type Attributes = Readonly<Record<string, unknown>>;

/** A non-empty string. Lone surrogates cannot be written as UTF-8 and become U+FFFD, as JSON's readers would do. */
export function textOf(value: unknown): string | null {
  if (typeof value !== 'string' || value === '') return null;
  return value.isWellFormed() ? value : value.toWellFormed();
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

/** A point in time as Kustomer wrote it. */
export function timeOf(value: unknown): string | null {
  return typeof value === 'string' && RFC_3339.test(value) ? value : null;
}

export function numberOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

export function integerOf(value: unknown): number | null {
  return Number.isSafeInteger(value) ? (value as number) : null;
}

export function flagOf(value: unknown): boolean | null {
  return typeof value === 'boolean' ? value : null;
}

/** The strings of a list; null when it is no list. An empty list is a fact and stays one. */
export function textsOf(value: unknown): readonly string[] | null {
  if (!Array.isArray(value)) return null;
  const texts: string[] = [];
  for (const item of value) {
    const text = textOf(item);
    if (text !== null) texts.push(text);
  }
  return texts;
}

/** One property of each object in a list, such as the addresses in `emails`. Plain strings count as themselves. */
export function pluckedOf(value: unknown, property: string): readonly string[] | null {
  if (!Array.isArray(value)) return null;
  return textsOf(value.map((item) => (typeof item === 'string' ? item : objectOf(item)[property])));
}

const NOTHING: Attributes = Object.freeze({});

/** The object, or an empty one. */
export function objectOf(value: unknown): Attributes {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Attributes) : NOTHING;
}

/** The attribute names of a `changes` object. */
export function namesOf(changes: Attributes): readonly string[] {
  return Object.keys(changes).map((name) => name.toWellFormed());
}

/** Custom attributes with a scalar value; null when there are none. Cleared ones (null) and trees are left out. */
export function customOf(value: unknown): Readonly<Record<string, string | number | boolean>> | null {
  const custom = objectOf(value);
  let scalars: Record<string, string | number | boolean> | null = null;
  for (const name in custom) {
    const entry = custom[name];
    const scalar = typeof entry === 'string' ? entry.toWellFormed() : (numberOf(entry) ?? flagOf(entry));
    if (scalar === null) continue;
    scalars ??= Object.create(null) as Record<string, string | number | boolean>;
    scalars[name.toWellFormed()] = scalar;
  }
  return scalars;
}

export interface Related {
  readonly id: string;
  readonly type: string | null;
}

/** What a relationship points to. Its type may come in the plural (`customers` on messages). */
export function relatedOf(relationship: unknown): Related | null {
  const data = objectOf(objectOf(relationship)['data']);
  const id = textOf(data['id']);
  return id === null ? null : { id, type: singularOf(textOf(data['type'])) };
}

export function relatedIdOf(relationship: unknown): string | null {
  return textOf(objectOf(objectOf(relationship)['data'])['id']);
}

const PLURALS: ReadonlyMap<string, string> = new Map(
  ['conversation', 'message', 'customer', 'user', 'team', 'tag'].map((type) => [`${type}s`, type]),
);

export function singularOf<T extends string | null>(type: T): T | string {
  return type === null ? type : (PLURALS.get(type) ?? type);
}
