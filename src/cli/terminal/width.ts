/** How many columns of a terminal a text takes, and as much of it as fits. Pure. */

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
/** East Asian wide and full-width letters, and emoji. Close enough for a table; nobody's row breaks over an exotic one. */
const WIDE =
  /^(?:\p{Emoji_Presentation}|[\u{1100}-\u{115f}\u{2e80}-\u{303e}\u{3041}-\u{a4cf}\u{ac00}-\u{d7a3}\u{f900}-\u{faff}\u{fe30}-\u{fe6f}\u{ff00}-\u{ff60}\u{ffe0}-\u{ffe6}\u{20000}-\u{3fffd}])/u;
const PLAIN = /^[\x20-\x7e]*$/;

function widthOf(grapheme: string): number {
  return WIDE.test(grapheme) ? 2 : 1;
}

export function displayWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const { segment } of segmenter.segment(text)) width += widthOf(segment);
  return width;
}

/** The text itself where it fits, else its beginning with `…`: never wider than `width`, never half a letter. */
export function truncate(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let kept = '';
  let used = 1;
  for (const { segment } of segmenter.segment(text)) {
    used += widthOf(segment);
    if (used > width) break;
    kept += segment;
  }
  return width < 1 ? '' : `${kept.trimEnd()}…`;
}

export function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - displayWidth(text)));
}
