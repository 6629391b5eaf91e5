/**
 * Collects a request body in memory, within its own limit, a room for the bodies of all open requests of which each tenant
 * has a fair share, and the part of it that bodies of one connection may hold while nobody knows yet who sends them.
 *
 * B1  `done` is called exactly once, with the body, a reason why there is none, or `gone` when the sender left.
 * B2  What is held counts against the room until the caller gives it back; a refused body is no longer held.
 * B3  The rest of a refused body is read and thrown away, up to `maxDiscardBytes`, so that the sender gets to read
 *     the answer instead of a reset connection.
 * B4  Until a body is complete, and its signature can be looked at, it counts against its connection's share as well:
 *     whoever knows a path but no token can hold up that connection only, not the others.
 */
import type { IncomingMessage } from 'node:http';
import type { FairShares } from '../base/fair-shares.ts';

export interface BodyLimits {
  readonly maxBodyBytes: number;
  readonly maxDiscardBytes: number;
}

/** Bytes of the unfinished bodies of one connection. */
export interface ByteBudget {
  heldBytes: number;
  readonly maxBytes: number;
}

export type BodyOutcome = Buffer | 'too_large' | 'no_room' | 'no_share' | 'unverified_full' | 'gone';

export interface BodyRoom {
  readonly tenantId: string;
  /** Bytes of bodies of all requests not yet answered. */
  readonly all: FairShares;
  readonly unverified: ByteBudget;
}

export function readBody(
  request: IncomingMessage,
  limits: BodyLimits,
  { tenantId, all, unverified }: BodyRoom,
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

  /** Undefined when the chunk is held. */
  const refusalOf = (chunk: Buffer): typeof refusal => {
    if (bytes > limits.maxBodyBytes) return 'too_large';
    if (unverified.heldBytes + chunk.length > unverified.maxBytes) return 'unverified_full';
    const taken = all.take(tenantId, chunk.length);
    if (taken !== 'taken') return taken === 'full' ? 'no_room' : 'no_share';
    unverified.heldBytes += chunk.length;
    return undefined;
  };

  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (refusal !== undefined) {
      if (bytes > limits.maxDiscardBytes) settle(refusal);
      return;
    }
    refusal = refusalOf(chunk);
    if (refusal !== undefined) {
      const heldBytes = bytes - chunk.length;
      all.give(tenantId, heldBytes);
      unverified.heldBytes -= heldBytes;
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
      all.give(tenantId, bytes);
      unverified.heldBytes -= bytes;
    }
    settle('gone');
  });
}
