/** What the poller needs of its surroundings, and what it tells them. */
import type { Clock } from '../../base/clock.ts';
import type { ConnectionWithTokens } from '../../fibric/connection.ts';
import type { OwnedPartition } from '../../kafka/owner-worker.ts';
import type { KustomerClient } from '../../kustomer/client/client.ts';
import type { Failure } from '../../kustomer/client/outcome.ts';
import type { BackfillState } from './backfill-plan.ts';
import type { CursorScope } from './cursor-record.ts';
import type { LiveSettings } from './plan.ts';
import type { PolledChannel } from './polled-record.ts';
import type { StreamState } from './reaction.ts';
import type { Row, StreamName } from './streams.ts';
import type { Alarm } from './walk.ts';

export type Owned = Pick<OwnedPartition, 'partition' | 'signal' | 'get' | 'commit' | 'partitionOf'>;

export interface PolledConnections {
  list(): readonly ConnectionWithTokens[];
  /** Returns how to stop. */
  onChange(listener: (connectionId: string) => void): () => void;
}

/** The last word on a connection's backfill; what was never said is neither paused nor restarted. */
export interface BackfillOrder {
  readonly paused: boolean;
  readonly restartId: string | null;
}

export interface BackfillControl {
  get(scope: CursorScope): BackfillOrder;
  /** Returns how to stop. */
  onChange(listener: (scope: CursorScope) => void): () => void;
}

/** Clients are shared: whoever calls the same organisation shares its budget. */
export interface ClientSource {
  of(connection: ConnectionWithTokens): KustomerClient;
}

export interface PollSettings extends LiveSettings {
  readonly horizonMs: number;
  /** How long the processor remembers what it has seen of a resource. */
  readonly stateRetentionMs: number;
}

export interface PollEnvironment {
  readonly rawTopic: string;
  readonly settings: PollSettings;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly control: BackfillControl;
  readonly observer: PollObserver;
}

export interface PollOrigin extends CursorScope {
  readonly stream: StreamName;
  readonly channel: PolledChannel;
}

export interface PageRead {
  readonly rows: number;
  readonly published: readonly Row[];
  readonly duplicates: number;
}

/** Each call must return at once. */
export interface PollObserver {
  /** A page was read and committed. */
  page(origin: PollOrigin, page: PageRead): void;
  /** A window was read to its end. */
  polled(
    origin: PollOrigin,
    window: { readonly searches: number; readonly published: number; readonly durationMs: number },
  ): void;
  failed(
    origin: PollOrigin,
    failure: Pick<Failure, 'kind' | 'code' | 'message'>,
    next: { readonly state: StreamState; readonly waitMs: number },
  ): void;
  alarm(origin: PollOrigin, alarm: Alarm): void;
  /** Rows forgotten for want of room; they will be published again. */
  crowdedOut(origin: PollOrigin, rows: number): void;
  backfill(origin: PollOrigin, state: BackfillState): void;
}
