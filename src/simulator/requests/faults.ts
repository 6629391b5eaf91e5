/**
 * What goes wrong with requests, as a script of rules. Seeded: the same requests in the same order meet the same faults.
 *
 * Invariants (test/unit/simulator/request-faults.test.ts cites them):
 * Q1 A rule acts only on requests of its method and path, after its first `skip` matches, at most `count` times.
 * Q2 The first rule that acts wins; rules after it do not see the request.
 * Q3 Removing every rule removes every fault.
 */
import { z } from 'zod';
import type { Random } from '../model/random.ts';

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

export const requestFaultSchema = z.strictObject({
  /** Any method when absent. */
  method: z.enum(METHODS).optional(),
  /** Path without query; `*` stands for one segment, `**` for any number. `/v1/**` when absent. */
  path: z.string().startsWith('/').default('/v1/**'),
  /**
   * status    answers `status` (5xx, 429, 4xx)
   * timeout   never answers
   * truncate  a complete answer whose JSON is cut in half
   * cut       the connection breaks in the middle of the body
   * slow      the body comes in small pieces, `pauseMs` apart
   * reset     the connection is reset without an answer
   */
  kind: z.enum(['status', 'timeout', 'truncate', 'cut', 'slow', 'reset']),
  /** For `status`. */
  status: z.int().min(400).max(599).default(503),
  /** For `status`: the `Retry-After` it tells, in seconds; otherwise as `limits` has it. */
  retryAfterS: z.int().min(0).max(86_400).nullable().default(null),
  /**
   * Whether the request took effect before it went wrong; or takes effect `laterMs` later, when its caller has long given it up.
   * `truncate`, `cut` and `slow` always come after.
   */
  when: z.enum(['before', 'after', 'later']).default('before'),
  laterMs: z.int().min(1).max(600_000).default(5000),
  /** For `slow`. */
  pauseMs: z.int().min(1).max(600_000).default(50),
  pieces: z.int().min(2).max(1000).default(10),
  /** Matching requests let through first. */
  skip: z.int().min(0).default(0),
  /** How often it acts; for ever when absent. */
  count: z.int().min(1).nullable().default(null),
  /** How probably it acts on a match that is left. */
  probability: z.number().min(0).max(1).default(1),
});

export const requestFaultsSchema = z.array(requestFaultSchema).max(100);

export type RequestFault = z.infer<typeof requestFaultSchema>;
export type RequestFaultOptions = z.input<typeof requestFaultSchema>;

interface Rule {
  readonly fault: RequestFault;
  readonly pattern: RegExp;
  matched: number;
  acted: number;
}

export class RequestFaults {
  readonly #random: Random;
  #rules: readonly Rule[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** Replaces the script; counts begin anew. */
  configure(faults: readonly RequestFault[]): void {
    this.#rules = faults.map((fault) => ({ fault, pattern: patternOf(fault.path), matched: 0, acted: 0 }));
  }

  get rules(): readonly (RequestFault & { readonly matched: number; readonly acted: number })[] {
    return this.#rules.map(({ fault, matched, acted }) => ({ ...fault, matched, acted }));
  }

  /** What goes wrong with this request; null when nothing does. */
  next(method: string, path: string): RequestFault | null {
    for (const rule of this.#rules) {
      const { fault } = rule;
      if (fault.method !== undefined && fault.method !== method) continue;
      if (!rule.pattern.test(path)) continue;
      rule.matched += 1;
      if (rule.matched <= fault.skip || (fault.count !== null && rule.acted >= fault.count)) continue;
      if (fault.probability < 1 && !this.#random.chance(fault.probability)) continue;
      rule.acted += 1;
      return fault;
    }
    return null;
  }
}

/** When the handler runs under this fault, if at all. */
export function effectOf(fault: RequestFault | null): 'now' | 'later' | 'never' {
  if (fault === null || fault.kind === 'truncate' || fault.kind === 'cut' || fault.kind === 'slow') return 'now';
  if (fault.when === 'later') return 'later';
  return fault.when === 'after' ? 'now' : 'never';
}

function patternOf(path: string): RegExp {
  const source = path
    .split('**')
    .map((part) => part.split('*').map(escaped).join('[^/]+'))
    .join('.*');
  return new RegExp(`^${source}$`);
}

function escaped(text: string): string {
  return text.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&');
}
