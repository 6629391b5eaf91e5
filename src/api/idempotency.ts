/**
 * `Idempotency-Key`: the first use of a key binds it to its request, then to the answer.
 *
 * K1  While a request of that key is under way here or elsewhere, no other one begins.
 * K2  The same key with another method, path or body is refused, whatever came of the first.
 * K3  Only answers that came about are kept. A refusal or a fault frees the key: nothing was changed, or nobody knows.
 * K4  A request whose process died frees its key after RUNNING_MS, well beyond what any answer may take.
 * K5  No secret is kept: fields of that kind are null in the stored answer, which says so in `withheld`.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { ApiError } from './errors.ts';
import type { Table, TableKind } from './ports.ts';

export const KEPT_MS = 24 * 3_600_000;
const RUNNING_MS = 5 * 60_000;
/** Keys of one tenant at a time. */
const MAX_KEYS = 10_000;
/** Longer answers are not kept, and their key is free again. */
const MAX_ANSWER_BYTES = 256 * 1024;
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

export class Idempotency {
  readonly #table: Table<IdempotencyRecord>;
  readonly #random: (bytes: number) => Buffer;

  constructor({ table, random }: IdempotencyOptions) {
    this.#table = table;
    this.#random = random;
  }

  /** Throws `invalid_parameter`, `idempotency_conflict` or `idempotency_in_progress`. */
  async begin(request: IdempotentRequest, nowMs: number): Promise<Begun> {
    if (!/^[\x20-\x7e]{1,255}$/.test(request.key)) {
      throw new ApiError('invalid_parameter', 'Idempotency-Key is 1 to 255 printable characters');
    }
    const at = `${request.scope}/${digest(request.key)}`;
    const fingerprint = digest(JSON.stringify([request.method, request.path, request.body ?? null]));
    const owner = this.#random(12).toString('base64url');
    if (this.#table.get(at) === undefined && this.#table.list(`${request.scope}/`).length >= MAX_KEYS) {
      throw new ApiError('rate_limited', `more than ${MAX_KEYS} idempotency keys in a day`, { retryAfterS: 3600 });
    }
    const mine: IdempotencyRecord = { version: 1, owner, fingerprint, created_at_ms: nowMs, answer: null };
    const record = await this.#table.update(at, (now) => (now === undefined || isOver(now, nowMs) ? mine : now));
    if (record?.owner === owner) return { kind: 'first', at, owner };
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
    const body = JSON.stringify(withheld(answer.body, answer.secretFields));
    const kept = Buffer.byteLength(body) <= MAX_ANSWER_BYTES ? { request_id: answer.requestId, body } : null;
    await this.#table.update(at, (now) => {
      if (now?.owner !== owner) return now;
      return kept === null ? null : { ...now, answer: kept };
    });
  }

  /** K3: the key may be used again. */
  async release({ at, owner }: Extract<Begun, { kind: 'first' }>): Promise<void> {
    await this.#table.update(at, (now) => (now?.owner === owner ? null : now));
  }

  /** Forgets what is older than KEPT_MS; called now and then. */
  async sweep(nowMs: number): Promise<void> {
    const due = this.#table.list().filter(([, record]) => isOver(record, nowMs));
    for (const [key] of due.slice(0, SWEEP_BATCH)) {
      await this.#table.update(key, (now) => (now !== undefined && isOver(now, nowMs) ? null : now));
    }
  }
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
