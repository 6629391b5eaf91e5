/**
 * Tokens as they are looked up: by the hash of what came.
 *
 * B1  Only what a document says now counts: a revocation is in force here once it is read, which is at once in the process
 *     that wrote it.
 * B2  Of two tokens of one hash (which nobody makes by chance) the one that is refused counts.
 * B3  Using a token writes nothing. When it was last used is remembered here and written at most once in USE_WRITE_MS.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Secret } from '../../base/secret.ts';
import type { Table } from '../ports.ts';
import type { TokenRecord } from './records.ts';
import { hashToken } from './token-text.ts';

/** Coarse on purpose: a write for each request would make the control topic a log of requests. */
export const USE_WRITE_MS = 3_600_000;

export type TokenVerdict =
  | { readonly kind: 'valid'; readonly record: TokenRecord }
  | { readonly kind: 'invalid' | 'revoked' | 'expired' };

export class TokenBook {
  readonly #table: Table<TokenRecord>;
  /** Hash → ids of tokens. */
  readonly #byHash = new Map<string, ReadonlySet<string>>();
  /** Id → hash, to find what a document said before. */
  readonly #hashOf = new Map<string, string>();
  readonly #usedAtMs = new Map<string, number>();
  readonly #stop: () => void;

  constructor(table: Table<TokenRecord>) {
    this.#table = table;
    this.#stop = table.onChange((key) => this.#read(key));
    for (const [key] of table.list()) this.#read(key);
  }

  close(): void {
    this.#stop();
  }

  /** Who this is, at this moment; notes the use. */
  look(token: Secret, nowMs: number): TokenVerdict {
    const hash = hashToken(token);
    const records = [...(this.#byHash.get(hash) ?? [])].flatMap((key) => this.#table.get(key) ?? []);
    const named = records.filter((record) => sameHash(record.hash, hash));
    const [record] = named;
    if (record === undefined) return { kind: 'invalid' };
    if (named.some(({ revoked_at_ms }) => revoked_at_ms !== null)) return { kind: 'revoked' };
    if (named.some(({ expires_at_ms }) => expires_at_ms !== null && nowMs >= expires_at_ms)) return { kind: 'expired' };
    this.#usedAtMs.set(record.key_id, nowMs);
    return { kind: 'valid', record };
  }

  /** Whether a token that was valid still is. */
  isLive(keyId: string, nowMs: number): boolean {
    const record = this.#table.get(keyId);
    if (record === undefined || record.revoked_at_ms !== null) return false;
    return record.expires_at_ms === null || nowMs < record.expires_at_ms;
  }

  lastUsedAtMs(record: TokenRecord): number | null {
    const here = this.#usedAtMs.get(record.key_id);
    if (here === undefined) return record.last_used_at_ms;
    return Math.max(here, record.last_used_at_ms ?? 0);
  }

  /** B3: writes what is due. One that cannot be written is tried again the next time. */
  async writeUses(): Promise<void> {
    for (const [key, atMs] of [...this.#usedAtMs]) {
      const now = this.#table.get(key);
      if (now === undefined) {
        this.#usedAtMs.delete(key);
        continue;
      }
      if (atMs - (now.last_used_at_ms ?? 0) < USE_WRITE_MS) continue;
      await this.#table.update(key, (record) =>
        record === undefined || atMs <= (record.last_used_at_ms ?? 0) ? record : { ...record, last_used_at_ms: atMs },
      );
    }
  }

  #read(key: string): void {
    const before = this.#hashOf.get(key);
    const now = this.#table.get(key)?.hash;
    if (before === now) return;
    if (before !== undefined) {
      const rest = new Set(this.#byHash.get(before));
      rest.delete(key);
      if (rest.size === 0) this.#byHash.delete(before);
      else this.#byHash.set(before, rest);
      this.#hashOf.delete(key);
    }
    if (now === undefined) return;
    this.#byHash.set(now, new Set(this.#byHash.get(now)).add(key));
    this.#hashOf.set(key, now);
  }
}

function sameHash(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
