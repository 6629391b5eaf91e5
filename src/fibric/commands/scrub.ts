/**
 * The last wall between credentials and what is kept: texts of others pass through here before they enter a receipt. The
 * first wall is the client, which knows the key; this one knows only what credentials look like.
 */

const MARK = '[secret]';

const PATTERNS: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  // Kustomer's keys are JSON web tokens; cut ones count too.
  [/\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}/g, MARK],
  [/\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${MARK}`],
  [
    /\b(authorization|x-api-key|api[_-]?key|token|secret|password)(["']?\s*[:=]\s*["']?)[^\s"',;&]{4,}/gi,
    `$1$2${MARK}`,
  ],
  [/\b(sk|fbc)_(live|test)_[A-Za-z0-9]{6,}/g, MARK],
  [/(\bhttps?:\/\/)[^\s/@:]+:[^\s/@]+@/gi, `$1${MARK}@`],
];

export function scrub(text: string): string {
  return PATTERNS.reduce((scrubbed, [pattern, replacement]) => scrubbed.replaceAll(pattern, replacement), text);
}
