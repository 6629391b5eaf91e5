/**
 * What waits for a person, folded from the records of the ledger.
 *
 * U1 it holds what the last record of each identity says waits, and nothing else
 * U2 it is bounded: what finds no room is left out and remembered as missing, by its offset
 * U3 once there is room again a partition is worth reading from the first offset it misses; of what is read a second time
 *    only what is missing counts, since the rest is known as it stands now
 */
import type { WireCommand } from '../../fibric/commands/command.ts';
import type { CommandRecord, LedgerEntry, PolicyRef, Subject } from '../ledger/entry.ts';
import { waitsForPerson } from '../ledger/resolve.ts';

export interface Waiting {
  /** `apr_…` for what is held, `prk_…` for what is parked; the digits are the receipt's. */
  readonly id: string;
  readonly kind: 'held' | 'parked';
  readonly subject: Subject;
  readonly identity: string;
  readonly receiptId: string;
  /** Since when. */
  readonly atMs: number;
  /** Null for what is parked: it waits for as long as it takes. */
  readonly expiresAtMs: number | null;
  /** Which rule asked for the person, or let the call through. */
  readonly policy: PolicyRef;
  /** Null while its schema is being fetched, and where it cannot be read. */
  readonly command: WireCommand | null;
  /** Of the ledger and the commands. */
  readonly partition: number;
  /** Null in what was written before records were kept: it can be looked at, and expire. */
  readonly record: CommandRecord | null;
}

/** Of a record of the ledger. */
export interface Place {
  readonly partition: number;
  readonly offset: number;
}

export interface WaitingBounds {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** Beside the record, roughly. */
const ENTRY_BYTES = 2048;
/** As many as this for each that can be listed are remembered as missing; beyond that they are only counted. */
const MISSING_FOR_EACH = 10;
/** Part of the bounds below which a partition that misses something is read again. */
const LOW_WATER = 0.75;

export class WaitingTable {
  readonly #bounds: WaitingBounds;
  readonly #partitions = new Map<number, Map<string, Waiting>>();
  readonly #tenants = new Map<string, Map<string, Waiting>>();
  readonly #missing = new Map<number, Map<string, number>>();
  #remembered = 0;
  #forgotten = 0;
  #entries = 0;
  #bytes = 0;

  constructor(bounds: WaitingBounds) {
    this.#bounds = bounds;
  }

  get counts() {
    const missing = this.#remembered + this.#forgotten;
    return { entries: this.#entries, bytes: this.#bytes, missing };
  }

  /** By the time they began to wait. */
  list(tenantId: string): readonly Waiting[] {
    const all = [...(this.#tenants.get(tenantId)?.values() ?? [])];
    return all.sort((a, b) => a.atMs - b.atMs || (a.id < b.id ? -1 : 1));
  }

  get(tenantId: string, id: string): Waiting | undefined {
    return this.#tenants.get(tenantId)?.get(id);
  }

  at(partition: number, identity: string): Waiting | undefined {
    return this.#partitions.get(partition)?.get(identity);
  }

  /** Returns what waits now; undefined when nothing (more) does, or it found no room. */
  apply({ partition, offset }: Place, identity: string, entry: LedgerEntry | null): Waiting | undefined {
    this.#remove(partition, identity);
    if (entry === null || !waitsForPerson(entry)) return undefined;
    const bytes = costOf(entry.record);
    if (this.#entries >= this.#bounds.maxEntries || this.#bytes + bytes > this.#bounds.maxBytes) {
      this.#miss({ partition, offset }, identity);
      return undefined;
    }
    const { kind, subject, receiptId, atMs, policy, record } = entry;
    const id = waitingId(kind, receiptId);
    const expiresAtMs = entry.kind === 'held' ? entry.expiresAtMs : null;
    const waiting = {
      id,
      kind,
      subject,
      identity,
      receiptId,
      atMs,
      expiresAtMs,
      policy,
      command: null,
      partition,
      record,
    };
    this.#put(waiting);
    this.#entries++;
    this.#bytes += bytes;
    return waiting;
  }

  /** Unless it waits no more. */
  decoded(waiting: Waiting, command: WireCommand): Waiting | undefined {
    const now = this.#partitions.get(waiting.partition)?.get(waiting.identity);
    if (now?.id !== waiting.id) return undefined;
    const known = { ...now, command };
    this.#put(known);
    return known;
  }

  /** U3: that very record. */
  misses({ partition, offset }: Place, identity: string): boolean {
    return this.#missing.get(partition)?.get(identity) === offset;
  }

  /** U3. Where to read a partition again, if there is room and it misses something. */
  firstMissed(partition: number): number | undefined {
    const { maxEntries, maxBytes } = this.#bounds;
    if (this.#entries > maxEntries * LOW_WATER || this.#bytes > maxBytes * LOW_WATER) return undefined;
    let first: number | undefined;
    for (const offset of this.#missing.get(partition)?.values() ?? []) first = Math.min(first ?? offset, offset);
    return first;
  }

  #miss({ partition, offset }: Place, identity: string): void {
    if (this.#remembered >= MISSING_FOR_EACH * this.#bounds.maxEntries) {
      this.#forgotten++;
      return;
    }
    const missing = this.#missing.get(partition) ?? new Map();
    this.#missing.set(partition, missing.set(identity, offset));
    this.#remembered++;
  }

  #put(waiting: Waiting): void {
    const { partition, identity, subject, id } = waiting;
    const here = this.#partitions.get(partition) ?? new Map();
    this.#partitions.set(partition, here.set(identity, waiting));
    const tenants = this.#tenants.get(subject.tenantId) ?? new Map();
    this.#tenants.set(subject.tenantId, tenants.set(id, waiting));
  }

  #remove(partition: number, identity: string): void {
    const missing = this.#missing.get(partition);
    if (missing?.delete(identity)) {
      this.#remembered--;
      if (missing.size === 0) this.#missing.delete(partition);
    }
    const here = this.#partitions.get(partition);
    const before = here?.get(identity);
    if (here === undefined || before === undefined) return;
    here.delete(identity);
    const tenant = this.#tenants.get(before.subject.tenantId);
    tenant?.delete(before.id);
    if (tenant?.size === 0) this.#tenants.delete(before.subject.tenantId);
    this.#entries--;
    this.#bytes -= costOf(before.record);
  }
}

export function waitingId(kind: Waiting['kind'], receiptId: string): string {
  return `${kind === 'held' ? 'apr' : 'prk'}_${receiptId.replace(/^rc_/, '')}`;
}

function costOf(record: CommandRecord | null): number {
  return ENTRY_BYTES + (record?.value.length ?? 0);
}
