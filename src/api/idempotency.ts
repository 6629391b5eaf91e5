/**
 * `Idempotency-Key`: the first use of a key binds it to its request, then to the answer.
 *
 * K1  While a request of that key is under way here or elsewhere, no other one begins.
 * K2  The same key with another method, path or body is refused, whatever came of the first.
 * K3  Only answers that came about are kept, also one that came too late for whoever asked. A refusal or a fault frees the
 *     key once nothing is done under it any more: nothing was changed, or nobody knows.
 * K4  A key is under way for as long as its handler runs, however long that is: its process says so again (`renew`). One whose
 *     process died is free after RUNNING_MS.
 * K5  No secret is kept: fields of that kind are null in the stored answer, which says so in `withheld`.
 * K6  What one tenant has kept is bounded: every process holds it in memory.
 */
import { createHash, createHmac } from 'node:crypto';
import { z } from 'zod';
import { ApiError } from './errors.ts';
import type { Table, TableKind } from './ports.ts';

export const KEPT_MS = 24 * 3_600_000;
const RUNNING_MS = 5 * 60_000;
/** Keys of one tenant at a time. */
const MAX_KEYS = 10_000;
/** Longer answers are not kept, and their key is free again. */
const MAX_ANSWER_BYTES = 256 * 1024;
/** Of all answers of one tenant; beyond, answers are not kept either. */
const MAX_TENANT_BYTES = 16 * 1024 * 1024;
/** Well within RUNNING_MS. */
const RENEW_AFTER_MS = 60_000;
const RETRY_AFTER_S = 2;
/** The sweep removes so many at a time: each is a write. */
const SWEEP_BATCH = 200;

const recordSchema = z.strictObject({
  version: z.literal(1),
  /** Of whoever works on it: tells one's own record from another's. */
  owner: z.string(),
  /** Of method, path and body. */
  fingerprint: z.string(),
  created_at_ms: z.number(),
  /** Null while it is under way. */
  answer: z.strictObject({ request_id: z.string(), body: z.string() }).nullable(),
});

export type IdempotencyRecord = Readonly<z.output<typeof recordSchema>>;

/** Key: `<tenant>/<hash of the key>`. */
export const IDEMPOTENCY_KIND: TableKind<IdempotencyRecord> = {
  prefix: 'idem',
  parse: (value) => recordSchema.parse(value),
  encode: (record) => record,
};

export interface IdempotentRequest {
  /** The tenant, or `_platform`, which is no tenant's id. */
  readonly scope: string;
  readonly key: string;
  readonly method: string;
  readonly path: string;
  /** As it was received. */
  readonly body: unknown;
}

export type Begun =
  | { readonly kind: 'first'; readonly at: string; readonly owner: string }
  | { readonly kind: 'repeated'; readonly requestId: string; readonly body: string };

export interface IdempotencyOptions {
  readonly table: Table<IdempotencyRecord>;
  readonly random: (bytes: number) => Buffer;
}

/** What the keys of one tenant come to. */
interface Usage {
  keys: number;
  bytes: number;
}

export class Idempotency {
  readonly #table: Table<IdempotencyRecord>;
  readonly #random: (bytes: number) => Buffer;
  readonly #usage = new Map<string, Usage>();
  /** Bytes of the answer of each key, as counted in its tenant's usage. */
  readonly #counted = new Map<string, number>();
  /** Keys whose handlers run here, by owner. */
  readonly #running = new Map<string, string>();

