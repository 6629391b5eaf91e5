/**
 * Collects a request body in memory, within two bounds: its own limit and a budget shared by all open requests.
 *
 * B1  `done` is called exactly once, with the body, a reason why there is none, or `gone` when the sender left.
 * B2  What is held counts against the budget until `release`; a refused body is no longer held.
 * B3  The rest of a refused body is read and thrown away, up to `maxDiscardBytes`, so that the sender gets to read
 *     the answer instead of a reset connection.
 */
import type { IncomingMessage } from 'node:http';

export interface BodyLimits {
  readonly maxBodyBytes: number;
  readonly maxDiscardBytes: number;
}

/** Bytes of bodies held by all requests not yet answered. */
export interface ByteBudget {
  heldBytes: number;
  readonly maxBytes: number;
}

export type BodyOutcome = Buffer | 'too_large' | 'budget_exhausted' | 'gone';

export function readBody(
  request: IncomingMessage,
  limits: BodyLimits,
  budget: ByteBudget,
  done: (outcome: BodyOutcome) => void,
): void {
  let chunks: Buffer[] | undefined;
  let first: Buffer | undefined;
  let bytes = 0;
  let refusal: 'too_large' | 'budget_exhausted' | undefined;
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
    budget.heldBytes += chunk.length;
    if (bytes > limits.maxBodyBytes) refusal = 'too_large';
    else if (budget.heldBytes > budget.maxBytes) refusal = 'budget_exhausted';
    if (refusal !== undefined) {
      budget.heldBytes -= bytes;
      first = chunks = undefined;
    } else if (first === undefined) first = chunk;
    else if (chunks === undefined) chunks = [first, chunk];
    else chunks.push(chunk);
  });
  request.on('end', () => {
    settle(refusal ?? (chunks === undefined ? (first ?? Buffer.alloc(0)) : Buffer.concat(chunks, bytes)));
  });
  request.on('error', () => {
    if (refusal === undefined && !settled) budget.heldBytes -= bytes;
    settle('gone');
  });
}
