/** A role of the service: started by the composition root, asked for its health, closed in reverse order of starting. */
export interface Role {
  readonly name: RoleName;
  /** `ready` is true only when the role's work really gets done at this moment; `detail` says why not. */
  health(): { readonly ready: boolean; readonly detail: unknown };
  /** Settles in-flight work and lets go of everything. */
  close(): Promise<void>;
}

export const ROLE_NAMES = ['ingest', 'process', 'poll', 'sink', 'api'] as const;
export type RoleName = (typeof ROLE_NAMES)[number];
