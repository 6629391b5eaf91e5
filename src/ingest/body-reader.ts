/**
 * Collects a request body in memory, within three bounds: its own limit, a budget shared by all open requests, and the
 * share of it that bodies of one connection may hold while nobody knows yet who sends them.
 *
 * B1  `done` is called exactly once, with the body, a reason why there is none, or `gone` when the sender left.
 * B2  What is held counts against the budget until `release`; a refused body is no longer held.
 * B3  The rest of a refused body is read and thrown away, up to `maxDiscardBytes`, so that the sender gets to read
 *     the answer instead of a reset connection.
 * B4  Until a body is complete, and its signature can be looked at, it counts against its connection's share as well:
 *     whoever knows a path but no token can hold up that connection only, not the others.
 */
import type { IncomingMessage } from 'node:http';

export interface BodyLimits {
  readonly maxBodyBytes: number;
  readonly maxDiscardBytes: number;
}

/** Bytes of bodies held: by all requests not yet answered, or by the unfinished ones of one connection. */
export interface ByteBudget {
  heldBytes: number;
  readonly maxBytes: number;
}

export type BodyOutcome = Buffer | 'too_large' | 'budget_exhausted' | 'share_exhausted' | 'gone';

export interface BodyBudgets {
  readonly all: ByteBudget;
  readonly unverified: ByteBudget;
}

export function readBody(
  request: IncomingMessage,
  limits: BodyLimits,
  { all, unverified }: BodyBudgets,
  done: (outcome: BodyOutcome) => void,
): void {
  let chunks: Buffer[] | undefined;
  let first: Buffer | undefined;
  let bytes = 0;
  let refusal: Exclude<BodyOutcome, Buffer | 'gone'> | undefined;
  let settled = false;

  const settle = (outcome: BodyOutcome): void => {
    if (settled) return;
    settled = true;
    done(outcome);
  };

  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (refusal !== undefined) {
      if (bytes > limits.maxDiscardBytes) settle(refusal);
      return;
    }
    all.heldBytes += chunk.length;
    unverified.heldBytes += chunk.length;
    if (bytes > limits.maxBodyBytes) refusal = 'too_large';
    else if (all.heldBytes > all.maxBytes) refusal = 'budget_exhausted';
    else if (unverified.heldBytes > unverified.maxBytes) refusal = 'share_exhausted';
    if (refusal !== undefined) {
      all.heldBytes -= bytes;
      unverified.heldBytes -= bytes;
      first = chunks = undefined;
    } else if (first === undefined) first = chunk;
    else if (chunks === undefined) chunks = [first, chunk];
    else chunks.push(chunk);
  });
  request.on('end', () => {
    if (refusal === undefined) unverified.heldBytes -= bytes;
    settle(refusal ?? (chunks === undefined ? (first ?? Buffer.alloc(0)) : Buffer.concat(chunks, bytes)));
  });
  request.on('error', () => {
    if (refusal === undefined && !settled) {
      all.heldBytes -= bytes;
      unverified.heldBytes -= bytes;
    }
    settle('gone');
  });
}
