/** The few colours there are, and when. Pure. */
import { styleText } from 'node:util';

export type Style = 'plain' | 'heading' | 'faint' | 'good' | 'warn' | 'bad';
export type Paint = (style: Style, text: string) => string;

const FORMATS = {
  heading: 'bold',
  faint: 'dim',
  good: 'green',
  warn: 'yellow',
  bad: 'red',
} as const;

export const noPaint: Paint = (_, text) => text;

const paint: Paint = (style, text) =>
  style === 'plain' || text === '' ? text : styleText(FORMATS[style], text, { validateStream: false });

/** Colours only where a person looks on: https://no-color.org, and terminals that have none. */
export function paintFor(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): Paint {
  const wanted = stream.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
  return wanted ? paint : noPaint;
}

/** What a word of the API means to the eye. Words that are new have no colour. */
export function styleOf(word: string | null | undefined): Style {
  return (word != null && STYLES[word]) || 'plain';
}

const STYLES: Readonly<Record<string, Style>> = {
  ready: 'good',
  connected: 'good',
  active: 'good',
  ok: 'good',
  applied: 'good',
  approved: 'good',
  ALLOW: 'good',
  DEDUP: 'faint',
  deduplicated: 'faint',
  dry_run: 'faint',
  disabled: 'faint',
  degraded: 'warn',
  pending_auth: 'warn',
  warning: 'warn',
  ALERT: 'warn',
  waiting: 'warn',
  held: 'warn',
  error: 'bad',
  failed: 'bad',
  BLOCK: 'bad',
  refused: 'bad',
  rejected: 'bad',
  FAIL: 'bad',
};
