/**
 * What a voice message says of its call, and how a command changes that. Pure.
 *
 * Call events come in any order, so the states are ranked and the highest wins: in whatever order the same commands come,
 * the state in the end is the same. Within the ends the more telling one wins: `missed` of one line is overtaken by a call that
 * was taken on another, and platforms call a finished voicemail completed as well.
 *
 * M1 The state never falls.
 * M2 A command that does not fall behind says what it names anew; one that comes late only fills what is missing.
 * M3 What the command does not name, and what others keep in `meta`, stays.
 * M4 Merging the same command again changes nothing.
 */
import type { CallState } from '../../fibric/commands/call-status-write.ts';
import type { CommandArgs } from '../../fibric/commands/index.ts';
import { instantText, parseInstant } from '../../fibric/commands/instant.ts';
import type { JsonObject } from '../../kustomer/json.ts';

export type CallArgs = CommandArgs<'call.status.write'>;

const RANK: Readonly<Record<CallState, number>> = { ringing: 1, in_progress: 2, missed: 3, completed: 4, voicemail: 5 };

/** 0 for a state that is not one of ours. */
export function rankOf(state: unknown): number {
  return typeof state === 'string' && Object.hasOwn(RANK, state) ? RANK[state as CallState] : 0;
}

/** Names as other voice integrations have them, so that Kustomer's own screens show them. */
function factsOf(args: CallArgs): readonly (readonly [key: string, value: string])[] {
  const time = (text: string | null): string | null => {
    const ms = text === null ? null : parseInstant(text);
    return ms === null ? null : instantText(ms);
  };
  const facts: readonly (readonly [string, string | null])[] = [
    ['from', args.from],
    ['to', args.to],
    ['placedAt', time(args.placed_at)],
    ['answeredAt', time(args.answered_at)],
    ['endedAt', time(args.ended_at)],
    ['externalRecordingUrl', args.recording_url],
  ];
  return facts.filter((fact): fact is readonly [string, string] => fact[1] !== null);
}

/** All of the new `meta`: whether a PATCH of Kustomer's merges or replaces it is not documented. */
export function mergeCall(meta: JsonObject, args: CallArgs): JsonObject {
  const isLate = rankOf(args.state) < rankOf(meta['status']);
  const merged: Record<string, unknown> = { ...meta };
  if (!isLate) merged['status'] = args.state;
  for (const [key, value] of factsOf(args)) {
    const before = merged[key];
    const isMissing = before === undefined || before === null || before === '';
    if (isMissing || (!isLate && !sameFact(before, value))) merged[key] = value;
  }
  return merged;
}

/** Whether merging would change anything. */
export function coversCall(meta: JsonObject, args: CallArgs): boolean {
  const merged = mergeCall(meta, args);
  return Object.keys(merged).every((key) => merged[key] === meta[key]);
}

/** Times are the same whatever form they came back in. */
function sameFact(a: unknown, b: string): boolean {
  if (a === b) return true;
  const ms = typeof a === 'string' ? parseInstant(a) : null;
  return ms !== null && ms === parseInstant(b);
}

/** What the timeline shows. */
export function callText(direction: CallArgs['direction'], state: unknown): string {
  const what = direction === 'in' ? 'Inbound call' : 'Outbound call';
  return rankOf(state) === 0 ? what : `${what}: ${String(state).replace('_', ' ')}`;
}
