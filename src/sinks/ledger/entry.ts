/** What the ledger knows of an identity. Nothing known is null. */
import type { ErrorCode } from '../../base/errors.ts';

/** Which policy decided, as receipts cite it. All null where none did. */
export interface PolicyRef {
  readonly policy: string | null;
  readonly version: number | null;
  readonly rule: string | null;
  /** Trust tier of the action, 0 to 3. */
  readonly tier: number | null;
}

export const NO_POLICY: PolicyRef = { policy: null, version: null, rule: null, tier: null };

/** What a person needs to recognise a command that waits for a decision: the hash alone says nothing. */
export interface Subject {
  readonly tenantId: string;
  readonly connectionId: string;
  readonly capability: string;
  readonly entityKey: string;
  readonly idempotencyKey: string;
  readonly commandId: string;
}

/** The record of a command as it came: with it a command is carried out when its topic no longer has it. */
export interface CommandRecord {
  readonly key: string;
  readonly value: Buffer;
  /** In the partition of the commands that is the ledger's twin. */
  readonly offset: number;
  readonly appendedAtMs: number;
}

/** How what is to be written stood when the write was decided on: by this it is told later whether the write has happened. */
export interface Basis {
  /** Of the object; null where there is none. */
  readonly rev: number | null;
  /** By Kustomer's clock, when what is written was last changed; 0 = never, null = it does not tell. */
  readonly changedAtMs: number | null;
}

interface Common {
  /** What the key is bound to. */
  readonly fingerprint: string;
  /** Of the command the entry is about: what later ones are told. */
  readonly receiptId: string;
}

/** A call may be on the wire, or may have been. */
export interface InFlight extends Common {
  readonly kind: 'in_flight';
  /** Of the owner that may call. */
  readonly epoch: number;
  /** When the command was first taken up. */
  readonly startedAtMs: number;
  /** Its owner sends nothing after this … */
  readonly sendByMs: number;
  /** … and has nothing on the wire after this. */
  readonly deadlineMs: number;
  /** From 1, over all owners. */
  readonly attempt: number;
  /** By whom the call was allowed: its receipt may be written by the next owner. */
  readonly policy: PolicyRef;
  readonly approvedBy: string | null;
  /** Of what was held, which has no record of its own any more; null of others, who come again as they were. */
  readonly record: CommandRecord | null;
  /** False: nothing leaves under it before it is true, with its basis. What the write is to be decided on is still being read. */
  readonly sendable: boolean;
  /** Null where the action has none. */
  readonly basis: Basis | null;
}

/** It happened, once. */
export interface Done extends Common {
  readonly kind: 'done';
  readonly atMs: number;
  /** Kustomer's id of what was written, where it told. */
  readonly vendorId: string | null;
}

/** Surely not done, and given up. The key is free for the same action, and for no other. */
export interface Failed extends Common {
  readonly kind: 'failed';
  readonly atMs: number;
  readonly code: ErrorCode;
}

/** Nobody knows whether it happened; a person decides. */
export interface Parked extends Common {
  readonly kind: 'parked';
  readonly atMs: number;
  readonly subject: Subject;
  readonly policy: PolicyRef;
  /** Null in entries of the first version. */
  readonly record: CommandRecord | null;
}

/** Waits for a person's approval; nothing has been sent. */
export interface Held extends Common {
  readonly kind: 'held';
  readonly atMs: number;
  readonly expiresAtMs: number;
  readonly subject: Subject;
  readonly policy: PolicyRef;
  /** Null in entries of the first version. */
  readonly record: CommandRecord | null;
}

export type LedgerEntry = InFlight | Done | Failed | Parked | Held;

/** For the ledger topic; null is a tombstone. */
export interface LedgerChange {
  readonly identity: string;
  readonly entry: LedgerEntry | null;
}