  constructor({ table, random }: IdempotencyOptions) {
    this.#table = table;
    this.#random = random;
    table.onChange((key) => this.#count(key));
    for (const [key] of table.list()) this.#count(key);
  }

  /** Throws `invalid_parameter`, `idempotency_conflict` or `idempotency_in_progress`. */
  async begin(request: IdempotentRequest, nowMs: number): Promise<Begun> {
    if (!/^[\x20-\x7e]{1,255}$/.test(request.key)) {
      throw new ApiError('invalid_parameter', 'Idempotency-Key is 1 to 255 printable characters');
    }
    const at = `${request.scope}/${digest(request.key)}`;
    // Keyed with what is not kept: a body may hold a secret that somebody could guess at.
    const fingerprint = createHmac('sha256', request.key)
      .update(JSON.stringify([request.method, request.path, request.body ?? null]))
      .digest('base64url');
    const owner = this.#random(12).toString('base64url');
    if (this.#table.get(at) === undefined && this.#usageOf(at).keys >= MAX_KEYS) {
      throw new ApiError('rate_limited', `more than ${MAX_KEYS} idempotency keys in a day`, { retryAfterS: 3600 });
    }
    const mine: IdempotencyRecord = { version: 1, owner, fingerprint, created_at_ms: nowMs, answer: null };
    const record = await this.#table.update(at, (now) => (now === undefined || this.#isFree(now, nowMs) ? mine : now));
    if (record?.owner === owner) {
      this.#running.set(owner, at);
      return { kind: 'first', at, owner };
    }
    if (record?.fingerprint !== fingerprint) {
      throw new ApiError('idempotency_conflict', 'the Idempotency-Key was used for another request; use a new one');
    }
    if (record.answer === null) {
      const message = 'the first request with this Idempotency-Key is still being worked on';
      throw new ApiError('idempotency_in_progress', message, { retryAfterS: RETRY_AFTER_S });
    }
    return { kind: 'repeated', requestId: record.answer.request_id, body: record.answer.body };
  }

  /** Binds the key to its answer. */
  async finish(
    { at, owner }: Extract<Begun, { kind: 'first' }>,
    answer: { readonly requestId: string; readonly body: unknown; readonly secretFields: readonly string[] },
  ): Promise<void> {
    this.#running.delete(owner);
    const body = JSON.stringify(withheld(answer.body, answer.secretFields));
    const bytes = Buffer.byteLength(body);
    const fits = bytes <= MAX_ANSWER_BYTES && this.#usageOf(at).bytes + bytes <= MAX_TENANT_BYTES;
    const kept = fits ? { request_id: answer.requestId, body } : null;
    await this.#table.update(at, (now) => {
      if (now?.owner !== owner) return now;
      return kept === null ? null : { ...now, answer: kept };
    });
  }

  /** K3: the key may be used again. */
  async release({ at, owner }: Extract<Begun, { kind: 'first' }>): Promise<void> {
    this.#running.delete(owner);
    await this.#table.update(at, (now) => (now?.owner === owner ? null : now));
  }

  /** K4: says of what runs here that it still does; called now and then. */
  async renew(nowMs: number): Promise<void> {
    for (const [owner, at] of [...this.#running]) {
      await this.#table.update(at, (now) => {
        const isDue = now?.owner === owner && now.answer === null && nowMs - now.created_at_ms >= RENEW_AFTER_MS;
        return isDue ? { ...now, created_at_ms: nowMs } : now;
      });
    }
  }

  /** Forgets what is older than KEPT_MS; called now and then. */
  async sweep(nowMs: number): Promise<void> {
    const due = this.#table.list().filter(([, record]) => isOver(record, nowMs));
    for (const [key] of due.slice(0, SWEEP_BATCH)) {
      await this.#table.update(key, (now) => (now !== undefined && this.#isFree(now, nowMs) ? null : now));
    }
  }

  /** Not before the handler has ended here, whatever the clock says. */
  #isFree(record: IdempotencyRecord, nowMs: number): boolean {
    return isOver(record, nowMs) && !this.#running.has(record.owner);
  }

  #usageOf(at: string): Usage {
    return this.#usage.get(scopeOf(at)) ?? { keys: 0, bytes: 0 };
  }

  #count(at: string): void {
    const before = this.#counted.get(at);
    const record = this.#table.get(at);
    const now = record === undefined ? undefined : Buffer.byteLength(record.answer?.body ?? '');
    const { keys, bytes } = this.#usageOf(at);
    const usage = {
      keys: keys + (now === undefined ? 0 : 1) - (before === undefined ? 0 : 1),
      bytes: bytes + (now ?? 0) - (before ?? 0),
    };
    if (usage.keys === 0) this.#usage.delete(scopeOf(at));
    else this.#usage.set(scopeOf(at), usage);
    if (now === undefined) this.#counted.delete(at);
    else this.#counted.set(at, now);
  }
}

function scopeOf(at: string): string {
  return at.slice(0, at.indexOf('/'));
}

function isOver({ created_at_ms, answer }: IdempotencyRecord, nowMs: number): boolean {
  return nowMs - created_at_ms >= (answer === null ? RUNNING_MS : KEPT_MS);
}

/** K5 */
function withheld(body: unknown, secretFields: readonly string[]): unknown {
  if (secretFields.length === 0 || typeof body !== 'object' || body === null) return body;
  const present = secretFields.filter((field) => (body as Record<string, unknown>)[field] != null);
  if (present.length === 0) return body;
  return { ...body, ...Object.fromEntries(present.map((field) => [field, null])), withheld: present };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
