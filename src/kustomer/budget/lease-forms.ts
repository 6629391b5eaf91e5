/**
 * What the lender of an organisation's budget and its borrowers say to each other, as it stands in the log.
 *
 * Only spans of time are written, each measured by one clock and ending when the record is made (`agoMs`) or beginning
 * then (`inMs`). Whoever reads it counts them from when he reads it, which is later: never too early, whatever the clocks
 * show and however long the record lay in the log.
 */
import { z } from 'zod';
import { CALL_KINDS, LANES } from './lanes.ts';

const id = z.int().min(0);
const spanMs = z.number().min(0).max(1e12);
const count = z.int().min(0).max(1_000_000);
const lane = z.enum(LANES);
const kind = z.enum(CALL_KINDS);

/** What is known of an answer's headers, see rate-headers.ts. */
const facts = z.object({
  limit: z.int().min(1).max(1_000_000).nullable(),
  remaining: count.nullable(),
  resetEpochS: id.nullable(),
  resetInMs: spanMs.nullable(),
  retryAfterMs: spanMs.nullable(),
});

const want = z.object({ lane, kind, count: z.int().min(1).max(1000) });

/** Every call of the lease has ended; what is not named was not used. */
const returned = z.object({
  leaseId: id,
  ended: z.array(z.tuple([id, spanMs])).max(1000),
  /** Ended without an answer: the server may count them yet. */
  lapsing: z.array(id).max(1000),
});

const heard = z.object({
  grantId: id,
  kind,
  agoMs: spanMs,
  refused: z.boolean(),
  random: z.number().min(0).max(1),
  facts,
});

export const leaseMessage = z.object({
  /** Unique to a run of a process, never reused after a restart. */
  borrower: z.string().min(1).max(64),
  /** Ascending per borrower. */
  sequence: id,
  /** Asks of this borrower with a lower sequence are no longer waited for. */
  waitingFrom: id,
  wants: z.array(want).max(16),
  returns: z.array(returned).max(1000),
  heard: z.array(heard).max(16),
});

/** From a borrower to the lender. */
export type LeaseMessage = z.infer<typeof leaseMessage>;
export type LeaseWant = z.infer<typeof want>;
export type LeaseReturn = z.infer<typeof returned>;
export type HeardAnswer = z.infer<typeof heard>;

const lease = z.object({
  /** Of the first of its grants; the others follow. Ascending, never used again. */
  leaseId: id,
  borrower: z.string().min(1).max(64),
  sequence: id,
  lane,
  kind,
  count: z.int().min(1),
  /** Once returned: those of its grants that are left to lapse. */
  lapsing: z.array(id).nullable(),
});

const slots = z.object({
  share: z.int().min(1),
  /** When slots come free: in how many ms, how many. */
  held: z.array(z.tuple([spanMs, count])),
  /** Below zero: this far behind an even pace. */
  paceInMs: z.number().min(-1e12).max(1e12),
});

export const leaseTable = z.object({
  form: z.literal(1),
  nextGrantId: id,
  /** Calls per minute of the whole organisation; null until an answer told it. */
  limit: z.int().min(1).nullable(),
  searchLimit: z.int().min(1).nullable(),
  calls: slots,
  searches: slots,
  leases: z.array(lease),
  pause: z
    .object({
      inMs: spanMs,
      cause: z.enum(['retry_after', 'reset', 'backoff']),
      fromGrantId: id,
      strikes: z.int().min(0),
    })
    .nullable(),
  window: z
    .object({
      resetEpochS: id.nullable(),
      inMs: spanMs,
      lowest: count,
      nextGrantId: id,
      untold: count,
      untoldBefore: id,
    })
    .nullable(),
  /** To the asks that this table answers: what was not lent, and when it is worth asking again. */
  answers: z.array(
    z.object({
      borrower: z.string(),
      sequence: id,
      unmet: z.array(
        z.object({
          lane,
          kind,
          inMs: spanMs,
          reason: z.enum(['paused', 'trial', 'window_empty', 'share', 'search_limit', 'lease']),
        }),
      ),
    }),
  ),
});

/** From the lender to everybody: the whole state of one organisation's budget. */
export type LeaseTable = z.infer<typeof leaseTable>;
export type Lease = z.infer<typeof lease>;
export type LeaseAnswer = LeaseTable['answers'][number];

/** Null for what is not of this form: written by another version, or by somebody else. */
export function decode<T>(form: z.ZodType<T>, bytes: Uint8Array | null): T | null {
  if (bytes === null) return null;
  try {
    const parsed = form.safeParse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

export interface LeaseTimes {
  /** How long after asking a borrower may start calls. */
  readonly startMs: number;
  /** The longest from the start of a call until it is over, answered or given up; the client's deadline is 40 s. */
  readonly callMs: number;
}

export const LEASE_TIMES: LeaseTimes = { startMs: 10_000, callMs: 50_000 };
