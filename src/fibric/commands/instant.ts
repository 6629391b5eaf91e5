/** A moment as commands write it: RFC 3339 with its zone. Pure. */

const RFC_3339 = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?(?:Z|[+-](\d{2}):(\d{2}))$/;

/** Milliseconds since the epoch; null for what is no moment, such as February 30. */
export function parseInstant(text: string): number | null {
  const match = RFC_3339.exec(text);
  if (match === null) return null;
  const [year, month, day, hour, minute, second, offsetHours, offsetMinutes] = match
    .slice(1)
    .map((part) => Number(part ?? 0)) as [number, number, number, number, number, number, number, number];
  const lastDay = new Date(Date.UTC(year, month, 0)).getUTCDate();
  const exists = month >= 1 && month <= 12 && day >= 1 && day <= lastDay && hour < 24 && minute < 60 && second < 60;
  if (!exists || year < 1970 || offsetHours > 14 || offsetMinutes > 59) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) || ms < 0 ? null : ms;
}

/** The last second that was written, with its point: most moments of a receipt, and of the next, lie in a few. */
const latest: { second: number; text: string }[] = [];
const REMEMBERED = 4;

/** As receipts and requests write it. */
export function instantText(ms: number): string {
  const second = Math.floor(ms / 1000);
  let known = latest.find((one) => one.second === second);
  if (known === undefined) {
    known = { second, text: new Date(second * 1000).toISOString().slice(0, -'000Z'.length) };
    latest.push(known);
    if (latest.length > REMEMBERED) latest.shift();
  }
  return `${known.text}${String(Math.trunc(ms - second * 1000)).padStart(3, '0')}Z`;
}
