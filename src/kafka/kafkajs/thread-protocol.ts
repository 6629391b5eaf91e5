/**
 * What the two sides of a threaded producer say to each other. Plain data; batches lie in memory both sides see, so that
 * none is copied or handed over: every buffer that changes hands counts as new memory to V8, which then collects garbage
 * all the time. The memory is the sender's to write until `append`, and the thread's until `settled`.
 */
import type { MessagePort } from 'node:worker_threads';
import type { PlainError } from '../../base/plain-error.ts';
import type { ResolvedSettings } from './settings.ts';

/** What the thread is started with; the settings hold the broker's password and go nowhere else. */
export interface ThreadData {
  readonly settings: ResolvedSettings;
  readonly clientId: string | undefined;
  readonly port: MessagePort;
}

export type ToThread =
  /** `memory` when it is not the memory of the append before. */
  | { readonly kind: 'append'; readonly length: number; readonly memory?: SharedArrayBuffer }
  | { readonly kind: 'close' };

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type FromThread =
  /** Connected, or why not. */
  | { readonly kind: 'opened'; readonly error?: PlainError }
  /** The one batch under way. */
  | { readonly kind: 'settled'; readonly error?: PlainError }
  | { readonly kind: 'closed'; readonly error?: PlainError }
  | { readonly kind: 'log'; readonly level: LogLevel; readonly fields: object; readonly message: string };
