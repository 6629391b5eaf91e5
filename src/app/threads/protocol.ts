/** What the main thread and the threads of the service say to each other. Plain data; no secrets but in `ThreadData.env`. */
import type { PlainError } from '../../base/plain-error.ts';
import type { RoleName } from '../roles/role.ts';
import type { ServiceHealth } from '../service.ts';
import type { MetricValues } from '../telemetry.ts';

export interface ThreadData {
  /** From 0. */
  readonly index: number;
  readonly count: number;
  readonly roles: readonly RoleName[];
  /** The settings, as the process got them. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly host: string;
  readonly port: number;
}

/** What one thread knows of itself. */
export interface ThreadReport {
  readonly health: ServiceHealth;
  readonly metrics: MetricValues;
}

/** The process as a whole: what `/readyz` and `/metrics` answer, whichever thread was asked. */
export interface ProcessReport {
  /** In the order of the threads; null for one that did not answer in time. */
  readonly healths: readonly (ServiceHealth | null)[];
  readonly metrics: string;
}

export type ToThread =
  | { readonly kind: 'stop' }
  | { readonly kind: 'report'; readonly id: number }
  | { readonly kind: 'whole'; readonly id: number; readonly report: ProcessReport };

export type FromThread =
  | { readonly kind: 'up' }
  /** It could not start, or cannot go on; it has let go of what it had. */
  | { readonly kind: 'failed'; readonly error: PlainError | Error }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'report'; readonly id: number; readonly report: ThreadReport }
  /** A request for the report of the whole process. */
  | { readonly kind: 'whole'; readonly id: number };
