/**
 * Which capabilities a connection exposes and which operator has which of them. Nothing is granted by installing a
 * connection: an operator has what its manifest lists, and all else is blocked by omission.
 */
export interface Grants {
  /** What the connection can do. */
  readonly exposed: ReadonlySet<string>;
  /** By operator. */
  readonly granted: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * Reserved: stands for whoever may administer the connection and tries it. It has every capability the connection exposes,
 * for who may grant a capability need not grant it to themselves first. Policies apply to it as to any other. Only
 * `connectors test` may act under this name.
 */
export const CONNECTOR_TEST = 'connector-test';

export const NO_GRANTS: Grants = { exposed: new Set(), granted: new Map() };

export type Grant = 'granted' | 'not_exposed' | 'not_granted';

/** Without an operator there is nobody to whom anything was granted. */
export function grantOf({ exposed, granted }: Grants, operator: string | null, capability: string): Grant {
  if (!exposed.has(capability)) return 'not_exposed';
  if (operator === CONNECTOR_TEST) return 'granted';
  return operator !== null && granted.get(operator)?.has(capability) === true ? 'granted' : 'not_granted';
}
