/**
 * Every request an organisation received, with what a test of idempotency wants to know: was it a second one, did it take effect,
 * what was answered. Bounded: the oldest are forgotten. No keys and no header values.
 */
import { createHash } from 'node:crypto';

export interface LoggedRequest {
  readonly sequence: number;
  readonly atMs: number;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** SHA-256 of the body in hex; null without one. */
  readonly bodySha256: string | null;
  readonly bodyBytes: number;
  /** Of the body, where it has them. */
  readonly externalId: string | null;
  readonly id: string | null;
  readonly rev: number | null;
  /** Top-level fields of the body. */
  readonly fields: readonly string[];
  /** What the caller was told, or would have been had the fault let it through; null when nothing was computed. */
  readonly status: number | null;
  /** The id of the object answered, as of the one created. */
  readonly answeredId: string | null;
  /** Kind of the fault it met. */
  readonly fault: string | null;
  /** True when the handler ran and did not refuse. */
  readonly tookEffect: boolean;
}

export interface LogFilter {
  readonly method?: string | undefined;
  /** Exact, or with a trailing `*` any path that begins so. */
  readonly path?: string | undefined;
}

export interface BodyFacts {
  readonly bodySha256: string | null;
  readonly bodyBytes: number;
  readonly externalId: string | null;
  readonly id: string | null;
  readonly rev: number | null;
  readonly fields: readonly string[];
}

export function bodyFacts(text: string, body: unknown): BodyFacts {
  const object = typeof body === 'object' && body !== null && !Array.isArray(body) ? body : {};
  const { externalId, id, rev } = object as { externalId?: unknown; id?: unknown; rev?: unknown };
  return {
    bodySha256: text === '' ? null : createHash('sha256').update(text).digest('hex'),
    bodyBytes: Buffer.byteLength(text),
    externalId: typeof externalId === 'string' ? externalId : null,
    id: typeof id === 'string' ? id : null,
    rev: typeof rev === 'number' ? rev : null,
    fields: Object.keys(object),
  };
}

export class RequestLog {
  readonly #maxEntries: number;
  #entries: LoggedRequest[] = [];
  #sequence = 0;

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  /** Requests received in all, forgotten ones included. */
  get received(): number {
    return this.#sequence;
  }

  add(entry: Omit<LoggedRequest, 'sequence'>): void {
    this.#entries.push({ sequence: this.#sequence, ...entry });
    this.#sequence += 1;
    if (this.#entries.length > 2 * this.#maxEntries) this.#entries = this.#entries.slice(-this.#maxEntries);
  }

  /** Oldest first. */
  list({ method, path }: LogFilter = {}): readonly LoggedRequest[] {
    return this.#entries.slice(-this.#maxEntries).filter((entry) => {
      if (method !== undefined && entry.method !== method) return false;
      if (path === undefined) return true;
      return path.endsWith('*') ? entry.path.startsWith(path.slice(0, -1)) : entry.path === path;
    });
  }

  clear(): void {
    this.#entries = [];
  }
}
