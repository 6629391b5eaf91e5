/**
 * Without the Read Sensitive permission Kustomer sends sensitive attributes masked, not absent. The form of the mask is
 * not documented: a value of nothing but mask characters, perhaps with its last few characters left readable, is taken
 * for one. A mask must never overwrite a value that was once read.
 */
const WHOLLY = /^[*•●█]{3,}$/u;
const PARTLY = /^[*•●█]{3,}[\s-]?[\p{L}\p{N}@._-]{0,8}$/u;
const WORDS = /^[[(<]?(?:masked|redacted|hidden|sensitive)[\])>]?$/i;

export function isMasked(value: unknown): boolean {
  if (typeof value !== 'string') return false;
  const text = value.trim();
  return WHOLLY.test(text) || PARTLY.test(text) || WORDS.test(text);
}
