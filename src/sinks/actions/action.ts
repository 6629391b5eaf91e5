/**
 * How an action says what it needs of Kustomer, as plain data. It asks for what it wants to read, one read at a time, and is asked
 * again with what was seen; whoever carries it out decides about budgets, leases and deadlines.
 *
 * A1 Nothing is written that was not decided on what was read: where the object has a `rev`, it goes along.
 * A2 What already is as asked for is not written.
 * A3 Asked again with the same sights, an action says the same.
 * A4 `found` is told only of what surely is this command's, or of a value that is as it asked; `absent` only of what was read
 *    as a whole. Everything between is `unclear`: a person may have to look.
 */
import type { ErrorCode } from '../../base/errors.ts';
import type { Capability, CommandArgs } from '../../fibric/commands/index.ts';
import type { VendorObject } from '../../fibric/commands/receipt.ts';
import type { Resource } from '../../kustomer/client/documents.ts';
import type { Basis } from '../ledger/entry.ts';

/** A call as `KustomerClient.call` takes it, without its lane and deadline. */
export interface VendorRequest {
  readonly operation: string;
  readonly method: 'GET' | 'POST' | 'PATCH';
  readonly path: readonly string[];
  readonly query?: Readonly<Record<string, string | number>>;
  readonly body?: Readonly<Record<string, unknown>>;
  /** The role of Kustomer's that allows it. */
  readonly permission: string;
}

export interface VendorRead {
  /** Under which it is seen. The same name is the same read. */
  readonly name: string;
  readonly request: VendorRequest;
  /** `all`: every page of a list. */
  readonly shape: 'one' | 'all';
  /** Whether 404 is an answer (there is none) or a failure (there should be one). */
  readonly mayBeAbsent: boolean;
}

/** What a read showed. */
export type Sight =
  | { readonly kind: 'one'; readonly resource: Resource }
  /** Where one was asked for. */
  | { readonly kind: 'several'; readonly count: number }
  /** `whole` is false when not every entry could be read. */
  | { readonly kind: 'all'; readonly items: readonly Resource[]; readonly whole: boolean }
  | { readonly kind: 'absent' };

export type Sights = ReadonlyMap<string, Sight>;

export interface PlanContext {
  /** By which the write is to be recognised where Kustomer lets us name it. */
  readonly externalId: string;
  readonly nowMs: number;
  readonly seen: Sights;
}

export type PlanStep =
  | { readonly do: 'read'; readonly read: VendorRead }
  | {
      readonly do: 'write';
      readonly request: VendorRequest;
      /** What it was decided on, and is bound to where there is a revision. Keep it for reading back; null where `hasBasis` is false. */
      readonly basis: Basis | null;
    }
  /** It already is so. */
  | { readonly do: 'nothing'; readonly vendorId: string }
  /** It cannot or must not be done. */
  | { readonly do: 'refuse'; readonly code: ErrorCode; readonly message: string };

export interface ReadBackContext {
  readonly externalId: string;
  /** Whose name our writes carry; null = not known. */
  readonly machineUserId: string | null;
  /** When the first call of the command may have left, by our clock. */
  readonly sinceMs: number;
  /** Of the call whose answer is missing, as planned; null when not known any more. */
  readonly basis: Basis | null;
  /** Ids of what other commands are known to have written. */
  readonly claimed: ReadonlySet<string>;
  readonly seen: Sights;
}

export type Finding =
  | { readonly kind: 'found'; readonly vendorId: string }
  /** Everything was read and it is not there. It may still come, while its call is under way. */
  | { readonly kind: 'absent' }
  /** Reading again may tell more. */
  | { readonly kind: 'unclear'; readonly why: string }
  /** Reading again tells no more. */
  | { readonly kind: 'unreadable'; readonly why: string };

export type ReadBackStep =
  | { readonly do: 'read'; readonly read: VendorRead }
  | { readonly do: 'tell'; readonly finding: Finding };

export interface Action<C extends Capability = Capability> {
  readonly capability: C;
  /** What is written. */
  readonly vendorType: VendorObject['type'];
  /** Doing it twice would come to the same. Nothing is sent twice for that; it says what a mistake would cost. */
  readonly idempotentByNature: boolean;
  /** Roles its reads and writes want, and those that only reading back wants. */
  readonly permissions: { readonly plan: readonly string[]; readonly readBack: readonly string[] };
  /** Its writes have a basis, which must be durable before them: without it nobody else could tell whether they happened. */
  readonly hasBasis: boolean;
  /** Under which name the answer to its write is a sight for the next plan of the lane; any write by others makes it stale. */
  readonly answers: string | null;
  plan(args: CommandArgs<C>, context: PlanContext): PlanStep;
  readBack(args: CommandArgs<C>, context: ReadBackContext): ReadBackStep;
}

/** What clocks of two organisations may differ by. */
export const CLOCK_SKEW_MS = 5000;

export const tell = (finding: Finding): ReadBackStep => ({ do: 'tell', finding });
