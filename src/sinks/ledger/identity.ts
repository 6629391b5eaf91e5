/**
 * What makes two commands the same: the identity says which one side effect they stand for, the fingerprint that they mean
 * the same by it. Both are the first 128 bits of SHA-256, in hex: of ten billion the chance that any two agree is 1e-19.
 * The form is part of what is stored, and of what is written to Kustomer: change it and old commands are new ones.
 */
import { hash } from 'node:crypto';

const HEX_DIGITS = 32;

export interface CommandName {
  readonly tenantId: string;
  /** What is touched, `noun:id`. */
  readonly entityKey: string;
  readonly idempotencyKey: string;
}

/** Key of the ledger. Each part is preceded by its length, so that no two triples give one text. */
export function identityOf({ tenantId, entityKey, idempotencyKey }: CommandName): string {
  return digest('identity', [tenantId, entityKey, idempotencyKey]);
}

/** What a write is called at Kustomer, so that it can be found there again: within the 256 characters of an external id. */
export function externalIdOf(identity: string): string {
  return `fibric-${identity}`;
}

/**
 * The connection is part of it: the same key and arguments meant for another of the tenant's Kustomer organisations are not
 * the same write, and answering DEDUP would lose one. The mode is not: a dry run tells what the live one would come to.
 */
export function fingerprintOf(action: {
  readonly connectionId: string;
  readonly capability: string;
  readonly args: unknown;
}): string {
  return digest('fingerprint', [action.connectionId, action.capability, canonicalText(action.args)]);
}

/** Where a command stands in its topic makes its receipt: the 657 copies of one command have as many. */
export function receiptIdOf(record: {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly commandId: string;
}): string {
  return `rc_${digest('receipt', [record.topic, `${record.partition}`, `${record.offset}`, record.commandId])}`;
}

/**
 * JSON with sorted names and without what is null or undefined: Avro says null where JSON leaves out. Values are checked
 * before, so they are flat and finite; a number that JSON cannot hold throws.
 */
export function canonicalText(value: unknown): string {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new RangeError('not a finite number');
  if (Array.isArray(value)) return `[${value.map((item) => canonicalText(item ?? null)).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null);
  const fields = Object.entries(value)
    .filter(([, field]) => field !== null && field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonicalText(field)}`).join()}}`;
}

function digest(domain: string, parts: readonly string[]): string {
  const text = parts.map((part) => `${part.length}:${part}`).join('');
  return hash('sha256', `fibric ${domain} 1\n${text}`, 'hex').slice(0, HEX_DIGITS);
}
