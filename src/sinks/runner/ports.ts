/** What the sink is given: who may what, how records are read and written, how long things may take. */
import type { Clock } from '../../base/clock.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { WireReceipt } from '../../fibric/commands/receipt-fields.ts';
import type { Connection } from '../../fibric/connection.ts';
import type { CompiledPolicies } from '../../fibric/policy/compile.ts';
import type { Grants } from '../../fibric/policy/grants.ts';
import type { LogRecord } from '../../kafka/port.ts';
import type { TopicNames } from '../../kafka/topics.ts';
import type { KustomerClient } from '../../kustomer/client/client.ts';
import type { Answer } from '../answers/answer.ts';
import type { AnswerMac } from '../answers/mac.ts';
import type { LaneLimits } from '../lanes.ts';
import type { LifecycleConfig } from '../lifecycle/config.ts';
import type { ConnectionFault } from '../outcome.ts';
import type { PaceLimits } from '../pace/customer-pace.ts';
import type { SinkQuota } from '../quota/port.ts';

export interface SinkConnections {
  /** A tenant of this installation: others have no topic that a receipt could go to. */
  knows(tenantId: string): boolean;
  /** Its receipts have a topic, or can have one. Also of a tenant that is not known any more. */
  canBeTold(tenantId: string): boolean;
  /** Of this tenant, by id or name. */
  find(tenantId: string, idOrName: string): Connection | undefined;
  /** Throws a CodedError when nothing can be sent through the connection (it has no key, say). */
  client(connection: Connection): KustomerClient;
}

/** As they are now: asked before every call. */
export interface SinkPolicies {
  of(tenantId: string): CompiledPolicies;
  grants(connection: Connection): Grants;
}

/** As `WireDecoder`. */
export interface CommandDecoder {
  prepare(record: Buffer): Promise<void> | undefined;
  decode(record: Buffer): unknown;
}

/** Each call must return at once. */
export interface SinkObserver {
  /** Committed. */
  disposed(receipt: WireReceipt): void;
  /** Committed to the dead topic. */
  buried(code: ErrorCode): void;
  /** Committed: a person answered what waits no more, or not for that. */
  answerIgnored(answer: Answer, why: string): void;
  /** A write left and its answer is missing. */
  ambiguous?(connection: Connection): void;
  /** Kustomer said something of the connection as a whole, whatever becomes of the command. */
  faulted?(connection: Connection, fault: ConnectionFault, message: string): void;
  /** A write through it was done. */
  succeeded?(connection: Connection): void;
  /** The tenant's commands wait in the log, since it has its share of the partition's room, and others are let by. */
  passedOver?(partition: number, tenantId: string): void;
  /** The ledger of the partition has no room for another command, or has again. */
  full?(partition: number, isFull: boolean): void;
}

export interface SinkSettings {
  readonly lanes: LaneLimits;
  readonly lifecycle: LifecycleConfig;
  /**
   * Least time between the starts of two transactions of a partition: `callPaceMs` when a call waits for the second, else
   * `paceMs`; `maxPaceMs` when all places are taken, and between them in proportion. A transaction costs the same whatever it
   * holds.
   */
  readonly callPaceMs: number;
  readonly paceMs: number;
  readonly maxPaceMs: number;
  /** From the signal until what is under way is given up; well below the `settleMs` of the owner worker. */
  readonly drainMs: number;
  /** What a rule that asks for a confirmation lets a command wait for it. */
  readonly approvalTtlMs: number;
  /** What settled commands are remembered for. */
  readonly retentionMs: number;
  /** The `stateMaxBytes` of the owner worker. */
  readonly stateMaxBytes: number;
  /** What Kustomer lets us create for one customer. */
  readonly pace: PaceLimits;
}

export interface SinkDeps {
  /** Waits, for a short time, until what was said before the command was sent is known here. Never rejects. */
  readonly heard?: (record: LogRecord) => Promise<void> | undefined;
  /** The same for all that had been said when it is asked, for what is not known here. False when it brought nothing. */
  readonly newest?: () => Promise<boolean> | undefined;
  readonly topics: Pick<TopicNames, 'commands' | 'receipts' | 'dead'>;
  readonly connections: SinkConnections;
  readonly policies: SinkPolicies;
  /** NO_QUOTA where no policy has a limit. */
  readonly quota: SinkQuota;
  readonly decoder: CommandDecoder;
  /** Of what people say to commands that wait. */
  readonly answers: AnswerMac;
  /** The bytes of a receipt record (Confluent wire format). */
  readonly encodeReceipt: (receipt: WireReceipt) => Buffer;
  /** Undefined when the topic of the tenant's receipts is known to exist. */
  readonly ensureReceipts: (tenantId: string) => Promise<void> | undefined;
  readonly observer: SinkObserver;
  readonly clock: Clock;
  readonly random: () => number;
  readonly settings: SinkSettings;
}
