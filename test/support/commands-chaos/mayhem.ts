/** What goes wrong: a pure function of the seed. */
import { createRandom } from '../../../src/simulator/model/random.ts';
import type { RequestFaultOptions } from '../../../src/simulator/requests/faults.ts';

export type Happening =
  /** SIGKILL, and a new one in its place. */
  | { readonly kind: 'kill' }
  /** SIGSTOP, SIGCONT after so long: less than a session, or more. */
  | { readonly kind: 'freeze'; readonly forMs: number }
  /** One more joins, and one is let go: two rebalances. */
  | { readonly kind: 'shift' }
  /** So many requests are answered 429. */
  | { readonly kind: 'storm'; readonly refusals: number; readonly retryAfterS: number };

export interface Planned {
  /** From 0 to below 1: how much of its part of the commands has a receipt by then. */
  readonly at: number;
  /** From 0 to below 1: which of the members. */
  readonly which: number;
  readonly happening: Happening;
}

const KINDS = ['kill', 'freeze', 'storm', 'shift', 'kill', 'freeze'] as const;
const LATEST = 0.6;

/** Each with a part of the commands of its own, so that there is always something under way. Each kind is among any six. */
export function planMayhem(seed: string, count: number): readonly Planned[] {
  const random = createRandom(`mayhem:${seed}`);
  const first = random.int(KINDS.length);
  return Array.from({ length: count }, (_, index) => ({
    at: random.next() * LATEST,
    which: random.next(),
    happening: happeningOf(KINDS[(first + index) % KINDS.length] as Happening['kind'], random),
  }));
}

function happeningOf(kind: Happening['kind'], random: ReturnType<typeof createRandom>): Happening {
  switch (kind) {
    case 'freeze':
      return { kind, forMs: 1000 + random.int(9000) };
    case 'storm':
      return { kind, refusals: 10 + random.int(20), retryAfterS: 1 + random.int(2) };
    default:
      return { kind };
  }
}

const WRITES = [
  { method: 'POST', path: '/v1/**' },
  { method: 'PATCH', path: '/v1/**' },
] as const;

/**
 * Of writes, 20 % lose their reply and 5 % are answered 5xx, before or after their effect; of reads, some fail. `frozen`: of
 * what is not answered, the end is the end of the caller, and one that stands still has none (see the simulator's write log).
 */
export function faults(phase: 'usual' | 'frozen'): readonly RequestFaultOptions[] {
  const silent = phase === 'usual' ? 0.03 : 0;
  const writes = WRITES.flatMap((target): readonly RequestFaultOptions[] => [
    { ...target, kind: 'timeout', when: 'after', probability: silent },
    { ...target, kind: 'timeout', when: 'later', laterMs: 1200, probability: silent / 3 },
    { ...target, kind: 'reset', when: 'after', probability: 0.09 },
    { ...target, kind: 'reset', when: 'before', probability: 0.05 },
    { ...target, kind: 'truncate', probability: 0.03 },
    { ...target, kind: 'status', status: 502, when: 'after', probability: 0.03 },
    { ...target, kind: 'status', status: 503, when: 'before', probability: 0.03 },
  ]);
  const reads: readonly RequestFaultOptions[] = [
    { method: 'GET', kind: 'status', status: 503, probability: 0.02 },
    { method: 'GET', kind: 'reset', probability: 0.02 },
  ];
  return [...writes, ...reads].filter(({ probability }) => probability !== 0);
}
