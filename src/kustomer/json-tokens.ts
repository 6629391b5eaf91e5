/** The pieces of JSON that scan.ts steps over. Positions are offsets into the bytes; GIVE_UP means: not JSON. */
export const GIVE_UP = -1;

export function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Behind the escape whose backslash stands before `at`. */
export function escapeEnd(bytes: Buffer, at: number): number {
  switch (bytes[at]) {
    case 0x22: // "
    case 0x5c: // \
    case 0x2f: // /
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return at + 1;
    case 0x75: // u
      for (let i = 1; i <= 4; i += 1) if (!isHex(bytes[at + i])) return GIVE_UP;
      return at + 5;
    default:
      return GIVE_UP;
  }
}

function isHex(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66) || (byte >= 0x41 && byte <= 0x46);
}

/** Behind true, false, null or a number. */
export function scalarEnd(bytes: Buffer, at: number): number {
  switch (bytes[at]) {
    case 0x74:
      return bytes[at + 1] === 0x72 && bytes[at + 2] === 0x75 && bytes[at + 3] === 0x65 ? at + 4 : GIVE_UP;
    case 0x66:
      return bytes[at + 1] === 0x61 && bytes[at + 2] === 0x6c && bytes[at + 3] === 0x73 && bytes[at + 4] === 0x65
        ? at + 5
        : GIVE_UP;
    case 0x6e:
      return bytes[at + 1] === 0x75 && bytes[at + 2] === 0x6c && bytes[at + 3] === 0x6c ? at + 4 : GIVE_UP;
    default:
      return numberEnd(bytes, at);
  }
}

function numberEnd(bytes: Buffer, start: number): number {
  let at = bytes[start] === 0x2d ? start + 1 : start;
  at = bytes[at] === 0x30 ? at + 1 : digitsEnd(bytes, at);
  if (at !== GIVE_UP && bytes[at] === 0x2e) at = digitsEnd(bytes, at + 1);
  if (at !== GIVE_UP && (bytes[at] === 0x65 || bytes[at] === 0x45)) {
    const sign = bytes[at + 1] === 0x2b || bytes[at + 1] === 0x2d ? 1 : 0;
    at = digitsEnd(bytes, at + 1 + sign);
  }
  return at;
}

/** At least one digit. */
function digitsEnd(bytes: Buffer, start: number): number {
  let at = start;
  while ((bytes[at] as number) >= 0x30 && (bytes[at] as number) <= 0x39) at += 1;
  return at > start ? at : GIVE_UP;
}

/** Plain digits, few enough to be exact. */
export function wholeNumber(bytes: Buffer, start: number, end: number): number | undefined {
  if (end - start > 15) return undefined;
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] as number;
    if (byte < 0x30 || byte > 0x39) return undefined;
    value = value * 10 + (byte - 0x30);
  }
  return value;
}
