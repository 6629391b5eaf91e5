/** Who asks for a call, and which limits of Kustomer's it needs. */

/** Most urgent first. */
export const LANES = ['writes', 'probes', 'poll', 'backfill'] as const;
export type Lane = (typeof LANES)[number];

/** A search counts against the organisation's budget and against the machine users' search limit. */
export const CALL_KINDS = ['call', 'search'] as const;
export type CallKind = (typeof CALL_KINDS)[number];
