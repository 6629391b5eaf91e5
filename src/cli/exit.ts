/** The exit codes of `fibric`: what a script branches on. Documented in docs/fibric.md, and never renumbered. */
export const EXIT = {
  ok: 0,
  /** Something went wrong that no other code names; a bug among it. */
  failed: 1,
  /** The command line, a file or an argument is wrong; nothing was done. */
  usage: 2,
  /** There is no such thing, or what was compared differs. */
  notFound: 3,
  /** The API does not answer, or has no room for us now. */
  unavailable: 4,
  /** Not logged in, or the token may not do this. */
  forbidden: 5,
  /** Policy said BLOCK: a veto, not a crash. */
  blocked: 6,
  /** A person has to approve it first (ALERT). */
  waiting: 7,
  /** The write failed, or nobody knows whether it happened. */
  writeFailed: 8,
  /** Ended by Ctrl-C before it was done. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_MEANINGS: Readonly<Record<ExitCode, string>> = {
  0: 'done; DEDUP is done too',
  1: 'failed',
  2: 'the command line, a file or an argument is wrong; nothing was done',
  3: 'not found, or what was compared differs',
  4: 'the API does not answer, or asks to come back later',
  5: 'not logged in, or the token may not do this',
  6: 'BLOCK: policy refused the action',
  7: 'ALERT: the action waits, or would wait, for a person’s approval',
  8: 'the write failed, or its outcome is not known',
  130: 'interrupted by Ctrl-C',
};
