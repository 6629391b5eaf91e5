/** Waiting in tests: for a condition, with a deadline, never for a time. */
import { waitUntil } from '../../scripts/stack/wait.ts';

export interface WaitForOptions {
  /** What was awaited, for the failure: "three envelopes". */
  readonly message: string;
  readonly deadlineMs?: number;
  readonly everyMs?: number;
  /** Fails at once with this text where it gives one: nothing to wait for any more. */
  readonly hopeless?: () => string | null;
}

const DEFAULT_DEADLINE_MS = 15_000;

/**
 * Polls until `condition` gives something else than false, null or undefined, and resolves to it. A throw counts as not
 * yet, so a condition may hold `expect`s; the last one stands in the failure.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { message, deadlineMs = DEFAULT_DEADLINE_MS, everyMs = 20, hopeless = () => null }: WaitForOptions,
): Promise<Exclude<T, false | null | undefined>> {
  const found: { value?: T } = {};
  const check = async (): Promise<boolean> => {
    const value = await condition();
    if (value === false || value === null || value === undefined) return false;
    found.value = value;
    return true;
  };
  await waitUntil(check, { what: message, deadlineMs, everyMs, hopeless });
  return found.value as Exclude<T, false | null | undefined>;
}
