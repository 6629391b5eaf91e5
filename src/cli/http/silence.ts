/** An API that does not answer: what is said while it is waited for, and when it is given up. */
import { CliError } from '../errors.ts';
import { EXIT } from '../exit.ts';

/** A person starts to wonder. */
const NOTE_AFTER_MS = 3_000;

export function tooSlow(endpoint: string, timeoutMs: number, method: string): CliError {
  return new CliError('timeout', `no answer from ${endpoint} within ${Math.round(timeoutMs / 1000)} s`, {
    exitCode: EXIT.unavailable,
    hint:
      method === 'GET'
        ? 'try again, or give it longer with --timeout'
        : 'it may still have been done: look before you do it again, or give it longer with --timeout',
  });
}

export function unreachable(endpoint: string, error: unknown): CliError {
  return new CliError('api_unreachable', `${endpoint} cannot be reached: ${reasonOf(error)}`, {
    exitCode: EXIT.unavailable,
    hint: 'is the service running with the role api? The endpoint comes from --endpoint, FIBRIC_ENDPOINT or `fibric auth login`',
  });
}

/** The code where there is one: messages of libraries quote what was sent. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  if (!(error instanceof Error)) return 'unknown reason';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}

/** Returns how to stop. */
export function noteSlowness(note: (text: string) => void, endpoint: string): () => void {
  const timer = setTimeout(() => note(`still waiting for ${endpoint} …`), NOTE_AFTER_MS);
  timer.unref();
  return () => clearTimeout(timer);
}
