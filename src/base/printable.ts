/** Control characters and what turns the direction of writing become U+FFFD: whoever sends us a name does not drive a terminal. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\u{fffd}');
}
