/** Runs the errands of a batch: readings side by side, each until its deadline, retried while there is time. */
import type { Clock } from '../../base/clock.ts';
import { hasCode } from '../../base/errors.ts';
import type { ConnectionWithTokens } from '../../fibric/connection.ts';
import type { KustomerClient } from '../../kustomer/client/client.ts';
import type { FailureKind } from '../../kustomer/client/outcome.ts';
import type { OrdersAnswer, OrdersState } from './body.ts';
import type { EnrichMemory, Refusal } from './memory.ts';
import { type Reaction, reactionTo, readOrders } from './orders.ts';
import { type EnrichSettings, type Errand, planErrands, type Wish } from './plan.ts';

export interface FetcherDeps {
  readonly connections: { get(connectionId: string): ConnectionWithTokens | undefined };
  /** Shared with whoever else calls the organisation, and so is its budget. */
  readonly clients: { of(connection: ConnectionWithTokens): KustomerClient };
  readonly memory: EnrichMemory;
  readonly settings: EnrichSettings;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly observer: FetchObserver;
  /** Ends every wait at once; what is under way is answered `skipped`, and nobody takes it. */
  readonly signal: AbortSignal;
}

/** Each call must return at once. */
export interface FetchObserver {
  read(outcome: 'ok' | FailureKind, durationMs: number): void;
  /** Told once, until it reads again or the reason changes. */
  refused(refusal: Refusal): void;
  allowed(connectionId: string): void;
}

type Reading = Extract<Errand, { readonly kind: 'read' }>;
type Verdict = OrdersAnswer & { readonly inTime: boolean };

/** One answer per wish, in their order. Never rejects for what Kustomer does. */
export async function fetchOrders(deps: FetcherDeps, wishes: readonly Wish[]): Promise<readonly OrdersAnswer[]> {
  const { memory, settings, clock } = deps;
  const errands = planErrands(wishes, memory, settings, clock.nowMs());
  const answers: OrdersAnswer[] = [];
  const late = new Set<Errand>();
  const queue = errands.filter((errand) => errand.kind === 'read');
  const give = ({ wishes: places }: Errand, answer: OrdersAnswer): void => {
    for (const place of places) answers[place] = answer;
  };
  for (const errand of errands) if (errand.kind === 'answered') give(errand, without(errand.state));
  const work = async (): Promise<void> => {
    for (let errand = queue.shift(); errand !== undefined; errand = queue.shift()) {
      const { inTime, ...answer } = await readUntil(deps, errand);
      if (!inTime) late.add(errand);
      give(errand, answer);
    }
  };
  await Promise.all(Array.from({ length: settings.concurrency }, work));
  remember(deps, errands, late);
  return answers;
}

/** E3, E5 */
function remember(
  { memory, settings, clock }: FetcherDeps,
  errands: readonly Errand[],
  late: ReadonlySet<Errand>,
): void {
  for (const { kind, connectionId, lane } of errands) if (kind === 'read') memory.uncongested(connectionId, lane);
  const untilMs = clock.nowMs() + settings.congestedMs;
  for (const { connectionId, lane } of late) memory.congested(connectionId, lane, untilMs);
}

async function readUntil(deps: FetcherDeps, errand: Reading): Promise<Verdict> {
  const { connections, clients, memory, clock, observer, settings } = deps;
  const { connectionId, deadlineMs } = errand;
  const connection = connections.get(connectionId);
  const klass = connection?.settings.orderKlass ?? null;
  // What was so when the body was sent here may have changed since.
  if (connection === undefined || connection.tenantId !== errand.tenantId)
    return { ...without('unavailable'), inTime: true };
  if (connection.apiKey === null || klass === null) return { ...without('skipped'), inTime: true };
  // Another errand of this batch may have found it out meanwhile.
  const refusal = memory.refusal(connectionId, clock.nowMs());
  if (refusal !== null) return { ...without(refusal.state), inTime: true };

  const time = deadline(deps, deadlineMs);
  let state: OrdersState = 'skipped';
  try {
    for (let attempt = 0; !time.signal.aborted; attempt += 1) {
      const startedAtMs = clock.nowMs();
      // Anew each time: it may have been replaced with its key.
      const client = clientOf(clients, connection);
      if (client === null) return { ...without('unavailable'), inTime: true };
      const { customerId, lane } = errand;
      const waitMs = Math.max(0, deadlineMs - startedAtMs);
      const outcome = await readOrders(client, { customerId, klass, lane, waitMs, signal: time.signal });
      observer.read('kind' in outcome ? outcome.kind : 'ok', clock.nowMs() - startedAtMs);
      if (!('kind' in outcome)) {
        if (memory.allow(connectionId)) observer.allowed(connectionId);
        return { ...outcome, fetchedAtMs: startedAtMs, inTime: true };
      }
      const reaction = reactionTo(outcome);
      state = reaction.state;
      if (reaction.next === 'remember') refuse(deps, connectionId, reaction);
      if (reaction.next !== 'again') return { ...without(state), inTime: state !== 'skipped' };
      const backoffMs = settings.retryMinMs * 2 ** Math.min(attempt, 4) * (0.5 + deps.random() / 2);
      await clock.sleep(Math.max(backoffMs, (outcome.retryAtMs ?? 0) - clock.nowMs()), time.signal);
    }
    return { ...without(state), inTime: false };
  } finally {
    time.cancel();
  }
}

function refuse(
  { memory, settings, clock, observer }: FetcherDeps,
  connectionId: string,
  { state, reason }: Reaction,
): void {
  const refusal: Refusal = {
    connectionId,
    state: state === 'forbidden' ? 'forbidden' : 'unavailable',
    reason,
    untilMs: clock.nowMs() + settings.refusedMs,
  };
  if (memory.refuse(refusal)) observer.refused(refusal);
}

/** Null for one that no client can be made for (an address or key that cannot be sent), and when all is ending. */
function clientOf(clients: FetcherDeps['clients'], connection: ConnectionWithTokens): KustomerClient | null {
  try {
    return clients.of(connection);
  } catch (error) {
    if (hasCode(error, 'config_invalid', 'shutting_down')) return null;
    throw error;
  }
}

/** A signal that aborts at `atMs`, or when everything ends. */
function deadline({ clock, signal }: FetcherDeps, atMs: number): { readonly signal: AbortSignal; cancel(): void } {
  const reached = new AbortController();
  const timer = new AbortController();
  const stop = (): void => reached.abort();
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  void clock.sleep(Math.max(0, atMs - clock.nowMs()), timer.signal).then(() => {
    if (!timer.signal.aborted) reached.abort();
  });
  return {
    signal: reached.signal,
    cancel: () => {
      signal.removeEventListener('abort', stop);
      timer.abort();
    },
  };
}

function without(state: OrdersState): OrdersAnswer {
  return { state, orders: null, fetchedAtMs: null };
}
